"""Runs that may be struck, each in a forked process, so that a strike costs no new start.

The parent has imported everything and has never started a thread, which makes forking safe. The
trunk and the head are stand-ins: importing TensorFlow hundreds of times would take hours.
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
from pipeline.store.base import Store
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
DONE, REFUSED, FAILED, BROKEN = 0, 3, 4, 70  # exit statuses of a victim
PATIENCE = 120.0  # seconds; a victim that takes longer hangs


@dataclass(frozen=True)
class Ended:
    """How a victim ended: its exit status, negative when a signal ended it, and what it counted."""

    status: int
    moments: int


def process_batch(
    root: Path, folder: Path, batch: str, real_workers: bool = False, **settings
) -> None:
    """What is struck: one batch from its folder to its report. Raises what the stages raise."""
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
    """Parts that failed, told by the run itself."""


def start(work: Callable[[], None], at: int | None = None, strike=None) -> tuple[int, int]:
    """Fork a victim that does `work` and is struck at moment `at`; its pid and a pipe to read."""
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
    moments = Moments(at, strike)
    os._exit(_told(work, moments, writer))


def _told(work: Callable[[], None], moments: Moments, writer: int) -> int:
    """Do the work; the exit status, after telling the parent what there is to tell."""
    status, words = DONE, ""
    try:
        work()
    except PipelineError as error:
        status, words = REFUSED, str(error)
    except (OSError, StageFailure) as error:
        status, words = FAILED, repr(error)
    except BaseException:
        status, words = BROKEN, traceback.format_exc()
    os.write(writer, f"{moments.count}\n{words}".encode()[:60_000])
    return status


def ended(pid: int, reader: int) -> Ended:
    """Wait for a victim; a traceback of ours or a hang is an error of the test itself."""
    deadline = time.monotonic() + PATIENCE
    while not (found := os.waitpid(pid, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise AssertionError(f"a run hung for {PATIENCE:.0f} seconds")
        time.sleep(0.002)
    with open(reader, encoding="utf-8", errors="replace") as pipe:
        moments, _, words = pipe.read().partition("\n")
    status = os.waitstatus_to_exitcode(found[1])
    if status == BROKEN:
        print(words, file=sys.stderr)
        raise AssertionError("a run ended with an error that is none of ours")
    return Ended(status, int(moments or 0))


def run(work: Callable[[], None], at: int | None = None, strike=None) -> Ended:
    """Fork, strike, wait."""
    return ended(*start(work, at, strike))


def slay(pid: int) -> None:
    """`kill -9` of a process and of all that it started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for each in [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()


def contents(root: Path) -> dict[str, bytes]:
    """Every part of every table, by its name."""
    return stored_bytes(Store(str(root / "store")), *TABLES)


def left_over(root: Path) -> list[str]:
    """Unfinished files that nobody will ever finish."""
    places = (root / "store" / ".tmp", root / "store.private")
    return [path.name for place in places for path in place.rglob("*") if _unfinished(path)]


def _unfinished(path: Path) -> bool:
    return path.is_file() and (path.parent.name == ".tmp" or path.name.startswith("."))


def batch(folder: Path) -> Path:
    """Scans with boxes, classes, patients, a duplicate and two that cannot be used."""
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
