"""Worker processes for decoding: one that crashes or hangs costs its own scan, no other.

Decoders are C code that meets hostile bytes. concurrent.futures loses the whole pool with one
crash and cannot end a hang; pebble replaces the one worker and goes on.
"""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import TimeoutError as TookTooLong
from typing import TypeVar

import cv2
from pebble import ProcessExpired, ProcessPool

from pipeline.errors import ScanRejected

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers:
    """A pool of `count` processes; start-up costs about a second, so one pool serves a run."""

    def __init__(self, count: int, seconds: float):
        self.count = count
        self.seconds = seconds
        # spawn: a forked child would inherit TensorFlow's threads and the batch's lock.
        self._pool = ProcessPool(
            max_workers=count,
            context=multiprocessing.get_context("spawn"),
            initializer=_quiet_start,
        )

    def map(
        self, work: Callable[[Item], Result], items: Iterable[Item]
    ) -> Iterator[Result | ScanRejected]:
        """Results in the order of `items`; a ScanRejected in place of a result that failed.

        Any other exception of `work` is our bug and is raised.
        """
        waiting: deque = deque()
        for item in items:
            waiting.append(self._pool.schedule(work, args=(item,), timeout=self.seconds))
            # Enough ahead to keep every worker busy, few enough to keep memory flat.
            if len(waiting) > 4 * self.count:
                yield self._result(waiting.popleft())
        while waiting:
            yield self._result(waiting.popleft())

    def _result(self, future):
        try:
            return future.result()
        except ScanRejected as rejection:
            return rejection
        except TookTooLong:
            return ScanRejected(
                "decoder_timeout",
                f"decoding took longer than {self.seconds:g} seconds; raise `scan_seconds` if this "
                "is a real scan",
            )
        except ProcessExpired:
            return ScanRejected("decoder_crashed", "the decoder crashed on this file")

    def close(self) -> None:
        """End the workers; what they have not begun is dropped."""
        self._pool.stop()
        self._pool.join()


def _quiet_start() -> None:
    """One thread a worker, and no decoder chatter: the ledger says what was wrong with a file."""
    cv2.setNumThreads(1)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    os.close(silence)
