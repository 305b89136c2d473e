"""Decoders that crash, hang or grow; they run in worker processes, which import this module.

Only the standard library is imported, so that a process starts in a tenth of a second.
"""

import ctypes
import os
import signal
import sys
import time

MB = 2**20


def misbehave(how):
    """Fail as requested; anything else is returned, with the id of this process."""
    return FAILURES[how]() if how in FAILURES else (how, os.getpid())


def dereference_null():
    ctypes.string_at(0)


def hang():
    # Like a decoder in a loop of C code, which handles no signal.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(60)


def allocate_100_gigabytes():
    return len(bytearray(100_000 * MB))


def allocate_as_much_in_opencv():
    import cv2
    import numpy as np

    return cv2.copyMakeBorder(np.zeros((9, 9), np.uint8), *[150_000] * 4, cv2.BORDER_CONSTANT)


def return_more_than_memory_holds():
    return [bytes([number]) * (8 * MB) for number in range(24)]


def raise_key_error():
    return {}["no such key"]


class NotPicklable(Exception):
    """Cannot be unpickled, like many exceptions of libraries."""

    def __init__(self, one, two):
        super().__init__(one)


def raise_unpicklable():
    raise NotPicklable("one", "two")


FAILURES = {
    "crash": dereference_null,
    "abort": os.abort,
    "exit": lambda: os._exit(3),
    "hang": hang,
    "huge": allocate_100_gigabytes,
    "huge picture": allocate_as_much_in_opencv,
    "long answer": return_more_than_memory_holds,
    "bug": raise_key_error,
    "odd bug": raise_unpicklable,
}


def crash_once(path):
    """Kill this process on the first call; `path` is the file that records it."""
    if not os.path.exists(path):
        open(path, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


LEAKED = []


def leak_memory(megabytes):
    """Allocate memory and never free it; the id of this process."""
    LEAKED.append(b"x" * (megabytes * MB))
    return os.getpid()


def slow_imports(_):
    """The slow libraries that reading scans imports into a worker."""
    from pipeline.stages import read_scan  # noqa: F401

    slow = ("pandas", "tensorflow", "keras", "pyarrow", "prefect", "duckdb", "sklearn", "skimage")
    slow += ("s3fs", "botocore")
    return [name for name in slow if name in sys.modules]
