"""Every night: what is new in the inbox, reviewers' labels, training when it is due, one summary.

Knows nothing of schedulers, and may be killed at any instant: the next night checks what is left to
do, so a missed or interrupted night is caught up and a second one has nothing to do. A failure is
recorded and does not keep the rest from running.
"""

import datetime
import hashlib
import os
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import BatchBusy, ConfigError, NotEnoughData, PipelineError
from pipeline.ingest.batch_folder import BatchFolder, folder_at
from pipeline.ingest.delivery_lists import DeliveryLists, batches
from pipeline.ingest.inbox import batch_folders, count_loose_files
from pipeline.ingest.list_files import has_scans
from pipeline.jobs.drawn_regions import cut_drawn_regions
from pipeline.jobs.on_failure import report_failure, run_failure_command
from pipeline.jobs.process_batch import run_batch
from pipeline.learn.review_table import is_reviewers_table
from pipeline.report.batch_report import write_report
from pipeline.report.batch_summary import Summary
from pipeline.report.index_page import QUESTIONS, index_facts, write_index, write_nights_page
from pipeline.report.night_record import (
    BROKEN,
    BUSY,
    EMPTY,
    BatchNight,
    NightRecord,
    format_night,
    of_summary,
    write_night,
)
from pipeline.report.training_summary import format_head_score
from pipeline.stages.parts_loop import PartMap, one_by_one
from pipeline.stages.plan import deliver, refuse_folder
from pipeline.store import catalog
from pipeline.store.locks import night_lock
from pipeline.store.open_store import OpenStore
from pipeline.store.registry import champion, choose_models, read_card
from pipeline.store.store import Store
from pipeline.store.views.kept import keep_ledger

if TYPE_CHECKING:
    from pipeline.learn.feedback import FeedbackResult


def nightly(opened: OpenStore, map: PartMap = one_by_one) -> NightRecord:
    """Run all steps of a night; failures are in the result, after `on_failure` was run.

    Raises NightBusy at once when another nightly run is active.
    """
    with night_lock(opened.store), report_failure(opened.settings):
        run = NightRun(opened, map)
        run.whole()
        with catalog.open_store(opened.store, *QUESTIONS) as con:
            facts = index_facts(con)
        write_pages(opened, run.night, facts)
        if run.night.failures:
            run_failure_command(
                opened.settings, "\n".join(format_night(run.night, opened.settings)) + "\n"
            )
    return run.night


def write_pages(opened: OpenStore, night: NightRecord, facts: dict[str, list[dict]]) -> None:
    """Write a night's record and the pages that list nights; `facts` are those of `index_facts`."""
    write_night(opened.store, night, opened.settings)
    write_nights_page(opened.store, opened.settings)
    write_index(opened.store, facts)


class NightRun:
    """One night's work and its record so far."""

    def __init__(self, opened: OpenStore, map: PartMap):
        self.opened, self.settings, self.store = opened, opened.settings, opened.store
        self._map = map
        self.night = NightRecord()
        self._summaries: list[Summary] = []  # of batches with new work

    def whole(self) -> None:
        """Take all steps in order."""
        with self.step("inbox"):
            self.take_batches()
        with self.step("labels"):
            self.cut_drawn()
            self.take_labels()
        with self.step("training"):
            self.train_when_due()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step of the night; one that fails does not stop the next."""
        started = time.monotonic()
        with self._recording(name):
            yield
        self.night.seconds[name] = round(time.monotonic() - started, 1)

    @contextmanager
    def _recording(self, what: str) -> Iterator[None]:
        """Record an error as a failure of the night, without names; log its message privately."""
        try:
            yield
        except Exception as error:
            on_purpose = isinstance(error, PipelineError)
            self.opened.private.log_message(
                f"{what}: {error if on_purpose else traceback.format_exc()}"
            )
            self.night.failures.append(f"{what}: {public_reason(error)}")

    def take_batches(self) -> None:
        """Run the main job on every folder of the inbox, in the order of names."""
        address = self.settings.inbox
        inbox = None if address is None else folder_at(address)
        if inbox is None or not inbox.is_dir():
            raise ConfigError(
                f"The setting `inbox` is {address}, expected a folder whose folders are batches. "
                "Set it in dental.toml or in DENTAL_INBOX."
            ).with_public(
                "the setting `inbox` names no folder; set it in dental.toml or in DENTAL_INBOX"
            )
        private = self.opened.private
        known = {DeliveryLists(private, batch).folder: batch for batch in batches(private)}
        self.night.loose_files = count_loose_files(inbox)
        for folder in batch_folders(inbox, self.settings.follow_links):
            # A batch that was delivered by hand keeps the name that it got then.
            self._take_batch(folder, known.get(folder.resolve()))

    def _take_batch(self, folder: BatchFolder, name: str | None) -> None:
        place = (
            f"folder {len(self.night.batches) + 1} of the inbox"  # its name may contain a patient's
        )
        with self._recording(name or place):
            refuse_folder(folder, self.settings)
            if not has_scans(folder):
                self.night.batches[name or place] = BatchNight(EMPTY)
                return
            name = deliver(folder, name, self.opened)
        if name is None:
            self.night.batches[place] = BatchNight(BROKEN)
            return
        self.night.batches[name] = BatchNight(BROKEN)  # until it is done
        with self._recording(f"batch {name}"):
            try:
                summary = self._run_batch(name)
            except BatchBusy as busy:
                self.night.batches[name] = BatchNight(BUSY, lines=[f"note  {busy}"])
                return
            self._keep(name, summary)

    def _run_batch(self, batch: str) -> Summary:
        return run_batch(self.opened, batch, self._map, only_new=True)

    def _keep(self, batch: str, summary: Summary) -> None:
        self.night.batches[batch] = of_summary(summary, self.settings)
        if summary.nothing_to_do:
            return
        self._summaries.append(summary)
        if summary.failures or summary.broken_checks:
            self.night.failures.append(f"batch {batch}: not all of it could be done")
        self.night.many_rejected |= summary.many_rejected(self.settings)
        self.night.unmatched_files += summary.unmatched_files

    def cut_drawn(self) -> None:
        """Cut the boxes that reviewers drew since their batches were run."""
        with self._recording("drawn boxes"):
            self.night.failures += cut_drawn_regions(self.opened, map=self._map).failures

    def take_labels(self) -> None:
        """Apply reviewers' tables, the oldest first; those applied before are known by a digest.

        Without that, an old table would give the newest labels again every night. A kill between
        appending and storing the digest is harmless: a label that is known is not appended. One
        that withdraws labels or changes many is held back, every night until a person gives it.
        """
        folder = self.settings.feedback
        if folder is None:
            return
        if not folder.is_dir():
            raise ConfigError(
                f"The setting `feedback` is {folder}, expected a folder of reviewers' tables. "
                "Make it, or correct the setting."
            ).with_public("the setting `feedback` names no folder; make it, or correct the setting")
        taken = self.night.labels = dict.fromkeys(("files", "appended", "withdrawn", "unused"), 0)
        tables = filter(is_reviewers_table, folder.iterdir())
        for number, path in enumerate(sorted(tables, key=_age_and_name), start=1):
            with self._recording(f"table {number} of reviewers' labels"):
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                if self.opened.private.path("feedback", digest).exists():
                    continue
                found = self._take_table(path)
                if found.held:
                    self.opened.private.log_message(f"{path}: held back, since {found.held}")
                    self.night.held_tables.append(f"table {number}: {found.held}")
                    continue
                for problem in found.problems:
                    self.opened.private.log_message(f"{path}: {problem}")
                self.opened.private.write(f"feedback/{digest}", b"")
                taken["files"] += 1
                taken["appended"] += found.appended
                taken["withdrawn"] += found.withdrawn
                taken["unused"] += len(found.problems)

    def _take_table(self, path: Path) -> "FeedbackResult":
        from pipeline.learn.feedback import take_feedback  # imports pandas

        return take_feedback(self.settings, path)

    def train_when_due(self) -> None:
        """Train and promote once enough labels are new; without a champion, as soon as possible."""
        self.night.head = self._why_not_due()
        if self.night.head is None:
            self._train()

    def _why_not_due(self) -> str | None:
        """Why no head is to be trained; None when one is."""
        chosen = choose_models(self.settings, self.store)
        since = last_training(self.store, chosen.trunk_id)
        if since is not None:
            found = catalog.ask(self.store, "new_labels", trunk=chosen.trunk_id, since=since)
            new, enough = len(found), self.settings.min_new_labels
            if new < enough:
                return f"{new} new labels since the last training, {enough} are needed"
        from pipeline.learn.training_rows import require_enough  # imports pandas

        try:
            require_enough(self.store, chosen, self.settings)
        except NotEnoughData as too_little:
            return f"none was trained. {too_little}"
        return None

    def _train(self) -> None:
        # Imports Keras and scikit-learn, which a night with nothing to learn does without.
        from pipeline.learn.train import learn_and_predict
        from pipeline.report.model_page import write_head_page

        chosen = choose_models(self.settings, self.store)
        began = datetime.datetime.now(datetime.UTC).isoformat()
        trained, failures = learn_and_predict(self.opened, self._map)
        self.night.promoted = trained.promoted
        verdict = "promoted" if trained.promoted else "not promoted"
        score = " ".join(format_head_score(trained.card))
        self.night.head = f"{trained.head_id} was trained and {verdict}: {trained.words}. {score}"
        self.night.failures += [str(failure) for failure in failures]
        self.store.write_bytes(training_mark(chosen.trunk_id), began.encode())
        with self._recording("page of the head"):
            write_head_page(self.store, trained.head_id, self.settings)
        if trained.promoted:
            self._rewrite_reports(trained.head_id)

    def _rewrite_reports(self, head_id: str) -> None:
        """Write the pages of tonight's batches again, which were written before the new head."""
        for summary in self._summaries:
            summary.head = head_id
            with catalog.open_store(self.store) as con:
                keep_ledger(con)
                summary.counts = catalog.batch_counts(con, summary.batch)
                write_report(con, self.store, summary)


def public_reason(error: Exception) -> str:
    """Why something failed, without paths, names and identifiers."""
    kind = type(error).__name__
    if isinstance(error, PipelineError):
        return f"{kind}: {error.public}" if error.public else kind
    # The text of the system alone, without the file that it is about.
    return f"{kind}: {error.strerror}" if isinstance(error, OSError) and error.strerror else kind


def training_mark(trunk_id: str) -> str:
    """Where a night records when it last trained a head on a trunk.

    The head's card does not have it: labels that return to what they were give a head that exists
    already, with its old card, and every later night would train it again.
    """
    return f"runs/trained-{trunk_id}"


def last_training(store: Store, trunk_id: str) -> str | None:
    """When a head was last trained on a trunk, promoted or not; None before the first."""
    if champion(store) is None:
        return None
    homes = {os.path.dirname(name) for name in store.names("models/heads") if "card.json" in name}
    cards = [read_card(store, home) for home in homes]
    times = [card["made_at"] for card in cards if card["trunk"] == trunk_id]
    if store.has(mark := training_mark(trunk_id)):
        times.append(store.read_bytes(mark).decode())
    return max(times, default=None)


def _age_and_name(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name
