"""Find duplicates: which scans are accepted, for which patient, and which boxes they have."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.store.parts import open_part
from pipeline.store.store import Store
from pipeline.store.tables import SCANS

COLUMNS = ["batch", "scan_id", "patient_key", "status", "regions"]


class AcceptedScans:
    """Scans of some ledger rows, on top of those in `before`."""

    def __init__(self, before: "AcceptedScans | None" = None):
        self._before = before
        self._batch_of: dict[str, str] = {}
        self._patient_of: dict[str, str] = {}
        self._boxes: dict[str, set[tuple[int, int, int, int]]] = {}

    def add(self, row: dict) -> None:
        """Add one row of the ledger."""
        if row["status"] == "accepted":
            self._batch_of[row["scan_id"]] = row["batch"]
            self._patient_of[row["scan_id"]] = row["patient_key"]
        if row["status"] != "rejected" and row["regions"]:
            boxes = {(box["x"], box["y"], box["w"], box["h"]) for box in row["regions"]}
            self._boxes.setdefault(row["scan_id"], set()).update(boxes)

    def batch_of(self, scan_id: str | None) -> str | None:
        """The batch in which this scan was accepted, if it was."""
        found = self._batch_of.get(scan_id)
        return found if found or self._before is None else self._before.batch_of(scan_id)

    def patient_of(self, scan_id: str) -> str | None:
        """The keyed patient for whom this scan was accepted, if it was."""
        found = self._patient_of.get(scan_id)
        return found if found or self._before is None else self._before.patient_of(scan_id)

    def has_box(self, scan_id: str | None, place: tuple[int, int, int, int]) -> bool:
        """Whether this box was delivered with this scan before, so its crop exists."""
        if place in self._boxes.get(scan_id, ()):
            return True
        return self._before is not None and self._before.has_box(scan_id, place)


class AcceptedInStore(AcceptedScans):
    """Scans of the ledger that have the length of one of the batch's files, read part by part.

    A file of another length has other bytes. So memory grows with the batch, and with the store
    only as far as many scans have equal lengths.
    """

    def __init__(self, store: Store, lengths: Iterable[int]):
        super().__init__()
        self._store = store
        self._lengths = pa.array(lengths, pa.int64())
        self._read: set[str] = set()

    def refresh(self) -> None:
        """Read the parts that appeared since the last call."""
        for name in SCANS.names(self._store):
            if name not in self._read:
                self._take(name)
                self._read.add(name)

    def _take(self, name: str) -> None:
        with open_part(self._store, name, SCANS.schema) as part:
            candidates = pc.is_in(part.read(columns=["bytes"])["bytes"], self._lengths)
            # Most parts have no such file, and reading the other columns would double the time.
            if pc.any(candidates).as_py():
                for row in part.read(columns=COLUMNS).filter(candidates).to_pylist():
                    self.add(row)
