"""What became of a file, and why: from the ledger, the private index and the private messages.

A file is found by where it lies in a batch that was delivered, and by its bytes wherever it lies.
The answer names files, so it is for a person who asks, never for a log.
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
from pipeline.stages.read_scan import named_scan_id, scan_id_of
from pipeline.store import catalog
from pipeline.store.open_store import OpenStore
from pipeline.store.short_ids import find_scan_id

# What to do about a reason; any other says it in its own words.
REMEDIES = {
    "not_an_image": "deliver it as JPEG, PNG, TIFF, BMP or DICOM, or take it out of the folder",
    "undecodable": "copy or export it again; its bytes are incomplete",
    "vanished": "put it back and run dental retry",
    "changed": "nothing: the next run takes it as it is now",
    "unreadable": "give yourself the right to read it, then run dental retry",
    "decoder_timeout": "run dental retry when the machine is idle, or raise `scan_seconds`",
    "decoder_crashed": "run dental retry after an update; else export the file again",
    "too_large": "raise `max_pixels` if it is a real scan, then run dental retry",
    "unsupported_transfer_syntax": "export it uncompressed, or run dental retry after an update",
    "taken_back": "run the batch again: the file is listed for another attempt",
    "forgotten": "delete the file; it was forgotten on request",
}


@dataclass
class Attempt:
    """One delivery of the file, and what was decided about it."""

    batch: str
    name: str  # of the file in its batch
    attempt: int
    part: int
    status: str | None = None  # None while it is listed and not received
    reason: str | None = None
    detail: str | None = None
    duplicate_of: str | None = None
    label_problems: int = 0
    same_file: bool = True  # the file that was asked about, or another name for the same bytes

    @property
    def remedy(self) -> str | None:
        if self.status is None:
            return "run the batch: the file is listed and not received yet"
        if self.status != "rejected":
            return None
        return REMEDIES.get(self.reason, "see the reason above; after that, run dental retry")


@dataclass
class FileHistory:
    """Everything that is known about a file."""

    scan_id: str | None = None  # None when the file cannot be read and never was
    where: list[str] = field(default_factory=list)  # in words, when no attempt tells
    attempts: list[Attempt] = field(default_factory=list)
    crops: list[dict] = field(default_factory=list)  # with what the champion says about each
    messages: list[str] = field(default_factory=list)  # lines of messages.log that name it


def explain_file(opened: OpenStore, said: str) -> FileHistory:
    """What became of the file `said`, which may also be a scan_id or a crop_id.

    Raises ConfigError when `said` is none of them.
    """
    answer = FileHistory()
    places = dict(_places(opened, said))
    data = content_at(said)
    if data is not None:
        answer.scan_id = scan_id_of(data)
    with catalog.open_store(opened.store) as con:
        if data is None and not places:
            # Of a scan that was forgotten the store has no id any more, so a whole one is taken.
            answer.scan_id = named_scan_id(said) or find_scan_id(con, said)
        answer.attempts = list(_attempts(opened, con, places, answer.scan_id))
        if answer.scan_id is None:
            answer.scan_id = _last_scan_id(con, opened, places)
        if answer.scan_id:
            rows = catalog.query(con, "crops_of_scan", scan_id=answer.scan_id)
            answer.crops = rows.to_dict("records")
    if not answer.attempts and answer.scan_id is None:
        _refuse_what_is_no_file(said, places)
    names = {attempt.name for attempt in answer.attempts} | {
        relative.decode("utf-8", "backslashreplace") for relative in places.values()
    }
    answer.messages = list(_messages(opened, names))
    if not answer.attempts:
        answer.where = list(_without_attempt(opened, said, places, answer.scan_id))
    return answer


def _refuse_what_is_no_file(said: str, places: dict) -> None:
    if folder_at(said).is_dir():
        raise ConfigError(
            f"{said} is a folder, expected a file, a scan_id or a crop_id. Name one file in it; "
            "dental query batches tells of whole batches"
        )
    if not places:
        raise ConfigError(
            f"{said} is no file and lies in no batch that was delivered; it is neither a scan_id "
            "(32 hex digits) nor a crop_id (scan_id:region). Correct the path, or copy a crop_id "
            "from: dental query worklist"
        )


def _places(opened: OpenStore, said: str) -> Iterator[tuple[str, bytes]]:
    """Batches whose folder holds the file, and its path in each; the file may be gone."""
    full = full_address(said)
    for batch in batches(opened.private):
        folder = os.fsencode(DeliveryLists(opened.private, batch).folder)
        if full.startswith(folder + b"/"):
            yield batch, full.removeprefix(folder + b"/")


def _attempts(opened: OpenStore, con, places: dict, scan_id: str | None) -> Iterator[Attempt]:
    ledger = catalog.query(con, "ledger_of_scan", scan_id=scan_id or "")
    theirs = {(row.batch, row.part, row.row) for row in ledger.itertuples()}
    for batch in batches(opened.private):
        files = DeliveryLists(opened.private, batch).everything()
        found = [
            file
            for file in files
            if file.entry.path == places.get(batch) or (batch, file.part, file.row) in theirs
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
    """Of a file that is gone: the bytes that lay there last."""
    found = None
    for batch, path in places.items():
        key = opened.private.keyed("file", batch.encode() + b"\0" + path)
        for row in catalog.query(con, "ledger_of_batch", batch=batch).itertuples():
            if row.file_key == key and isinstance(row.scan_id, str):
                found = row.scan_id
    return found


def _messages(opened: OpenStore, names: set[str]) -> Iterator[str]:
    """What the private messages say about a file, or about its label file."""
    log = opened.private.root / "messages.log"
    if not log.exists() or not names:
        return
    # As a name stands there: on one line, and not the end of another name.
    stems = (re.escape(os.path.splitext(name)[0].replace("\n", " ")) for name in names)
    about = re.compile(rf"(?<![^\s`'\"(])(?:{'|'.join(stems)})\.")
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            if about.search(line):
                yield line.rstrip("\n")


def _without_attempt(
    opened: OpenStore, said: str, places: dict, scan_id: str | None
) -> Iterator[str]:
    """Why no delivery list has the file."""
    forgotten = ForgottenList(opened.private)
    if forgotten.has_scan(scan_id):
        yield "It was forgotten on request and is not taken again; delete the file."
        return
    for batch, relative in places.items():
        folder = DeliveryLists(opened.private, batch).folder
        yield from _in_folder(batch, relative, folder, forgotten)
    if not places:
        yield (
            f"{said} lies in no batch that was delivered, and its bytes are not known. Deliver its "
            "folder with make run-flow BATCH=path/to/folder"
        )


def _in_folder(
    batch: str, path: bytes, folder: BatchFolder, forgotten: ForgottenList
) -> Iterator[str]:
    if not folder.is_dir():
        yield f"The folder of batch {batch} is gone, and its lists never had such a file."
        return
    listing = list_batch(folder)
    scans: list[Entry] = [entry for entry in listing.scans if entry.path == path]
    if any(entry.path == path for entry in listing.labels):
        yield f"It is a label file of batch {batch}, not a scan; what it says went to its scans."
    elif any(forgotten.has_file(batch, entry) for entry in scans):
        yield f"It was forgotten in batch {batch} and is not taken again; delete the file."
    elif scans:
        yield f"It came to the folder of batch {batch} after the last run; run the batch again."
    elif state_at(folder, path) is not None:
        yield (
            f"It is passed over in batch {batch}: a hidden or system file, or one that is still "
            "being written."
        )
    else:
        yield f"Batch {batch} never had such a file, and there is none now."
