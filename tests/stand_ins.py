"""Stand-ins for decoders that misbehave; they run in worker processes, which import this module.

Only the standard library is imported, so that a process starts in a tenth of a second.
"""

import ctypes
import os
import signal
import sys
import time

MB = 2**20


def decode(what):
    """Misbehave as told; anything else comes back, with the process that did it."""
    return STAND_INS[what]() if what in STAND_INS else (what, os.getpid())


def follow_a_null_pointer():
    ctypes.string_at(0)


def hang():
    # Like a decoder in a loop, which hears of no polite signal.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(60)


def want_a_hundred_gigabytes():
    return len(bytearray(100_000 * MB))


def have_opencv_want_as_much():
    import cv2
    import numpy as np

    return cv2.copyMakeBorder(np.zeros((9, 9), np.uint8), *[150_000] * 4, cv2.BORDER_CONSTANT)


def answer_with_more_than_there_is():
    return [bytes([number]) * (8 * MB) for number in range(24)]


def have_a_bug():
    return {}["no such key"]


class DoesNotTravel(Exception):
    """Cannot be rebuilt from what pickle keeps of it, like many of other people's exceptions."""

    def __init__(self, one, two):
        super().__init__(one)


def have_an_odd_bug():
    raise DoesNotTravel("one", "two")


STAND_INS = {
    "crash": follow_a_null_pointer,
    "abort": os.abort,
    "exit": lambda: os._exit(3),
    "hang": hang,
    "huge": want_a_hundred_gigabytes,
    "huge picture": have_opencv_want_as_much,
    "long answer": answer_with_more_than_there_is,
    "bug": have_a_bug,
    "odd bug": have_an_odd_bug,
}


def killed_once(path):
    """Die in the middle of the work, the first time."""
    if not os.path.exists(path):
        open(path, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


KEPT = []


def keep(megabytes):
    """Never give memory back."""
    KEPT.append(b"x" * (megabytes * MB))
    return os.getpid()


def slow_imports(_):
    """Which slow libraries reading scans brings into a worker."""
    from pipeline.stages import read_scan  # noqa: F401

    slow = ("pandas", "tensorflow", "keras", "pyarrow", "prefect", "duckdb", "sklearn", "skimage")
    slow += ("s3fs", "botocore")
    return [name for name in slow if name in sys.modules]
