"""Run stages over the parts of a batch, and record what each did in a summary."""

from collections.abc import Callable, Iterable, Iterator

from pipeline.errors import StageFailed
from pipeline.jobs.stage_clock import StageClock
from pipeline.progress import Advance, progress
from pipeline.report.batch_summary import Summary
from pipeline.stages.parts_loop import PartMap, StageRun, Work
from pipeline.store.open_store import OpenStore
from pipeline.store.parts import row_count
from pipeline.store.tables import Table


class BatchStages:
    """The parts of a batch, which of them a table has, and how a stage runs over them."""

    def __init__(self, opened: OpenStore, batch: str, map: PartMap, summary: Summary):
        self.opened, self.store, self.batch = opened, opened.store, batch
        self._map, self.summary = map, summary
        self._timed = StageClock(summary.add_seconds).timed

    def _existing(self, table: Table, parts: list[int]) -> list[int]:
        return table.existing(self.store, self.batch, parts)

    def _missing(self, table: Table, parts: list[int]) -> list[int]:
        return table.missing(self.store, self.batch, parts)

    def _row_count(self, table: Table, parts: list[int]) -> int:
        return sum(row_count(self.store, table.part(self.batch, number)) for number in parts)

    def _each(
        self,
        stage: str,
        numbers: Iterable[int],
        work: Work | Callable[[int], object],
        advance: Advance = lambda _: None,
        finished: Callable[[int], object] = lambda _: None,
    ) -> list[object]:
        """Run a stage over the parts that lack its output; return the outcome of each."""
        if not numbers:
            return []
        run = StageRun(stage, self.batch, work, self.opened.private, advance, finished, self._timed)
        outcomes = list(self._map(stage, run, numbers))
        self.summary.worked[stage] = self.summary.worked.get(stage, 0) + len(outcomes)
        failures = [str(each) for each in outcomes if isinstance(each, StageFailed)]
        self.summary.failures += failures
        return outcomes

    def _each_ready(
        self,
        stage: str,
        table: Table,
        ready: Iterable[int],
        work: Work,
        finished: Callable[[int], object] = lambda _: None,
    ) -> None:
        """Run a stage over parts as they become ready; its progress is in the rows of `table`."""
        numbers = iter(ready)
        if (first := next(numbers, None)) is None:
            return
        with progress(stage, self._row_count(table, [first])) as advance:

            def counted() -> Iterator[int]:
                yield first
                for number in numbers:
                    advance.expect(self._row_count(table, [number]))
                    yield number

            self._each(stage, counted(), work, advance, finished)
