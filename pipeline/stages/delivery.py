"""Read what a batch folder holds, without writing anything: for planning and for `dental check`.

What is read here names files and patients, so it stays in memory; counts of it are `PlannedBatch`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from pipeline.config import Settings
from pipeline.errors import ScanRejected
from pipeline.ingest.batch_folder import BatchFolder
from pipeline.ingest.delivery_lists import LatestListing
from pipeline.ingest.labels.annotations import Annotations
from pipeline.ingest.labels.class_names import LabelSettings
from pipeline.ingest.labels.read_all import read_annotations
from pipeline.ingest.list_files import MASK, FileList, list_batch
from pipeline.ingest.patients import Patients
from pipeline.ingest.private_folder import Keys
from pipeline.ingest.scan_header import ScanHeader, scan_header
from pipeline.ingest.split_folders import given_side
from pipeline.ingest.unread_tables import scans_waiting, unread_tables
from pipeline.ingest.walk_folder import Entry
from pipeline.stages.find_masks import mark_masks
from pipeline.stages.read_scan import not_a_file


@dataclass
class Headers:
    """What the first bytes of scans tell, by path."""

    max_pixels: int
    found: dict[bytes, ScanHeader] = field(default_factory=dict)
    rejected: dict[bytes, ScanRejected] = field(default_factory=dict)
    # The content of a file, to find a size behind the first bytes, as in most TIFFs.
    read_whole: Callable[[Entry], bytes] | None = None

    def look(self, entry: Entry, start: bytes) -> None:
        """Take the header of a file that begins with `start`."""
        try:
            self.found[entry.path] = self._header(entry, start)
        except ScanRejected as rejection:
            self.rejected[entry.path] = rejection

    def _header(self, entry: Entry, start: bytes) -> ScanHeader:
        if entry.kind == MASK:
            raise ScanRejected(MASK, "a mask that goes with another file")
        if entry.kind != "file":
            raise ScanRejected(*not_a_file(entry.kind))
        if entry.size and not start:
            raise ScanRejected("unreadable", "may not be read; give the right to read it")
        found = scan_header(entry, start, self.max_pixels)
        if not found.has_size and self.read_whole:
            found = scan_header(entry, self.read_whole(entry), self.max_pixels)
        return found


@dataclass
class Delivery:
    """The content of a batch folder."""

    listing: FileList  # without scans that wait for a table
    annotations: Annotations
    patients: Patients
    scans: int  # entries that count as scans, waiting ones included
    unread_tables: dict[bytes, str]  # why they cannot be read, by path
    waiting: set[bytes]  # scans whose patients they may name
    headers: Headers
    keep_splits: bool  # the setting `given_splits`

    def read_headers(self, entries: Iterable[Entry]) -> None:
        """Read the headers of these scans, for their patients and formats."""
        self.patients.read_headers(list(entries), self.headers.look)

    def given_side(self, entry: Entry) -> str | None:
        """The side that the folder of a scan gives to its patient, if that is kept."""
        return given_side(entry) if self.keep_splits else None

    def digest(self, entry: Entry) -> str:
        """Hash of what the delivery tells of a scan: when it changes, the scan is listed again."""
        digest, side = self.patients.digest(entry), self.given_side(entry)
        return sha256(f"{digest}{side}".encode()).hexdigest()[:16] if side else digest


def read_delivery(
    folder: BatchFolder,
    known: Mapping[bytes, LatestListing],
    keys: Keys,
    settings: Settings,
    batch: str,
) -> Delivery:
    """Read a batch folder; `known` files, by path, were listed before.

    Scans wait while a table beside them cannot be read: it may name their patients.
    """
    listing = list_batch(folder, settings.follow_links)
    mark_masks(folder, listing, known, settings)
    labels = LabelSettings(
        settings.class_folders,
        settings.label_of_empty_files,
        settings.class_names,
        settings.numbering,
    )
    annotations = read_annotations(folder, listing, labels)
    patients = Patients(folder, listing, annotations, keys, settings, batch)
    scans = len(listing.scans)
    tables = unread_tables(listing, annotations)
    waiting = scans_waiting((e for e in listing.scans if e.path not in tables), tables)
    left_out = waiting | tables.keys()
    listing.scans = [entry for entry in listing.scans if entry.path not in left_out]
    headers = Headers(settings.pixel_limit)
    return Delivery(
        listing, annotations, patients, scans, tables, waiting, headers, settings.given_splits
    )
