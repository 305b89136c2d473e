"""Forgetting a patient or a scan: nothing of them stays in the store or in the private folder.

All their rows are erased from every table, and so are the names of their files. In the ledger and
the delivery lists an empty entry stays (rejected, reason `forgotten`), so that counts reconcile and
parts that are written again have the same bytes. Keyed hashes stay too, so that no later run takes
the files again.

A journal in the private folder is written before anything is changed and removed at the end. After
a kill, another run continues from it, whatever had been erased by then.
"""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from pipeline.ingest.delivery_lists import DeliveryLists, ListedFile, batches
from pipeline.ingest.forgotten_list import FORGETTING, ForgottenList
from pipeline.progress import progress
from pipeline.stages.duplicates import AcceptedScans
from pipeline.stages.ledger_rows import RowMaker
from pipeline.stages.receive import without_facts
from pipeline.store.locks import batch_lock, commit_lock
from pipeline.store.open_store import OpenStore
from pipeline.store.tables import SCANS, personal_names
from pipeline.upkeep.erase import (
    erase_from_index,
    erase_rows,
    replace_rows,
    rows_in,
)
from pipeline.upkeep.find_traces import ErasureTarget, find_again
from pipeline.upkeep.list_exports import erase_from_exports
from pipeline.upkeep.pages import remove_pages, write_pages


def unfinished(opened: OpenStore) -> ErasureTarget | None:
    """Return what an interrupted run had begun to forget."""
    try:
        return ErasureTarget.from_json((opened.private.root / FORGETTING).read_bytes())
    except FileNotFoundError:
        return None


def forget(opened: OpenStore, target: ErasureTarget) -> ErasureTarget:
    """Forget `target`, and return what was found of it once all batches were locked.

    After a kill, call it again with what `unfinished` returns. Raises BatchBusy if a run is active
    on any batch.
    """
    store, private = opened.store, opened.private
    # First of all, so that runs that start from now on skip them.
    ForgottenList(private).add(target.entries, target.scan_ids, target.banned)
    with all_batches_locked(opened), commit_lock(store):
        found = unfinished(opened) or find_again(opened, target)
        ForgottenList(private).add(found.entries, found.scan_ids, found.banned)
        private.sweep()
        store.sweep()
        private.write(FORGETTING, found.to_json())
        _erase_tables(opened, found)
        _erase_names(opened, found)
        _erase_ledger(opened, found)
        write_pages(store, remove_pages(store, found.traces).union(found.batches))
        (private.root / FORGETTING).unlink()
    return found


@contextmanager
def all_batches_locked(opened: OpenStore) -> Iterator[None]:
    """Lock every batch: an active run may hold rows in memory that it has not written yet."""
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
    """Erase them from messages.log, the lists of exports, the index and the delivery lists."""
    private, log = opened.private, opened.private.root / "messages.log"
    if log.exists():
        names = name_pattern(found)
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not names.search(line.partition(" ")[2])]
        private.write("messages.log", "".join(kept).encode())
    erase_from_exports(private, found.scan_ids)
    for batch in found.batches:
        mine = [place for place in found.places if place.batch == batch]
        erase_from_index(private, batch, found.traces, {place.path for place in mine})
        DeliveryLists(private, batch).erase({(place.part, place.row) for place in mine})


def name_pattern(found: ErasureTarget) -> re.Pattern:
    """Return a pattern that matches a message about the patient or any of the files.

    File names match with any suffix, as of label files. Rather a line too many than one too few:
    a file of the same name elsewhere matches too.
    """
    names = {found.patient} if found.patient else set()
    for place in found.places:
        name = os.path.basename(place.path).decode("utf-8", "backslashreplace")
        names.add(os.path.splitext(name)[0])
    names |= found.scan_ids | found.patient_keys
    any_name = "|".join(re.escape(name) for name in sorted(names))
    return re.compile(rf"(?<![\w-])(?:{any_name})(?![\w-])")


def _erase_ledger(opened: OpenStore, found: ErasureTarget) -> None:
    """Replace their ledger rows by what receiving writes for an emptied delivery-list entry."""
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
    """Return the ledger row of an emptied delivery-list entry."""
    return maker.scan(*without_facts(listed), AcceptedScans())
