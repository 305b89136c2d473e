"""Removal of a batch that was delivered by mistake, without loss to other batches.

Scans of the batch can be duplicates in other batches, and so can boxes that this batch delivered
first. Those files are listed for another attempt, and the next run of the other batches accepts
them; boxes that reviewers drew on such scans go with them. That needs the files, so a batch is not
removed while such a file is missing.

Everything is determined from what is still there, so after a kill the same call continues; the
delivery lists of the batch are removed last.
"""

import shutil
from dataclasses import dataclass, field

from pipeline.errors import ConfigError, StoreError
from pipeline.ingest.batch_folder import BatchFolder, state_at
from pipeline.ingest.delivery_lists import DeliveryLists, ListedFile, batches
from pipeline.report.batch_report import page_name as batch_page_name
from pipeline.review.write_page import page_name as review_page_name
from pipeline.stages.drift_reference import references_with
from pipeline.stages.ledger_rows import ACCEPTED, DUPLICATE, REJECTED
from pipeline.stages.plan import plan_batch
from pipeline.store.locks import commit_lock
from pipeline.store.open_store import OpenStore
from pipeline.store.parts import read_part
from pipeline.store.store import Store
from pipeline.store.tables import LABELS, REGIONS, SCANS, parse, parts_of_batch
from pipeline.upkeep.erase import Traces, erase_rows, replace_rows, rows_in
from pipeline.upkeep.find_traces import models_of
from pipeline.upkeep.forget import all_batches_locked
from pipeline.upkeep.pages import remove_pages, write_pages

TAKEN_BACK = "taken_back"
DETAIL = "a duplicate of a scan whose batch was taken back; listed for another attempt"
COLUMNS = ["batch", "part", "row", "scan_id", "status", "duplicate_of", "patient_key", "regions"]


@dataclass
class Undoing:
    """What removing a batch changes."""

    batch: str
    scans: int = 0  # that it accepted
    files: list[str] = field(default_factory=list)  # of the store, in the order of their removal
    # Scans that are listed again, by batch and part of the other batch.
    relisted: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)  # scans that no other batch has
    models: list[str] = field(default_factory=list)  # that may have been trained on it


def find(opened: OpenStore, batch: str) -> Undoing:
    """Return what `undo` would change. Raises ConfigError for an unknown batch."""
    if batch not in batches(opened.private):
        raise ConfigError(
            f"No batch `{batch}` was delivered to this store. List the batches with: dental query "
            "batches"
        )
    ledger = list(SCANS.rows(opened.store, COLUMNS))
    mine = [row for row in ledger if row["batch"] == batch]
    accepted = [row for row in mine if _is_accepted(row)]
    undoing = Undoing(batch, len(accepted), _files(opened, batch))
    undoing.models = sorted(models_of(opened, _contributed(mine)))
    ours = _new_boxes(mine)
    # If a part accepted the scan itself, its crops must not be touched for a few borrowed boxes.
    own = {(row["batch"], row["part"], row["scan_id"]) for row in ledger if _is_accepted(row)}
    undoing.lost = {row["scan_id"] for row in accepted}
    for row in ledger:
        if row["batch"] != batch and row["status"] == DUPLICATE:
            borrowed = ours & {(row["scan_id"], *_place(b)) for b in row["regions"] if not b["new"]}
            part = row["batch"], row["part"]
            if row["duplicate_of"] == batch or (borrowed and (*part, row["scan_id"]) not in own):
                undoing.relisted.setdefault(part, set()).add(row["scan_id"])
                undoing.lost.discard(row["scan_id"])
    return undoing


def _is_accepted(row: dict) -> bool:
    return row["status"] == ACCEPTED


def _contributed(rows: list[dict]) -> Traces:
    """Return scans and patients whose crops these rows added: by acceptance, or by a new box."""
    added = [row for row in rows if _is_accepted(row) or _new_boxes([row])]
    return Traces(*(frozenset(row[name] for row in added) for name in ("scan_id", "patient_key")))


def _new_boxes(rows: list[dict]) -> set[tuple]:
    """Return scan and position of the boxes that these rows were the first to deliver."""
    return {
        (row["scan_id"], *_place(box))
        for row in rows
        if row["status"] != REJECTED
        for box in row["regions"]
        if box["new"]
    }


def _place(box: dict) -> tuple[int, int, int, int]:
    return box["x"], box["y"], box["w"], box["h"]


def _files(opened: OpenStore, batch: str) -> list[str]:
    """Return all files of the store that belong to the batch alone; its ledger is last."""
    store = opened.store
    parts = [name for name, part in parts_of_batch(store, batch) if part.kind != SCANS.kind]
    names = [
        *parts,
        *(name for name in [batch_page_name(batch), review_page_name(batch)] if store.has(name)),
    ]
    # The next run makes a new reference without the batch; comparisons with the old one are void.
    for reference in references_with(store, batch):
        names += store.names(f"drift/{reference}") + store.names(f"models/drift/{reference}")
    names += store.names(f"runs/{batch}") + SCANS.names(store, batch)
    return list(dict.fromkeys(names))


def undo(opened: OpenStore, batch: str) -> Undoing:
    """Remove the batch, and return what that changed.

    Raises BatchBusy if a run is active on any batch, and StoreError if scans would be lost.
    """
    store = opened.store
    with all_batches_locked(opened):
        undoing = find(opened, batch)
        _refuse_loss(opened, undoing)
        _relist(opened, undoing)
        with commit_lock(store):
            _hand_over_regions(store, undoing)
            for (other, part), scan_ids in sorted(undoing.relisted.items()):
                _reject_duplicates(opened, other, part, scan_ids)
            for name in LABELS.names(store):  # of reviewers, and of later deliveries
                if rows_in(store, name, Traces(frozenset(undoing.lost))):
                    erase_rows(store, name, Traces(frozenset(undoing.lost)))
            shown = remove_pages(store, Traces(frozenset(undoing.lost)))
            for name in undoing.files:
                store.remove(name)
            write_pages(store, shown - {batch})
            _remove_private(opened, batch)
    return undoing


def _hand_over_regions(store: Store, undoing: Undoing) -> None:
    """Copy the parts of `regions` about scans that another batch has into that batch."""
    heirs = {scan_id: other for (other, _), ids in undoing.relisted.items() for scan_id in ids}
    for name in REGIONS.names(store, undoing.batch):
        rows = read_part(store, name, REGIONS.schema).to_pylist()
        if rows and (heir := heirs.get(rows[0]["scan_id"])):  # a part is about one scan
            part = REGIONS.pack(heir, parse(name).number)
            part.add({**row, "batch": heir} for row in rows)
            store.write_bytes(part.name, part.to_bytes())


def _files_to_relist(opened: OpenStore, undoing: Undoing) -> dict[str, list[ListedFile]]:
    """Return the listed files of other batches that need another attempt."""
    files: dict[str, list[ListedFile]] = {}
    for other, part in sorted(undoing.relisted):
        scan_ids = undoing.relisted[other, part]
        listed, _ = DeliveryLists(opened.private, other).part(part)
        ledger = SCANS.read(opened.store, other, part, COLUMNS)
        for row in ledger.to_pylist():
            if row["status"] == DUPLICATE and row["scan_id"] in scan_ids:
                files.setdefault(other, []).append(listed[row["row"]])
    return files


def _refuse_loss(opened: OpenStore, undoing: Undoing) -> None:
    for other, files in _files_to_relist(opened, undoing).items():
        folder = DeliveryLists(opened.private, other).folder
        known = DeliveryLists(opened.private, other).latest()
        gone = [f for f in files if known[f.entry.path].attempt == f.attempt and _gone(folder, f)]
        if gone:
            raise StoreError(
                f"Batch {other} has {len(gone)} duplicates of scans in {undoing.batch} whose files "
                "are gone or changed, so these scans would be lost. Put the files of "
                f"{other} back where they were, or undo {other} first."
            )


def _gone(folder: BatchFolder, file: ListedFile) -> bool:
    return state_at(folder, file.entry.path) != (file.entry.size, file.entry.mtime_ns)


def _relist(opened: OpenStore, undoing: Undoing) -> None:
    """List the files again. Comes first, so that a kill cannot leave them unlisted."""
    for other, files in _files_to_relist(opened, undoing).items():
        known = DeliveryLists(opened.private, other).latest()
        again = {f.entry.path for f in files if known[f.entry.path].attempt == f.attempt}
        if again:
            plan_batch(other, opened, frozenset(again))


def _reject_duplicates(opened: OpenStore, other: str, part: int, scan_ids: set[str]) -> None:
    """Reject the duplicates of a part; their next attempt writes their crops again.

    The ledger is replaced last: after a kill it shows that this part is not done.
    """
    store, traces = opened.store, Traces(frozenset(scan_ids))
    for name, found in parts_of_batch(store, other):
        if found.key and found.number == part and rows_in(store, name, traces):
            erase_rows(store, name, traces)

    def change(row: dict) -> dict:
        if row["status"] != DUPLICATE or row["scan_id"] not in scan_ids:
            return row
        rejection = {"status": REJECTED, "reason": TAKEN_BACK, "detail": DETAIL}
        return {**row, **rejection, "duplicate_of": None}

    replace_rows(store, SCANS.part(other, part), change)


def _remove_private(opened: OpenStore, batch: str) -> None:
    """Remove index and delivery lists; the folder record, which makes the batch known, is last."""
    root = opened.private.root
    shutil.rmtree(root / "index" / batch, ignore_errors=True)
    home = root / "deliveries" / batch
    for path in sorted(home.glob("*.parquet")):
        path.unlink()
    shutil.rmtree(home)
