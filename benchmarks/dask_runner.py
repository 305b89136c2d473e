"""`make bench-dask`: the overhead of a Dask cluster per part, and the gain of a second worker.

Scheduler and workers run on this machine and share its cores; each worker has one decoding process
and one thread for the network.
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
from benchmarks.comparison import seconds_of
from flows import prefect_server
from flows.prefect_environment import set_environment
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
SERVER_WRITES_SECONDS = 5  # Prefect's server finishes writing before its database is removed
LOOPBACK = ("--no-dashboard", "--dashboard-address", "127.0.0.1:0")


@dataclass(frozen=True)
class Nothing(PartWork):
    """A part without work, so that all of its time is overhead."""

    stage, needs = "nothing", ""

    def __call__(self, number: int, advance: Advance) -> None:
        pass


def main() -> None:
    """Measure and print. Takes some minutes on two cores."""
    with tempfile.TemporaryDirectory(prefix="dental-bench-") as root, Loopback() as loopback:
        loopback.add_worker("ONE=1 BOTH=1")
        loopback.add_worker("BOTH=1")
        opened = store_at(Path(root, "flow"), "threads", loopback.address)
        set_environment(opened.settings)
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
    """Print the times of one and of two workers, measured alternately after a warm-up."""
    seconds(root / "warm", folder, address, "BOTH")
    pairs = [
        tuple(seconds(root / f"{number}-{who}", folder, address, who) for who in ("ONE", "BOTH"))
        for number in range(REPEATS)
    ]
    print(f"{SCANS} periapicals in parts of {PART_SIZE}, {os.cpu_count()} cores, medians:")
    for stage in ("receive", "embed"):
        one, both = ([turn[who][stage] for turn in pairs] for who in (0, 1))
        ratio = median(first / second for first, second in zip(one, both, strict=True))
        times = f"{median(one):.1f} s by one worker, {median(both):.1f} s by two"
        print(f"  {stage} {times}: {ratio:.2f} times as fast", flush=True)


class Loopback:
    """A scheduler that listens on this machine only, and its workers."""

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


def store_at(root: Path, runner: str, address: str, resource: str = "") -> OpenStore:
    """A store for one run, whose parts need a resource that workers offer."""
    resources = {resource: 1.0} if resource else {}
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


def seconds(root: Path, folder: Path, address: str, resource: str) -> dict[str, float]:
    """Seconds by stage of one run."""
    opened = store_at(root, "dask", address, resource)
    map = partial(without_prefect, opened.settings)
    summary = run_batch(opened, deliver(folder, "bench", opened), map)
    if summary.failures:
        raise SystemExit(f"{len(summary.failures)} parts failed, so nothing was measured")
    return summary.seconds


def without_prefect(
    settings: config.Settings, stage: str, work: StageRun, numbers: Sequence[int]
) -> list[object]:
    """Map over parts as the flows do, without Prefect's tasks."""
    from flows.part_tasks import executor_of

    with executor_of(settings, work) as (do, at_once), ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(do, numbers))


def overhead(opened: OpenStore, runner: str, address: str) -> float:
    """Seconds of one part without work as a task of a flow, after a warm-up."""
    from prefect import flow

    from flows.part_tasks import as_tasks

    work = StageRun("nothing", "b", Nothing(job_for("run", "b", opened, None)), opened.private, int)

    @flow(name="nothing")
    def empty() -> float:
        as_tasks("nothing", work, range(5))
        return seconds_of(lambda: as_tasks("nothing", work, range(EMPTY_PARTS))) / EMPTY_PARTS

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
