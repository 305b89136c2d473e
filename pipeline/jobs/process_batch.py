"""Process one batch: from its folder to features, predictions, checks and a report.

Independent of schedulers: the loop over parts takes a `map`. Each run checks the store for finished
work before anything slow is imported.
"""

from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial

from pipeline.errors import NotEnoughData, StageFailed
from pipeline.ingest.delivery_lists import DeliveryLists
from pipeline.jobs.batch_stages import BatchStages
from pipeline.jobs.commit_order import clear_commit_order
from pipeline.jobs.part_work import CutDrawn, Embed, Predict, Receive, Recut, Score
from pipeline.jobs.ready_parts import ReadyParts, in_background, in_thread
from pipeline.jobs.resources import job_for, release_resources, resources_for
from pipeline.progress import log, progress
from pipeline.report.batch_notes import batch_notes
from pipeline.report.batch_report import page_name, write_report
from pipeline.report.batch_summary import Summary, write_record
from pipeline.report.delivery_lines import format_delivery
from pipeline.report.format_numbers import plural
from pipeline.report.index_page import index_facts, write_index
from pipeline.stages.audit import draw_audit
from pipeline.stages.drift import compare_batch, drift_notes, drift_table
from pipeline.stages.parts_loop import PartMap, one_by_one
from pipeline.stages.plan import plan_batch
from pipeline.stages.planned_batch import PlannedBatch
from pipeline.stages.score_novelty import NoveltyModel, current_novelty
from pipeline.store import catalog, tables
from pipeline.store.locks import begin_run
from pipeline.store.open_store import OpenStore, hold_batch
from pipeline.store.regions import parts_without
from pipeline.store.registry import champion, choose_models
from pipeline.store.tables import AUDITS, REGIONS, SCANS
from pipeline.store.views.kept import keep_ledger


def run_batch(
    opened: OpenStore, batch: str, map: PartMap = one_by_one, only_new: bool = False
) -> Summary:
    """Take `batch` from its folder to its report; safe to run again after a crash.

    With `only_new`, a batch without new work is skipped: neither counted nor trained on.
    Raises BatchBusy when another run works on the batch, and StoreError for too little disk.
    """
    with hold_batch(opened, batch), closing(BatchRun(opened, batch, map, only_new)) as run:
        return run.whole()


class BatchRun(BatchStages):
    """One run over one batch; slow resources are made when first needed."""

    def __init__(self, opened: OpenStore, batch: str, map: PartMap, only_new: bool):
        self._only_new = only_new
        self.chosen = choose_models(opened.settings, opened.store)
        self.job = job_for(begin_run(opened.store, batch), batch, opened, self.chosen)
        self.tools = resources_for(self.job, opened)
        summary = Summary(batch, self.chosen.recipe_id, self.chosen.trunk_id)
        super().__init__(self.tools.opened, batch, map, summary)

    def close(self) -> None:
        release_resources(self.job)

    def whole(self) -> Summary:
        """Run all stages; each does what is not done yet."""
        with self._timed("plan"):
            self.summary.planned = self._plan()
            parts = DeliveryLists(self.opened.private, self.batch).parts()
        if self.summary.planned.new:
            for line in format_delivery(self.summary.planned, self.opened.settings):
                log.info(line)
        every = self._embedded(partial(self._receive, parts))
        # Not asked later: that a comparison was missing is no reason to learn.
        idle = self._only_new and self.summary.nothing_to_do
        with in_thread(self._compare, parts) as compared:
            if not idle:
                self._first_novelty()
                self._train()
            self._predict(every)
        self.summary.alerts, notes = compared.result()
        self.summary.notes += notes
        self._audit(parts)
        self._finish()
        return self.summary

    def drawn(self) -> Summary:
        """Do what is missing for the boxes that reviewers drew, and nothing else."""
        self._predict(self._embedded(self._cut_drawn))
        return self.summary

    def _plan(self) -> PlannedBatch:
        return plan_batch(self.batch, self.opened)

    def _embedded(self, receive: Callable[[ReadyParts], list[int]]) -> list[int]:
        """Embed and score the parts that `receive` adds, while it goes on; return its result."""
        fitted = self._current_novelty()
        with in_background(self._score, fitted) as embedded:
            with in_background(self._embed, embedded) as ready:
                parts = receive(ready)
            embedded.add(*self._unscored(parts, fitted))
        newest = self._current_novelty()
        if newest != fitted:  # another process has put it in force meanwhile
            self._score(self._unscored(parts, newest), newest)
        return parts

    def _receive(self, parts: list[int], ready: ReadyParts) -> list[int]:
        """Receive and cut what is missing; return all parts, those of drawn boxes too."""
        missing = self._missing(SCANS, parts)
        # Until its ledger exists, the crops of a part may still change.
        ready.add(*self._unembedded(sorted({*parts} - {*missing}))[0])
        files = DeliveryLists(self.opened.private, self.batch).sizes()
        clear_commit_order(self.store, self.batch)
        with progress("receive", sum(files[number] for number in missing)) as advance:
            self._each("receive", missing, Receive(self.job), advance, ready.add)
        clear_commit_order(self.store, self.batch)
        # Crops may have been deleted, and a new recipe has none: the raw scans are cut again.
        cut, missing = self._unembedded(self._existing(SCANS, parts))
        ready.add(*cut)
        with progress("cut again", sum(files[number] for number in missing)) as advance:
            outcomes = self._each("cut again", missing, Recut(self.job), advance, ready.add)
        for number, lost in zip(missing, outcomes, strict=True):
            if lost and not isinstance(lost, StageFailed):
                self.summary.notes.append(
                    f"{lost} scans of part {number} were received before but are now missing or "
                    "changed, so they have no crops; put them back and delete that part's crops to "
                    "try again"
                )
        return [*parts, *self._cut_drawn(ready)]

    def _cut_drawn(self, ready: ReadyParts) -> list[int]:
        """Cut the boxes that reviewers drew; return the numbers of all their parts."""
        drawn = REGIONS.numbers(self.store, self.batch)
        if not drawn:
            return []
        missing = parts_without(self.store, self.batch, self.chosen.features)
        missing = self._missing(self.chosen.crops, missing)
        outcomes = self._each("cut drawn", missing, CutDrawn(self.job))
        lost = [number for number in outcomes if isinstance(number, int) and number]
        if lost:
            self.summary.notes.append(
                f"{plural(sum(lost), 'drawn box', 'drawn boxes')} could not be cut, because the "
                "files of their scans are missing or changed; put them back and run the batch again"
            )
        if len(lost) == len(missing):
            self.summary.worked.pop("cut drawn", None)  # it is tried again by every run
        ready.add(*self._unembedded(drawn)[0])
        return drawn

    def _unembedded(self, parts: list[int]) -> tuple[list[int], list[int]]:
        """Parts without features, with crops and without them."""
        unembedded = self._missing(self.chosen.features, parts)
        uncut = self._missing(self.chosen.crops, unembedded)
        return sorted({*unembedded} - {*uncut}), uncut

    def _embed(self, ready: Iterable[int], embedded: ReadyParts) -> None:
        """Embed parts as they become ready; runs while others are received."""
        work = Embed(self.job)
        self._each_ready("embed", self.chosen.crops, ready, work, embedded.add)

    def _current_novelty(self) -> NoveltyModel | None:
        return current_novelty(self.store, self.chosen.trunk_id)

    def _score(self, embedded: Iterable[int], fitted: NoveltyModel | None) -> None:
        """Score the novelty of parts as they are embedded, once there is a model."""
        if fitted:
            work = Score(self.job, fitted.novelty_id)
            self._each_ready("novelty", self.chosen.features, embedded, work)

    def _unscored(self, parts: list[int], fitted: NoveltyModel | None) -> list[int]:
        """Parts with features that a model has not scored."""
        if fitted is None:
            return []
        scores = tables.novelty(fitted.novelty_id)
        return self._missing(scores, self._existing(self.chosen.features, parts))

    def _first_novelty(self) -> None:
        """Fit a first model once there are enough crops, and score them."""
        if self._current_novelty():
            return
        with self._timed("novelty"):
            try:
                failures = self._fit_and_score()
            except NotEnoughData as reason:
                self.summary.notes.append(f"No scores of novelty yet. {reason}")
                return
        self.summary.worked["novelty"] = 1
        self.summary.failures += [str(failure) for failure in failures]

    def _fit_and_score(self) -> list[StageFailed]:
        from pipeline.learn.learn_novelty import fit_and_score  # imports pandas

        return fit_and_score(self.opened, self.chosen, self._map)[1]

    def _train(self) -> None:
        """Train a first head once there are enough labels; later ones on request."""
        if champion(self.store) is not None:
            return
        try:
            self._require_enough()
        except NotEnoughData as reason:
            self.summary.notes.append(f"No head yet, so no predictions. {reason}")
            return
        with self._timed("train"):
            # Imports Keras and scikit-learn, which a run without training does not need.
            from pipeline.learn.train_head import train_head

            trained = train_head(self.store, self.chosen, self.opened.settings, log.info)
        self.summary.worked["train"] = 1
        self.summary.notes.append(f"Head {trained.head_id} was trained and is the champion now.")

    def _require_enough(self) -> None:
        from pipeline.learn.training_rows import require_enough  # imports pandas

        require_enough(self.store, self.chosen, self.opened.settings)

    def _predict(self, parts: list[int]) -> None:
        current = champion(self.store)
        if current is None:
            return
        if current["trunk"] != self.chosen.trunk_id:
            self.summary.notes.append(
                f"The champion works on trunk {current['trunk']}, your settings ask for "
                f"{self.chosen.trunk_id}: features were written, predictions need a head on them. "
                "Train one with: dental train"
            )
            return
        head = self.summary.head = current["head"]
        embedded = self._existing(self.chosen.features, parts)
        missing = self._missing(tables.predictions(head), embedded)
        self._each("predict", missing, Predict(self.job, head))

    def _compare(self, parts: list[int]) -> tuple[list[str], list[str]]:
        """Compare the whole batch with the drift reference; return alerts and notes."""
        if not parts or self.summary.failures:
            return [], []
        comparison = drift_table(self.opened, self.chosen)
        name = comparison.part(self.batch, parts[-1])
        self._each(
            "drift",
            self._missing(comparison, parts[-1:]),
            lambda number: compare_batch(self.opened, self.chosen, self.batch, number),
        )
        return drift_notes(self.store, name) if self.store.has(name) else ([], [])

    def _audit(self, parts: list[int]) -> None:
        """Draw crops for the audit: the last part of a run, without which its batch is not done."""
        if not parts or self.summary.failures:
            return
        audits = self.opened.settings.audits
        self._each(
            "audit",
            self._missing(AUDITS, parts[-1:]),
            lambda number: draw_audit(self.store, self.batch, number, self.chosen, audits),
        )

    def _finish(self) -> None:
        """Check the store and write the pages; to open its catalog takes 0.15 s."""
        name = page_name(self.batch)
        if self.summary.nothing_to_do and self.store.has(name):
            self.summary.report = name
            if not self._only_new:
                with self._timed("check"):
                    self.summary.counts = self._counts()
            return
        with self._timed("check"):
            self._check(con := catalog.open_store(self.store))
        with self._timed("report"):
            self.summary.report = write_report(con, self.store, self.summary)
        write_record(self.store, self.summary)
        if not self._only_new:  # a night writes it once, at its end
            write_index(self.store, index_facts(con))

    def _counts(self) -> dict[str, int]:
        with catalog.open_store(self.store, "batches") as con:
            return catalog.batch_counts(con, self.batch)

    def _check(self, con: catalog.Connection) -> None:
        if not self.summary.nothing_to_do:
            keep_ledger(con)
        self.summary.counts = catalog.batch_counts(con, self.batch)
        if self.summary.nothing_to_do:
            return
        self.summary.notes += batch_notes(con, self.batch)
        self.summary.broken_checks = [
            f"{name}: {len(rows)} rows" for name, rows in catalog.check(con)
        ]
