"""What a Dask cluster costs per part, and what a second worker gives: `make bench-dask`.

Scheduler and workers are of this machine, so two workers share its cores with each other: each has
one decoding process and one thread for the network.
"""

import contextlib
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks import sample_scans
from benchmarks.comparison import clocked
from flows import prefect_server
from flows.prefect_environment import set_prefect_environment
from pipeline import config
from pipeline.jobs.part_work import PartWork
from pipeline.jobs.process_batch import run_batch
from pipeline.jobs.resources import job_for
from pipeline.progress import Advance
from pipeline.stages.parts_loop import StageRun
from pipeline.stages.plan import deliver
from pipeline.store.open_store import OpenStore, open_for_writing

SCANS, PART_SIZE, REPEATS, EMPTY_PARTS = 480, 30, 3, 40
ONE_CORE = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1")
SERVER_WRITES_SECONDS = 5  # what Prefect's server was told, before its database is removed
LOOPBACK = ("--no-dashboard", "--dashboard-address", "127.0.0.1:0")


@dataclass(frozen=True)
class Nothing(PartWork):
    """A part without work, so that all of its time is the scheduler's."""

    stage, needs = "nothing", ""

    def __call__(self, number: int, advance: Advance) -> None:
        pass


def main() -> None:
    """Measure, and print some lines. Takes some minutes on two cores."""
    with tempfile.TemporaryDirectory(prefix="dental-bench-") as root, Loopback() as loopback:
        loopback.add_worker("ONE=1 BOTH=1")
        loopback.add_worker("BOTH=1")
        opened = store_at(Path(root, "flow"), "threads", loopback.address)
        set_prefect_environment(opened.settings)
        prefect_server.use_server(opened)  # before Prefect is imported
        with multiprocessing.get_context("spawn").Pool() as pool:
            folder = sample_scans.periapicals(Path(root), pool, SCANS)
        compare_workers(Path(root), folder, loopback.address)
        prefect_server.wait()
        for runner in ("threads", "dask"):
            each = 1000 * overhead(opened, runner, loopback.address)
            print(f"  overhead of a part with Prefect's task, {runner}: {each:.0f} ms")
        time.sleep(SERVER_WRITES_SECONDS)


def compare_workers(root: Path, folder: Path, address: str) -> None:
    """Print what two workers take against one, in turns; in a first turn both import."""
    seconds(root / "warm", folder, address, "BOTH")
    pairs = [
        tuple(seconds(root / f"{number}-{who}", folder, address, who) for who in ("ONE", "BOTH"))
        for number in range(REPEATS)
    ]
    print(f"{SCANS} periapicals in parts of {PART_SIZE}, {os.cpu_count()} cores, medians:")
    for stage in ("receive", "embed"):
        one, both = ([turn[who][stage] for turn in pairs] for who in (0, 1))
        ratio = median(first / second for first, second in zip(one, both, strict=True))
        words = f"{median(one):.1f} s by one worker, {median(both):.1f} s by two"
        print(f"  {stage} {words}: {ratio:.2f} times as fast", flush=True)


class Loopback:
    """A scheduler of this machine alone, and its workers."""

    def __enter__(self) -> "Loopback":
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address, self._started = f"tcp://127.0.0.1:{port}", []
        self._start("scheduler", "--host", "127.0.0.1", "--port", str(port))
        return self

    def add_worker(self, offers: str) -> None:
        one_part = ("--nthreads", "1", "--no-nanny", "--resources", offers)
        self._start("worker", self.address, *one_part)

    def _start(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "dask", *arguments, *LOOPBACK]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._started.append(subprocess.Popen(command, env={**os.environ, **ONE_CORE}, **quiet))

    def __exit__(self, *_) -> None:
        for process_ in self._started:
            process_.kill()
            process_.wait()


def store_at(root: Path, runner: str, address: str, takes: str = "") -> OpenStore:
    """A store for one run, whose parts take one of what a worker offers."""
    resources = {takes: 1.0} if takes else {}
    settings = config.load(
        store=str(root / "store"),
        private=root / "private",
        part_size=PART_SIZE,
        workers=1,
        runner=runner,
        dask=config.Dask(address=address, receive=resources, embed=resources),
        novelty=config.Novelty(min_patients=SCANS + 1),  # not measured
    )
    return open_for_writing(settings)


def seconds(root: Path, folder: Path, address: str, takes: str) -> dict[str, float]:
    """Seconds by stage of one run."""
    opened = store_at(root, "dask", address, takes)
    map = partial(without_prefect, opened.settings)
    summary = run_batch(opened, deliver(folder, "bench", opened), map)
    if summary.failures:
        raise SystemExit(f"{len(summary.failures)} parts failed, so nothing was measured")
    return summary.seconds


def without_prefect(
    settings: config.Settings, stage: str, work: StageRun, numbers: Sequence[int]
) -> list[object]:
    """The map of the flows without Prefect's tasks."""
    from flows.part_tasks import executor_of

    with executor_of(settings, work) as (do, at_once), ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(do, numbers))


def overhead(opened: OpenStore, runner: str, address: str) -> float:
    """Seconds that one part without work takes as a task of a flow; the first ones are left out."""
    from prefect import flow

    from flows.part_tasks import as_tasks

    work = StageRun("nothing", "b", Nothing(job_for("run", "b", opened, None)), opened.private, int)

    @flow(name="nothing")
    def empty() -> float:
        as_tasks("nothing", work, range(5))
        return clocked(lambda: as_tasks("nothing", work, range(EMPTY_PARTS))) / EMPTY_PARTS

    with environment(DENTAL_RUNNER=runner, DENTAL_DASK__ADDRESS=address):
        return empty()


@contextlib.contextmanager
def environment(**variables: str) -> Iterator[None]:
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            del os.environ[name]


if __name__ == "__main__":
    main()
