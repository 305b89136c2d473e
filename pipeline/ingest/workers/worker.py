"""What runs inside one worker process: a task comes through a pipe, its outcome goes back.

The process binds itself: an address space that ends (too much memory becomes a MemoryError, not a
machine that swaps), an alarm that ends it when nobody is left to do so, no core dumps, since they
would hold a patient's scan.
"""

import importlib
import resource
import signal
import socket
import sys
import traceback
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path

import cv2

from pipeline.errors import ScanRejected
from pipeline.ingest.workers import messages

MB = 2**20
# An orphan that hangs ends itself; while its master lives, that one is the first to act.
GRACE_SECONDS = 2
STATM = Path("/proc/self/statm")


class Outcome(Enum):
    """What a task came to; the first item of every answer."""

    DONE = auto()  # with the result, which may be a ScanRejected
    NO_MEMORY = auto()
    FAILED = auto()  # with the exception


def serve(pipe_number: int, module: str, seconds: float, memory_mb: int) -> None:
    """Answer tasks `(work, item)` until the pipe closes, or until this process has bloated.

    `module` is where the work is written: importing it is no scan's time and no scan's memory.

    An answer is `(outcome, value, retiring)`; a retiring process ends once its answer is sent.
    """
    # Ctrl-C reaches the whole process group; the master decides what becomes of its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    importlib.import_module(module)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    started_with = address_space()
    if started_with is not None:
        room = started_with + memory_mb * MB
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
    pipe = socket.socket(fileno=pipe_number)
    messages.send(pipe, messages.pack(None))  # ready
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        retiring = False
        while not retiring:
            task = messages.receive(pipe)
            signal.setitimer(signal.ITIMER_REAL, seconds + GRACE_SECONDS)
            outcome, value = attempt(task)
            retiring = is_over_memory(started_with, memory_mb)
            send(pipe, outcome, value, retiring)
            signal.setitimer(signal.ITIMER_REAL, 0)


def attempt(task: messages.Pieces) -> tuple[Outcome, object]:
    """Do one packed task. What goes wrong is an answer too, unless it ends the process."""
    try:
        work, item = messages.unpack(task)
        return Outcome.DONE, work(item)
    except ScanRejected as rejection:
        return Outcome.DONE, rejection
    except MemoryError:
        return Outcome.NO_MEMORY, None
    except Exception as error:  # raised again in the master, which is where it stops the part
        if isinstance(error, cv2.error) and error.code == cv2.Error.StsNoMem:
            return Outcome.NO_MEMORY, None
        # A traceback does not travel with a pickled exception; its text does.
        error.add_note("".join(traceback.format_exception(error)))
        return Outcome.FAILED, error


def send(pipe: socket.socket, outcome: Outcome, value: object, retiring: bool) -> None:
    """Send an answer; one that cannot be pickled, or not in the memory left, is told as such."""
    try:
        answer = messages.pack((outcome, value, retiring))
        if outcome is Outcome.FAILED:
            # Exceptions of other people's classes often cannot be rebuilt.
            messages.unpack(answer)
    except MemoryError:
        answer = messages.pack((Outcome.NO_MEMORY, None, True))
    except Exception as error:
        what = RuntimeError(f"a {type(value).__name__} that cannot be sent ({error!r}): {value!r}")
        answer = messages.pack((Outcome.FAILED, what, retiring))
    messages.send(pipe, answer)


def address_space() -> int | None:
    """Bytes of address space in use, or None where the system does not tell and limit it."""
    if not sys.platform.startswith("linux"):
        return None  # macOS reserves hundreds of gigabytes at once and enforces no limit
    return int(STATM.read_text().split()[0]) * resource.getpagesize()


def is_over_memory(started_with: int | None, memory_mb: int) -> bool:
    """Whether decoders have kept so much that the next scan would find too little room."""
    if started_with is not None:
        kept = address_space() - started_with
    else:
        # The highest resident size, in bytes on macOS: too careful, since it never falls.
        kept = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kept > memory_mb * MB / 4
