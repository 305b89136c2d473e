"""Receive one part of a delivery list: write its crops, labels and ledger.

Every listed file becomes exactly one row of the ledger, usable or not. The ledger part is written
last: its existence means that the part was received.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa

from pipeline.config import Quality
from pipeline.errors import ConfigError, ScanRejected
from pipeline.imaging.crops import Place
from pipeline.imaging.regions import Annotated
from pipeline.ingest.delivery_lists import FORGOTTEN, DeliveryLists, ListedFile
from pipeline.ingest.forgotten_list import ForgottenList
from pipeline.ingest.labels.annotations import Annotation
from pipeline.ingest.private_folder import PrivateFolder
from pipeline.ingest.workers.pool import WorkerPool
from pipeline.progress import Advance
from pipeline.stages.duplicates import AcceptedInStore, AcceptedScans
from pipeline.stages.ledger_rows import REJECTED, RowMaker
from pipeline.stages.read_scan import Order, Read, orders_ahead, read_scan
from pipeline.stages.withdraw_labels import withdrawn_labels
from pipeline.store.encoded_parts import PackedPart
from pipeline.store.locks import commit_lock
from pipeline.store.open_store import OpenStore
from pipeline.store.regions import accepted_scan, frame_number, new_boxes
from pipeline.store.registry import ModelChoice
from pipeline.store.store import Store
from pipeline.store.tables import LABELS, SCANS

Commits = Callable[[], AbstractContextManager[None]]
INDEX = pa.schema([("scan_id", pa.string()), ("path", pa.binary())])


@dataclass(frozen=True)
class Receiver:
    """Receives the parts of one run."""

    opened: OpenStore
    batch: str
    chosen: ModelChoice
    workers: WorkerPool
    accepted: AcceptedInStore
    advance: Advance

    def receive_part(self, number: int, commits: Commits | None = None) -> str:
        """Receive one part unless it is done already; return the name of its ledger.

        `commits` is entered once the files are read, and held while the part is committed; by
        default it is the commit lock of the store.
        """
        name = SCANS.part(self.batch, number)
        if self.opened.store.has(name):
            return name
        deliveries = DeliveryLists(self.opened.private, self.batch)
        listed, listed_at = deliveries.part(number)
        maker = RowMaker(self.opened.private, self.batch, number, self.chosen.recipe_id, listed_at)
        self.accepted.refresh()
        store = self.opened.store
        with closing(_Part(store, maker, self.chosen, self.accepted)) as part:
            for file, read in self._read(deliveries, listed, self.opened.settings.quality):
                part.add(file, read)
            part.commit(commits or partial(commit_lock, store))
        return name

    def recut_part(self, number: int) -> int:
        """Cut the crops of a received part again, for another recipe or after they were deleted.

        The ledger is not changed. Returns how many scans could not be read again.
        """
        store, deliveries = self.opened.store, DeliveryLists(self.opened.private, self.batch)
        listed, listed_at = deliveries.part(number)
        ledger = SCANS.read(store, self.batch, number).to_pylist()
        maker = RowMaker(self.opened.private, self.batch, number, self.chosen.recipe_id, listed_at)
        lost, place = 0, (store, self.batch, number)
        self.accepted.refresh()
        with (
            self.chosen.crops.begin(*place) as crops,
            self.chosen.background_crops.begin(*place) as background,
        ):
            # The quality of a scan was checked when it was received.
            for file, read in self._read(deliveries, listed, Quality()):
                scan = ledger[file.row]
                if scan["status"] == REJECTED:
                    continue
                if read.scan_id != scan["scan_id"] or read.rejection:
                    lost += 1
                    continue
                crops.add(maker.crops(scan, read, self.accepted))
                background.add(maker.background(scan, read))
            if background.rows:
                background.publish()
            crops.publish()
        return lost

    def cut_drawn(self, number: int) -> int:
        """Cut the boxes that a part of `regions` drew on a scan into the crops of that number.

        Returns how many could not be cut, because the file of their scan is gone or changed. Then
        nothing is written, so that a later run tries again.
        """
        store, rows = self.opened.store, new_boxes(self.opened.store, self.batch, number)
        try:
            scan = accepted_scan(store, self.batch, rows[0]["scan_id"])
        except ConfigError:
            return len(rows)  # its batch was taken back, and this one has not accepted it yet
        deliveries = DeliveryLists(self.opened.private, self.batch)
        listed, listed_at = deliveries.part(scan["part"])
        maker = RowMaker(self.opened.private, self.batch, number, self.chosen.recipe_id, listed_at)
        drawn = tuple((frame_number(row["region"]), _annotated(row)) for row in rows)
        files = [listed[scan["row"]]]
        [(file, read)] = self._read(deliveries, files, Quality(), drawn)
        if read.scan_id != scan["scan_id"] or read.rejection:
            name = file.entry.path.decode("utf-8", "backslashreplace")
            why = read.rejection or "the file has changed"
            self.opened.private.log_message(f"{name}: {len(rows)} drawn boxes were not cut: {why}")
            return len(rows)
        with self.chosen.crops.begin(store, self.batch, number) as crops:
            crops.add(maker.drawn(scan, read))
            crops.publish()
        return 0

    def _read(
        self,
        deliveries: DeliveryLists,
        listed: list[ListedFile],
        bounds: Quality,
        drawn: tuple[tuple[int, Annotated], ...] = (),
    ) -> Iterator[tuple[ListedFile, Read]]:
        """Read files in worker processes, in the order of the list."""
        folder, settings = deliveries.folder, self.opened.settings
        # The bytes of a file and the decoded pixels are in memory at the same time.
        limits = settings.pixel_limit, settings.scan_memory_mb * 2**20 // 4, settings.follow_links
        orders: Iterable[Order] = (
            Order(
                *(folder, file.entry, file.annotation, self.chosen.recipe, bounds, *limits),
                drawn=drawn,
            )
            for file in listed
        )
        outcomes = self.workers.map(read_scan, orders_ahead(orders))
        forgotten = ForgottenList(self.opened.private)
        for file, outcome in zip(listed, outcomes, strict=True):
            read = outcome if isinstance(outcome, Read) else Read(rejection=outcome)
            yield apply_screening(file, read, forgotten, self.opened.private)
            self.advance(1)


def _annotated(row: dict) -> Annotated:
    return Annotated(Place(*(row[side] for side in "xywh")), None, row["tooth"])


def apply_screening(
    file: ListedFile, read: Read, forgotten: ForgottenList, private: PrivateFolder
) -> tuple[ListedFile, Read]:
    """The file and what was read of it; of a forgotten file nothing but its place in the list."""
    in_file = private.patient_keys(read.patient) if read.patient else set()
    if (
        file.entry.kind == FORGOTTEN
        or forgotten.has_scan(read.scan_id)
        or forgotten.has_patient(file.patient_key)
        or any(map(forgotten.has_patient, in_file))
    ):
        return without_facts(file)
    return file, read


def without_facts(file: ListedFile) -> tuple[ListedFile, Read]:
    """A forgotten file as it appears in the ledger: rejected, without any facts."""
    rejection = ScanRejected(FORGOTTEN, "was forgotten on request and is not taken again")
    nothing = dict.fromkeys(("patient_key", "patient_from", "given_side"))
    nameless = replace(file, annotation=Annotation(), **nothing)
    return nameless, Read(rejection=rejection)


class _Part:
    """Files of one part on their way into the store.

    Crops are encoded while other scans are still being decoded, with the duplicates known by then.
    The lock is store-wide, so it is held only for writing; the part is encoded again, under the
    lock, only when another batch accepted one of its scans meanwhile.
    """

    def __init__(
        self, store: Store, maker: RowMaker, chosen: ModelChoice, accepted: AcceptedInStore
    ):
        self.store, self.maker, self.chosen, self.accepted = store, maker, chosen, accepted
        self.files: list[tuple[ListedFile, Read]] = []
        self._begin()

    def _begin(self) -> None:
        self.seen = AcceptedScans(self.accepted)
        place = self.store, self.maker.batch, self.maker.part
        with ExitStack() as parts:
            self.crops = parts.enter_context(self.chosen.crops.begin(*place))
            self.background = parts.enter_context(self.chosen.background_crops.begin(*place))
            self._unfinished = parts.pop_all()
        self.scans: list[dict] = []

    def close(self) -> None:
        """Discard what was not published."""
        self._unfinished.close()

    def add(self, listed: ListedFile, read: Read) -> None:
        """Add one file; rows are in the order of the delivery list."""
        self.files.append((listed, read))
        self._take(listed, read)

    def _take(self, listed: ListedFile, read: Read) -> None:
        scan = self.maker.scan(listed, read, self.seen)
        self.seen.add(scan)
        self.scans.append(scan)
        self.crops.add(self.maker.crops(scan, read, self.seen))
        self.background.add(self.maker.background(scan, read))

    def commit(self, commits: Commits) -> None:
        """Publish crops, labels and, last, the ledger, unless another process has."""
        place = self.store, self.maker.batch, self.maker.part
        with commits(), LABELS.begin(*place) as labels, SCANS.begin(*place) as ledger:
            if SCANS.has(*place):
                return  # otherwise its scans would become duplicates of themselves
            _log_names(self.maker.private, self)
            self.accepted.refresh()
            if self._decided_now() != self.scans:
                self.close()
                self._begin()
                for listed, read in self.files:
                    self._take(listed, read)
            for scan, (listed, read) in zip(self.scans, self.files, strict=True):
                labels.add(self.maker.labels(scan, listed, read))
            read_scans = [(scan, *file) for scan, file in zip(self.scans, self.files, strict=True)]
            labels.add(withdrawn_labels(self.store, self.maker, read_scans))
            ledger.add(self.scans)
            for part in (self.background, self.crops, labels, ledger):
                # Ledger and crops are written even when empty: their existence means done.
                if part.rows or part in (self.crops, ledger):
                    part.publish()

    def _decided_now(self) -> list[dict]:
        """The ledger rows given what the store has accepted by now."""
        seen, rows = AcceptedScans(self.accepted), []
        for listed, read in self.files:
            rows.append(self.maker.scan(listed, read, seen))
            seen.add(rows[-1])
        return rows


def _log_names(private: PrivateFolder, part: _Part) -> None:
    """Write file names to the private messages and to the index of scans, and nowhere else."""
    index = PackedPart(f"index/{part.maker.batch}/part-{part.maker.part:05d}.parquet", INDEX)
    for listed, read in part.files:
        name = listed.entry.path.decode("utf-8", "backslashreplace")
        if read.rejection:
            private.log_message(f"{name}: rejected, {read.rejection.reason}: {read.rejection}")
        for kind, where, problem in read.problems:
            private.log_message(f"{name}: label {kind}: {where}: {problem}")
        for note in read.notes:
            private.log_message(f"{name}: the decoder notes: {note}")
        index.add([{"scan_id": read.scan_id, "path": listed.entry.path}])
    private.write(index.name, index.to_bytes())
