"""Forget a patient or a scan: nothing of them stays in the store or in the private folder.

Every row of theirs goes from every table, and so do their files' names. In ledger and delivery
lists an empty place stays (rejected, reason `forgotten`), so that counts reconcile and parts that
are made again are made of the same bytes. Keyed hashes stay too, so that no later night takes the
files again.

A journal in the private folder is written before anything is changed and removed at the end: after
a kill, running again goes on from it, whatever was found and changed before.
"""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from pipeline.ingest.delivery_lists import DeliveryLists, ListedFile, batches
from pipeline.ingest.forgotten_list import ForgottenList
from pipeline.progress import progress
from pipeline.report.batch import rewrite_report
from pipeline.stages.duplicates import AcceptedScans
from pipeline.stages.ledger_rows import RowMaker
from pipeline.stages.receive import without_facts
from pipeline.store.locks import batch_lock, commit_lock
from pipeline.store.open_store import OpenStore
from pipeline.store.tables import SCANS, personal_names
from pipeline.upkeep.erase import (
    Traces,
    erase_from_index,
    erase_rows,
    replace_rows,
    rows_in,
)
from pipeline.upkeep.find_traces import ErasureTarget, find_again

JOURNAL = "forgetting.json"


def unfinished(opened: OpenStore) -> ErasureTarget | None:
    """What a killed run had begun to forget."""
    try:
        return ErasureTarget.from_json((opened.private.root / JOURNAL).read_bytes())
    except FileNotFoundError:
        return None


def forget(opened: OpenStore, asked: ErasureTarget) -> ErasureTarget:
    """Forget what was found, and return it as it was found at last, with all runs kept off.

    After a kill, call it again with what is `unfinished`. Raises BatchBusy when a run works on
    any batch.
    """
    store, private = opened.store, opened.private
    # First of all, so that a run which begins from now on passes them over.
    ForgottenList(private).add(asked.entries, asked.scan_ids, asked.banned)
    with all_batches_locked(opened), commit_lock(store):
        found = unfinished(opened) or find_again(opened, asked)
        ForgottenList(private).add(found.entries, found.scan_ids, found.banned)
        private.sweep()
        store.sweep()
        private.write(JOURNAL, found.to_json())
        _erase_tables(opened, found)
        _erase_names(opened, found)
        _erase_ledger(opened, found)
        for batch in found.batches:
            rewrite_report(store, batch)
        _remove_pages(opened, found.traces)
        (private.root / JOURNAL).unlink()
    return found


@contextmanager
def all_batches_locked(opened: OpenStore) -> Iterator[None]:
    """Keep every run off the store: a run may hold rows in memory that it has not written yet."""
    received = SCANS.batches(opened.store)
    with ExitStack() as locks:
        for batch in sorted({*received, *batches(opened.private)}):
            locks.enter_context(batch_lock(opened.store, batch))
        yield


def _erase_tables(opened: OpenStore, found: ErasureTarget) -> None:
    names = personal_names(opened.store)
    with progress("erase", len(names)) as advance:
        for name in names:
            if rows_in(opened.store, name, found.traces):
                erase_rows(opened.store, name, found.traces)
            advance(1)


def _erase_names(opened: OpenStore, found: ErasureTarget) -> None:
    """Out of the messages, the index and the delivery lists."""
    private, log = opened.private, opened.private.root / "messages.log"
    if log.exists():
        names = mentioned_in(found)
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not names.search(line.partition(" ")[2])]
        private.write("messages.log", "".join(kept).encode())
    for batch in found.batches:
        mine = [place for place in found.places if place.batch == batch]
        erase_from_index(private, batch, found.traces, {place.path for place in mine})
        DeliveryLists(private, batch).empty({(place.part, place.row) for place in mine})


def mentioned_in(found: ErasureTarget) -> re.Pattern:
    """Finds a message about any of the files (with any suffix, as of label files) or the patient.

    Rather a line too many than one too few: a file of the same name elsewhere matches too.
    """
    words = {found.patient} if found.patient else set()
    for place in found.places:
        name = os.path.basename(place.path).decode("utf-8", "backslashreplace")
        words.add(os.path.splitext(name)[0])
    words |= found.scan_ids | found.patient_keys
    either = "|".join(re.escape(word) for word in sorted(words))
    return re.compile(rf"(?<![\w-])(?:{either})(?![\w-])")


def _erase_ledger(opened: OpenStore, found: ErasureTarget) -> None:
    """Their rows of the ledger become what receiving makes of the emptied delivery lists."""
    for batch in found.batches:
        deliveries = DeliveryLists(opened.private, batch)
        mine = {(place.part, place.row) for place in found.places if place.batch == batch}
        for part in sorted({part for part, _ in mine}):
            if not SCANS.has(opened.store, batch, part):
                continue
            listed, listed_at = deliveries.part(part)
            maker = RowMaker(opened.private, batch, part, "", listed_at)

            def change(row: dict, listed=listed, maker=maker, mine=mine) -> dict:
                if (row["part"], row["row"]) not in mine:
                    return row
                return empty_row(maker, listed[row["row"]])

            replace_rows(opened.store, SCANS.part(batch, part), change)


def empty_row(maker: RowMaker, listed: ListedFile) -> dict:
    """The ledger row of a place that was emptied."""
    return maker.scan(*without_facts(listed), AcceptedScans())


def _remove_pages(opened: OpenStore, traces: Traces) -> None:
    """Other pages and records that name any of them; they are made again by what made them."""
    for folder in ("reports", "runs"):
        for name in opened.store.names(folder):
            data = opened.store.read_bytes(name)
            if any(text in data for text in traces.texts):
                opened.store.remove(name)
