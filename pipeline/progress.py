"""How far long work has come: a bar in a terminal, a log line now and then otherwise."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

log = logging.getLogger("dental")
SECONDS_BETWEEN_LINES = 10.0

Advance = Callable[[int], None]


@contextmanager
def progress(what: str, total: int) -> Iterator[Advance]:
    """Yield a function to be told how many more of `total` are done."""
    if sys.stderr.isatty():
        columns = TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn()
        with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
            task = bar.add_task(what, total=total)
            yield lambda more: bar.advance(task, more)
        return
    yield _Lines(what, total).advance


class _Lines:
    """Log lines for where nobody watches."""

    def __init__(self, what: str, total: int):
        self.what, self.total, self.done = what, total, 0
        self.next_line = time.monotonic() + SECONDS_BETWEEN_LINES

    def advance(self, more: int) -> None:
        self.done += more
        if time.monotonic() >= self.next_line:
            log.info("%s: %d of %d", self.what, self.done, self.total)
            self.next_line = time.monotonic() + SECONDS_BETWEEN_LINES
