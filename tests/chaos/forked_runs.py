"""Runs in forked processes into which a fault can be injected, without the cost of a start.

The parent has imported everything and has never started a thread, which makes forking safe. The
trunk is a fake: importing TensorFlow hundreds of times would take hours.
"""

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipeline.errors import PipelineError
from pipeline.ingest import delivery_lists, list_files
from pipeline.jobs import process_batch as process_module
from pipeline.jobs import resources
from pipeline.stages.plan import deliver
from pipeline.store.store import Store
from tests.builders.fakes import FakeTrunk, FrozenClock, InProcessPool
from tests.builders.scans import panoramic, scan, write_files
from tests.builders.stores import small_store, stored_bytes
from tests.chaos.moments import Moments

TABLES = (
    "scans",
    "crops",
    "background_crops",
    "features",
    "background_features",
    "labels",
    "audits",
    "drift",
)
DONE, REFUSED, FAILED, BROKEN = 0, 3, 4, 70  # exit statuses of a forked run
TIMEOUT = 120.0  # seconds


@dataclass(frozen=True)
class Outcome:
    """The exit status of a run, negative for a signal, and the number of its moments."""

    status: int
    moments: int


def process_batch(
    root: Path, folder: Path, batch: str, real_workers: bool = False, **settings
) -> None:
    """Process one batch from its folder to its report. Raises what the stages raise."""
    list_files.SECOND_LOOK_SECONDS = 0
    delivery_lists.datetime.datetime = FrozenClock
    resources.embedder = lambda store, chosen: FakeTrunk
    if not real_workers:
        resources.WorkerPool = InProcessPool
    store = small_store(root, part_size=4, **settings)
    summary = process_module.run_batch(store, deliver(folder, batch, store))
    if summary.failures or summary.broken_checks:
        raise StageFailure(summary.failures + summary.broken_checks)


class StageFailure(Exception):
    """Parts that failed, as reported by the run."""


def start(work: Callable[[], None], at: int | None = None, fault=None) -> tuple[int, int]:
    """Fork a run of `work` with `fault` at moment `at`; its process id and a pipe to read."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    os.setpgid(0, 0)
    os.close(reader)
    silence = os.open(os.devnull, os.O_RDWR)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    moments = Moments(at, fault)
    os._exit(_run_and_report(work, moments, writer))


def _run_and_report(work: Callable[[], None], moments: Moments, writer: int) -> int:
    """Do the work and report to the parent; the exit status."""
    status, message = DONE, ""
    try:
        work()
    except PipelineError as error:
        status, message = REFUSED, str(error)
    except (OSError, StageFailure) as error:
        status, message = FAILED, repr(error)
    except BaseException:
        status, message = BROKEN, traceback.format_exc()
    os.write(writer, f"{moments.count}\n{message}".encode()[:60_000])
    return status


def wait(pid: int, reader: int) -> Outcome:
    """Wait for a forked run; an unexpected exception or a timeout is an AssertionError."""
    deadline = time.monotonic() + TIMEOUT
    while not (found := os.waitpid(pid, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise AssertionError(f"a run hung for {TIMEOUT:.0f} seconds")
        time.sleep(0.002)
    with open(reader, encoding="utf-8", errors="replace") as pipe:
        moments, _, message = pipe.read().partition("\n")
    status = os.waitstatus_to_exitcode(found[1])
    if status == BROKEN:
        print(message, file=sys.stderr)
        raise AssertionError("a run ended with an unexpected exception")
    return Outcome(status, int(moments or 0))


def run(work: Callable[[], None], at: int | None = None, fault=None) -> Outcome:
    """Fork a run and wait for it."""
    return wait(*start(work, at, fault))


def kill_tree(pid: int) -> None:
    """Kill a process and all that it started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for each in [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()


def contents(root: Path) -> dict[str, bytes]:
    """The bytes of every part, by name."""
    return stored_bytes(Store(str(root / "store")), *TABLES)


def write_batch(folder: Path) -> Path:
    """Write a batch with boxes, classes, patients, a duplicate and two files that are rejected."""
    same = scan(seed=1)
    pictures = {f"s{number:02d}_png": scan(seed=10 + number) for number in range(8)}
    pictures["s08_png"] = panoramic(seed=18)  # with a box, so it has a background too
    write_files(folder, **pictures, t_png=same, u_png=same, v_png=b"broken", w_png=b"")
    lines = [
        f"s{number:02d},{'healthy' if number % 2 else 'caries'},p{number // 2},,,,"
        for number in range(8)
    ]
    lines.append("s08,caries,p4,40,20,12,20")
    write_files(folder, labels_csv="\n".join(["image_id,label,patient,x,y,w,h", *lines]))
    for path in folder.iterdir():
        os.utime(path, (1_000_000_000, 1_000_000_000))
    return folder
