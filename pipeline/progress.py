"""Progress of long work, and its log: a bar on a terminal, otherwise a log line now and then."""

import logging
import sys
import threading
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
    TaskID,
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


class Bar:
    """The progress of one piece of work; called with how many more items are done."""

    def __init__(self, bars: Progress, task: TaskID):
        self._bars, self._task = bars, task

    def __call__(self, more: int) -> None:
        self._bars.advance(self._task, more)

    def expect(self, more: int) -> None:
        """Add items that were not known at the start to the total."""
        self._bars.update(self._task, total=self._now.total + more)

    def end(self) -> None:
        """Show the work as complete, also when it ended early."""
        self._bars.update(self._task, total=self._now.completed)

    @property
    def _now(self) -> Task:
        return next(task for task in self._bars.tasks if task.id == self._task)


class _Display:
    """The bars on the terminal: work that goes on at the same time shares one display."""

    def __init__(self) -> None:
        self._lock, self._users, self._bars = threading.Lock(), 0, None

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Bar]:
        with self._lock:
            if not self._users:
                columns = TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn()
                times = RateColumn(), TimeRemainingColumn(elapsed_when_finished=True)
                self._bars = Progress(*columns, *times, console=Console(stderr=True))
                self._bars.start()
            self._users += 1
            bar = Bar(self._bars, self._bars.add_task(what, total=total))
        try:
            yield bar
            bar.end()
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._bars.stop()


_display = _Display()


@contextmanager
def progress(what: str, total: int) -> Iterator["Bar | _Lines"]:
    """Yield a function that takes how many more of `total` are done; its `expect` adds to `total`.

    Nothing is shown of work without items. Work that ends early, such as learning that no longer
    gains, is shown as complete.
    """
    if total and sys.stderr.isatty():
        with _display.bar(what, total) as bar:
            yield bar
    else:
        yield _Lines(what, total)


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

    def expect(self, more: int) -> None:
        self.total += more

    def __call__(self, more: int) -> None:
        self.done += more
        now = time.monotonic()
        if self.total and now >= self.next_line:
            rate = self.done / (now - self.started)
            left = (
                f", {format_rate(rate)}, {(self.total - self.done) / rate:.0f} s left"
                if rate
                else ""
            )
            log.info("%s: %d of %d%s", self.what, self.done, self.total, left)
            self.next_line = now + SECONDS_BETWEEN_LINES
