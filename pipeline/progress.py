"""Progress of long work, and its log: a bar on a terminal, otherwise a log line now and then."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

log = logging.getLogger("dental")
SECONDS_BETWEEN_LINES = 10.0

Advance = Callable[[int], None]


class StderrHandler(logging.Handler):
    """Write to the standard error of the moment, which a bar replaces while it is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


def log_to_stderr() -> None:
    """Show the log of this process on standard error."""
    logging.basicConfig(format="%(message)s", handlers=[StderrHandler()])
    log.setLevel(logging.INFO)
    # Without a home directory it warns that its cache is a temporary one.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)


@contextmanager
def progress(what: str, total: int) -> Iterator[Advance]:
    """Yield a function that takes how many more of `total` are done.

    Nothing is shown of work without items. Work that ends early, such as learning that no longer
    gains, is shown as complete.
    """
    if total == 0:
        yield lambda more: None
    elif sys.stderr.isatty():
        columns = TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn()
        times = RateColumn(), TimeRemainingColumn(elapsed_when_finished=True)
        with Progress(*columns, *times, console=Console(stderr=True)) as bar:
            task = bar.add_task(what, total=total)
            yield lambda more: bar.advance(task, more)
            bar.update(task, total=bar.tasks[0].completed)
    else:
        yield _Lines(what, total).advance


class RateColumn(ProgressColumn):
    """Items a second, or a minute when there are few."""

    def render(self, task: Task) -> Text:
        # Of finished work the mean: the speed of a bar is that of its last half minute.
        whole = task.completed / task.elapsed if task.finished and task.elapsed else None
        return Text(format_rate(whole or task.speed), style="progress.data.speed")


def format_rate(per_second: float | None) -> str:
    """`12/s`, `1.5/s` or `3/min`; nothing for an unknown rate."""
    if not per_second:
        return ""
    if per_second < 0.5:
        return (
            f"{60 * per_second:.0f}/min" if per_second >= 1 / 60 else f"{3600 * per_second:.0f}/h"
        )
    return f"{per_second:.1f}/s" if per_second < 10 else f"{per_second:.0f}/s"


class _Lines:
    """Log lines for where no terminal shows a bar."""

    def __init__(self, what: str, total: int):
        self.what, self.total, self.done = what, total, 0
        self.started = time.monotonic()
        self.next_line = self.started + SECONDS_BETWEEN_LINES

    def advance(self, more: int) -> None:
        self.done += more
        now = time.monotonic()
        if now >= self.next_line:
            rate = self.done / (now - self.started)
            left = (
                f", {format_rate(rate)}, {(self.total - self.done) / rate:.0f} s left"
                if rate
                else ""
            )
            log.info("%s: %d of %d%s", self.what, self.done, self.total, left)
            self.next_line = now + SECONDS_BETWEEN_LINES
