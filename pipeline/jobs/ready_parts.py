"""Embed parts while others are still received: a thread takes each part once its crops exist."""

import contextvars
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue


class ReadyParts:
    """Numbers of parts that are ready for the next stage; iterating waits for the next one."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[int | None] = SimpleQueue()
        self._added: set[int] = set()
        self._stopped = False

    def add(self, *numbers: int) -> None:
        """Hand on parts, each of them once."""
        for number in numbers:
            if number not in self._added:
                self._added.add(number)
                self._queue.put(number)

    def close(self, at_once: bool = False) -> None:
        """End the iteration after the parts that were added, or `at_once`."""
        self._stopped = at_once
        self._queue.put(None)

    def __iter__(self) -> Iterator[int]:
        while (number := self._queue.get()) is not None and not self._stopped:
            yield number


@contextmanager
def in_background(stage: Callable[[Iterable[int]], None]) -> Iterator[ReadyParts]:
    """Run `stage` in a thread on the parts that are added in the block; raises what it raises.

    Leaving the block waits for all of them; an exception in the block only for the one in work.
    """
    ready = ReadyParts()
    # Prefect finds the run that a task belongs to in the context.
    context = contextvars.copy_context()
    with ThreadPoolExecutor(1, "background") as thread:
        finished = thread.submit(context.run, stage, ready)
        try:
            yield ready
        except BaseException:
            ready.close(at_once=True)
            raise
        ready.close()
        finished.result()
