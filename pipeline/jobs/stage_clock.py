"""The time that each stage of a run takes, when stages work at the same time."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class StageClock:
    """Measures stages so that their times add up to the time that has passed.

    While several stages work, each is charged an equal share of the time. `charge` takes a stage
    and seconds.
    """

    def __init__(self, charge: Callable[[str, float], None]):
        self._charge, self._working = charge, Counter[str]()
        self._lock, self._since = threading.Lock(), 0.0

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Charge `stage` until the block ends; callable from any thread, and within itself."""
        self._change(stage, 1)
        try:
            yield
        finally:
            self._change(stage, -1)

    def _change(self, stage: str, more: int) -> None:
        with self._lock:
            now = time.monotonic()
            for working in +self._working:
                self._charge(working, (now - self._since) / len(+self._working))
            self._working[stage] += more
            self._since = now
