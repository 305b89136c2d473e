"""The history of a file, for `dental why`: attempts, reasons, crops and messages.

A file is found by its path in a delivered batch, and by its bytes at any path. The result contains
names of files, so it is for the person who asks and never for a log.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.errors import ConfigError
from pipeline.ingest.batch_folder import BatchFolder, content_at, folder_at, full_address, state_at
from pipeline.ingest.delivery_lists import DeliveryLists, ListedFile, batches
from pipeline.ingest.forgotten_list import ForgottenList
from pipeline.ingest.list_files import Entry, list_batch
from pipeline.report.remedies import remedy_for
from pipeline.stages.read_scan import named_scan_id, scan_id_of
from pipeline.store import catalog
from pipeline.store.open_store import OpenStore
from pipeline.store.short_ids import find_scan_id


@dataclass
class Attempt:
    """One attempt to receive the file, and its outcome."""

    batch: str
    name: str  # of the file in its batch
    attempt: int
    part: int
    status: str | None = None  # None while the file is listed and not received
    reason: str | None = None
    detail: str | None = None
    duplicate_of: str | None = None
    label_problems: int = 0
    same_file: bool = True  # False for another file with the same bytes

    @property
    def remedy(self) -> str | None:
        """What to do next; None if nothing is to do."""
        if self.status is None:
            return "run the batch: the file is listed but not received yet"
        if self.status != "rejected":
            return None
        return remedy_for(self.reason)


@dataclass
class FileHistory:
    """Everything known about a file."""

    scan_id: str | None = None  # None when the file cannot be read and never was
    notes: list[str] = field(default_factory=list)  # why there is no attempt
    attempts: list[Attempt] = field(default_factory=list)
    crops: list[dict] = field(default_factory=list)  # with the prediction of the champion for each
    regions: list[dict] = field(default_factory=list)  # reviewers' decisions about its boxes
    messages: list[str] = field(default_factory=list)  # lines of messages.log about it


def explain_file(opened: OpenStore, name: str) -> FileHistory:
    """Return the history of a file, given by its path, its scan_id or one of its crop_ids.

    Raises ConfigError for any other name.
    """
    history = FileHistory()
    places = dict(_places(opened, name))
    if (data := content_at(name)) is not None:
        history.scan_id = scan_id_of(data)
    with catalog.open_store(opened.store) as con:
        if data is None and not places:
            # The store has no id of a forgotten scan any more, so a whole one is taken as it is.
            history.scan_id = named_scan_id(name) or find_scan_id(con, name)
        history.attempts = list(_attempts(opened, con, places, history.scan_id))
        if history.scan_id is None:
            history.scan_id = _last_scan_id(con, opened, places)
        if history.scan_id:
            rows = catalog.query(con, "crops_of_scan", scan_id=history.scan_id)
            history.crops = rows.to_dict("records")
            drawn = catalog.query(con, "drawn_regions", scan_id=history.scan_id)
            history.regions = drawn.to_dict("records")
    if not history.attempts and history.scan_id is None:
        _refuse_unknown_name(name, places)
    names = {attempt.name for attempt in history.attempts} | {
        relative.decode("utf-8", "backslashreplace") for relative in places.values()
    }
    history.messages = list(_messages(opened, names))
    if not history.attempts:
        history.notes = list(_without_attempt(opened, name, places, history.scan_id))
    return history


def _refuse_unknown_name(name: str, places: dict) -> None:
    if folder_at(name).is_dir():
        raise ConfigError(
            f"{name} is a folder, expected a file, a scan_id or a crop_id. Name one file in it; "
            "dental query batches lists whole batches"
        )
    if not places:
        raise ConfigError(
            f"{name} is not a file, not in any delivered batch, and neither a scan_id (32 hex "
            "digits) nor a crop_id (scan_id:region). Correct the path, or copy a crop_id from: "
            "dental worklist"
        )


def _places(opened: OpenStore, name: str) -> Iterator[tuple[str, bytes]]:
    """Return the batches whose folder contains the path, and the path in each; it may be gone."""
    full = full_address(name)
    for batch in batches(opened.private):
        folder = os.fsencode(DeliveryLists(opened.private, batch).folder)
        if full.startswith(folder + b"/"):
            yield batch, full.removeprefix(folder + b"/")


def _attempts(opened: OpenStore, con, places: dict, scan_id: str | None) -> Iterator[Attempt]:
    ledger = catalog.query(con, "ledger_of_scan", scan_id=scan_id or "")
    by_scan_id = {(row.batch, row.part, row.row) for row in ledger.itertuples()}
    for batch in batches(opened.private):
        files = DeliveryLists(opened.private, batch).all_files()
        found = [
            file
            for file in files
            if file.entry.path == places.get(batch) or (batch, file.part, file.row) in by_scan_id
        ]
        if found:
            rows = catalog.query(con, "ledger_of_batch", batch=batch)
            by_place = {(row.part, row.row): row for row in rows.itertuples()}
            for file in found:
                row = by_place.get((file.part, file.row))
                yield _attempt(batch, file, row, file.entry.path == places.get(batch))


def _attempt(batch: str, file: ListedFile, row, same_file: bool) -> Attempt:
    name = file.entry.path.decode("utf-8", "backslashreplace")
    attempt = Attempt(batch, name, file.attempt, file.part, same_file=same_file)
    if row is not None:
        for column in ("status", "reason", "detail", "duplicate_of"):
            value = getattr(row, column)
            setattr(attempt, column, value if isinstance(value, str) else None)
        attempt.label_problems = int(row.label_problems)
    return attempt


def _last_scan_id(con, opened: OpenStore, places: dict) -> str | None:
    """Return the scan_id that was last received from the path of a file that is gone."""
    found = None
    for batch, path in places.items():
        key = opened.private.keyed("file", batch.encode() + b"\0" + path)
        for row in catalog.query(con, "ledger_of_batch", batch=batch).itertuples():
            if row.file_key == key and isinstance(row.scan_id, str):
                found = row.scan_id
    return found


def _messages(opened: OpenStore, names: set[str]) -> Iterator[str]:
    """Return the private messages about a file or its label file."""
    log = opened.private.root / "messages.log"
    if not log.exists() or not names:
        return
    # Names are on one line there, and must not match the end of another name.
    stems = (re.escape(os.path.splitext(name)[0].replace("\n", " ")) for name in names)
    about = re.compile(rf"(?<![^\s`'\"(])(?:{'|'.join(stems)})\.")
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            if about.search(line):
                yield line.rstrip("\n")


def _without_attempt(
    opened: OpenStore, name: str, places: dict, scan_id: str | None
) -> Iterator[str]:
    """Explain why no delivery list has the file."""
    forgotten = ForgottenList(opened.private)
    if forgotten.has_scan(scan_id):
        yield "It was forgotten on request and is never taken again; delete the file."
        return
    for batch, relative in places.items():
        folder = DeliveryLists(opened.private, batch).folder
        yield from _in_folder(batch, relative, folder, forgotten)
    if not places:
        yield (
            f"{name} is not in any delivered batch, and its bytes are unknown. Deliver its folder "
            "with dental run path/to/folder"
        )


def _in_folder(
    batch: str, path: bytes, folder: BatchFolder, forgotten: ForgottenList
) -> Iterator[str]:
    if not folder.is_dir():
        yield f"The folder of batch {batch} is gone, and its delivery lists have no such file."
        return
    listing = list_batch(folder)
    scans: list[Entry] = [entry for entry in listing.scans if entry.path == path]
    if any(entry.path == path for entry in listing.labels):
        yield f"It is a label file of batch {batch}, not a scan; its labels went to its scans."
    elif kind := next((kind for entry, kind in listing.other.items() if entry.path == path), None):
        yield f"By its name it is no scan of batch {batch} but another file, of the kind {kind}."
    elif any(forgotten.has_file(batch, entry) for entry in scans):
        yield f"It was forgotten in batch {batch} and is never taken again; delete the file."
    elif scans:
        yield f"It was added to the folder of batch {batch} after its last run; run it again."
    elif state_at(folder, path) is not None:
        yield (
            f"It is skipped in batch {batch}: a hidden or system file, or one that is still being "
            "written."
        )
    else:
        yield f"Batch {batch} has never had such a file, and there is none now."
