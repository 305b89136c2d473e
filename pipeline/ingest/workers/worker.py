"""The program of one worker process: receive tasks through a pipe and send back their outcomes.

The process limits itself: its address space (too much memory becomes a MemoryError instead of
swapping), its time (an alarm ends it if the main process is gone), and core dumps, which would
contain a patient's scan.
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
# An orphan that hangs ends itself; a main process that is alive acts first.
GRACE_SECONDS = 2
STATM = Path("/proc/self/statm")


class Outcome(Enum):
    """The outcome of a task; the first item of every reply."""

    DONE = auto()  # with the result, which may be a ScanRejected
    NO_MEMORY = auto()
    FAILED = auto()  # with the exception


def serve(pipe_number: int, module: str, seconds: float, memory_mb: int) -> None:
    """Run tasks `(work, item)` until the pipe closes or this process holds too much memory.

    `module` defines the work: it is imported first, so that its import counts for no scan's time or
    memory. A reply is `(outcome, value, retiring)`; a retiring process ends after its reply.
    """
    # Ctrl-C reaches the whole process group; the main process ends its workers.
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
    """Run one packed task. Errors become outcomes, unless they end the process."""
    try:
        work, item = messages.unpack(task)
        return Outcome.DONE, work(item)
    except ScanRejected as rejection:
        return Outcome.DONE, rejection
    except MemoryError:
        return Outcome.NO_MEMORY, None
    except Exception as error:  # raised again in the main process, where it stops the part
        if isinstance(error, cv2.error) and error.code == cv2.Error.StsNoMem:
            return Outcome.NO_MEMORY, None
        # A pickled exception loses its traceback; a note keeps the text.
        error.add_note("".join(traceback.format_exception(error)))
        return Outcome.FAILED, error


def send(pipe: socket.socket, outcome: Outcome, value: object, retiring: bool) -> None:
    """Send a reply; NO_MEMORY or FAILED instead of one that cannot be pickled."""
    try:
        reply = messages.pack((outcome, value, retiring))
        if outcome is Outcome.FAILED:
            # Exceptions of third-party classes often cannot be unpickled.
            messages.unpack(reply)
    except MemoryError:
        reply = messages.pack((Outcome.NO_MEMORY, None, True))
    except Exception as error:
        unsent = RuntimeError(f"cannot pickle a {type(value).__name__} ({error!r}): {value!r}")
        reply = messages.pack((Outcome.FAILED, unsent, retiring))
    messages.send(pipe, reply)


def address_space() -> int | None:
    """Bytes of address space in use, or None where the system cannot report and limit it."""
    if not sys.platform.startswith("linux"):
        return None  # macOS reserves hundreds of gigabytes at once and enforces no limit
    return int(STATM.read_text(encoding="utf-8").split()[0]) * resource.getpagesize()


def is_over_memory(started_with: int | None, memory_mb: int) -> bool:
    """Whether decoders have kept so much memory that the next scan would have too little."""
    if started_with is not None:
        kept = address_space() - started_with
    else:
        # The peak resident size, in bytes on macOS: too strict, since it never falls.
        kept = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kept > memory_mb * MB / 4
