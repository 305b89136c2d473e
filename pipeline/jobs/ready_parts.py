"""Stages side by side: a thread takes each part once the stage before has finished it."""

import contextvars
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TypeVar

Result = TypeVar("Result")


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
def in_thread(work: Callable[..., Result], *arguments: object) -> Iterator[Future[Result]]:
    """Do `work` in a thread during the block, whose end waits for it; raises what it raises."""
    # Prefect finds the run that a task belongs to in the context.
    context = contextvars.copy_context()
    with ThreadPoolExecutor(1, "background") as thread:
        yield (finished := thread.submit(context.run, work, *arguments))
        finished.result()


@contextmanager
def in_background(stage: Callable[..., object], *arguments: object) -> Iterator[ReadyParts]:
    """Run `stage` in a thread on the parts that are added in the block; raises what it raises.

    It is called with the parts and `arguments`. Leaving the block waits for all of the parts; an
    exception in the block only for the one in work.
    """
    ready = ReadyParts()
    with in_thread(stage, ready, *arguments):
        try:
            yield ready
        except BaseException:
            ready.close(at_once=True)
            raise
        ready.close()
