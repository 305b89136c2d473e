"""Find out whether a run has anything to do, without importing Prefect, Keras or DuckDB.

It is the run itself, which ends at the first work that it finds: `WorkFound`. When it comes to its
end, its summary is that of a run with nothing to do. Nothing is written but locks and kept answers.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NoReturn

from pipeline.errors import NotEnoughData
from pipeline.ingest.batch_folder import BatchFolder
from pipeline.ingest.delivery_lists import DeliveryLists
from pipeline.ingest.list_files import has_scans
from pipeline.jobs.drawn_regions import batches_with_new_boxes
from pipeline.jobs.kept_answers import KeptAnswers
from pipeline.jobs.nightly import NightRun, write_pages
from pipeline.jobs.process_batch import BatchRun
from pipeline.report.batch_report import page_name
from pipeline.report.batch_summary import Summary
from pipeline.report.index_page import QUESTIONS, index_facts
from pipeline.report.night_record import NightRecord
from pipeline.stages.parts_loop import one_by_one
from pipeline.stages.plan import find_new, log_unread_tables
from pipeline.stages.planned_batch import PlannedBatch
from pipeline.store import catalog
from pipeline.store.locks import night_lock
from pipeline.store.open_store import OpenStore, hold_batch
from pipeline.store.tables import Table

EMBEDDED_AFTER = ("plan", "scans", "crops", "features")  # work that ends with embeddings


class WorkFound(Exception):
    """There is something to do, first of all at `what`."""

    def __init__(self, what: str):
        super().__init__(what)
        self.what = what

    @property
    def embeds(self) -> bool:
        """Whether crops are to be embedded, as far as was seen."""
        return self.what in EMBEDDED_AFTER


def find_batch_work(opened: OpenStore, batch: str, only_new: bool = False) -> Summary:
    """The summary of a run of the batch that has nothing to do; raises WorkFound if it has.

    Raises what the run would raise, which meets it again.
    """
    if not DeliveryLists(opened.private, batch).lists():
        raise WorkFound("plan")
    with hold_batch(opened, batch), closing(BatchLook(opened, batch, only_new)) as look:
        return look.whole()


def find_night_work(opened: OpenStore) -> NightRecord:
    """The record of a night that had nothing to do, once it is written; raises WorkFound else.

    Raises NightBusy at once when another nightly run is active.
    """
    with night_lock(opened.store):
        look = NightLook(opened)
        look.whole()
        write_pages(opened, look.night, look.facts())
        return look.night


class BatchLook(BatchRun):
    """A run of a batch up to the first work."""

    def __init__(self, opened: OpenStore, batch: str, only_new: bool):
        super().__init__(opened, batch, one_by_one, only_new)
        self._answers = KeptAnswers(opened, f"batch-{batch}")

    def _plan(self) -> PlannedBatch:
        planned, found, new = find_new(self.batch, self.opened)
        if new:
            raise WorkFound("plan")
        log_unread_tables(found, self.opened.private)
        return planned

    def _missing(self, table: Table, parts: list[int]) -> list[int]:
        if missing := super()._missing(table, parts):
            raise WorkFound(table.kind)
        return missing

    def _fit_and_score(self) -> NoReturn:
        self._refuse("novelty", self._require_rows)

    def _require_rows(self) -> None:
        from pipeline.learn.learn_novelty import require_rows  # imports pandas

        require_rows(self.store, self.chosen, self.opened.settings)

    def _require_enough(self) -> NoReturn:
        self._refuse("train", super()._require_enough)

    def _refuse(self, stage: str, require: Callable[[], None]) -> NoReturn:
        """Raise NotEnoughData when `require` does, for a stage that cannot learn yet.

        Else WorkFound.
        """
        reason = self._answers.of(stage, lambda: _too_little(require))
        raise WorkFound(stage) if reason is None else NotEnoughData(reason)

    def _finish(self) -> None:
        if not self.store.has(page_name(self.batch)):
            raise WorkFound("report")
        super()._finish()

    def _counts(self) -> dict[str, int]:
        return self._answers.of("counts", super()._counts)


def _too_little(require: Callable[[], None]) -> str | None:
    try:
        require()
    except NotEnoughData as reason:
        return str(reason)
    return None


class NightLook(NightRun):
    """A night up to the first work; what it could not do is for the night itself."""

    def __init__(self, opened: OpenStore):
        super().__init__(opened, one_by_one)
        self._answers = KeptAnswers(opened, "night")

    def facts(self) -> dict[str, list[dict]]:
        """The facts of the overview page."""
        return self._answers.of("index", self._index_facts)

    def _index_facts(self) -> dict[str, list[dict]]:
        with catalog.open_store(self.store, *QUESTIONS) as con:
            return index_facts(con)

    @contextmanager
    def _recording(self, what: str) -> Iterator[None]:
        try:
            yield
        except WorkFound:
            raise
        except Exception as error:
            raise WorkFound(what) from error

    def _take_batch(self, folder: BatchFolder, name: str | None) -> None:
        if name is None and has_scans(folder):
            raise WorkFound("plan")
        super()._take_batch(folder, name)

    def _run_batch(self, batch: str) -> Summary:
        return find_batch_work(self.opened, batch, only_new=True)

    def cut_drawn(self) -> None:
        for _ in batches_with_new_boxes(self.opened):
            raise WorkFound("regions")

    def _take_table(self, path: Path) -> NoReturn:
        raise WorkFound("labels")

    def _why_not_due(self) -> str | None:
        return self._answers.of("training", super()._why_not_due)

    def _train(self) -> NoReturn:
        raise WorkFound("train")
