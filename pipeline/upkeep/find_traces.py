"""Search for everything stored about a patient or a scan: files, rows, models trained on them."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.ingest.batch_folder import address_of, state_at
from pipeline.ingest.delivery_lists import DeliveryLists, batches
from pipeline.ingest.list_files import Entry
from pipeline.store.model_ids import trunk_ids
from pipeline.store.open_store import OpenStore
from pipeline.store.registry import read_card, trunk_home
from pipeline.store.tables import SCANS, personal_names
from pipeline.upkeep.erase import Traces, rows_in
from pipeline.upkeep.list_exports import exports_of

LEDGER = ["batch", "part", "row", "scan_id", "patient_key"]
LISTS = ("/patients.parquet", "/learned.parquet")  # patients or crops that a model was trained on
UNLISTED = "possibly: trained before trunks kept a list of patients"


@dataclass(frozen=True)
class Place:
    """Entry of a file in the delivery lists."""

    batch: str
    part: int
    row: int
    path: bytes
    size: int
    mtime_ns: int


@dataclass
class ErasureTarget:
    """Everything stored about the scans and patients to be forgotten."""

    scan_ids: set[str] = field(default_factory=set)
    patient_keys: set[str] = field(default_factory=set)  # whose rows are erased
    banned: set[str] = field(default_factory=set)  # patients whose scans are never taken again
    patient: str | None = None  # the id as it was delivered
    places: list[Place] = field(default_factory=list)
    models: list[str] = field(default_factory=list)  # trained on them
    rows: dict[str, int] = field(default_factory=dict)  # by table, before anything is erased
    exports: list[str] = field(default_factory=list)  # folders that have their scans

    @property
    def entries(self) -> list[tuple[str, Entry]]:
        """Batch and delivery-list entry of every file."""
        return [(p.batch, Entry(p.path, p.size, p.mtime_ns, "file")) for p in self.places]

    @property
    def traces(self) -> Traces:
        """What identifies their rows and files."""
        return Traces(frozenset(self.scan_ids), frozenset(self.patient_keys))

    @property
    def batches(self) -> list[str]:
        """Batches that their files were delivered in."""
        return sorted({place.batch for place in self.places})

    def to_json(self) -> bytes:
        """Serialize, for the journal."""
        fields = {name: getattr(self, name) for name in FIELDS}
        sets = {name: sorted(getattr(self, name)) for name in SETS}
        places = [
            {**vars(place), "path": base64.b64encode(place.path).decode()} for place in self.places
        ]
        return json.dumps({**fields, **sets, "places": places}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "ErasureTarget":
        """Restore what `to_json` wrote."""
        fields = json.loads(data)
        places = fields.pop("places")
        return cls(
            **{name: set(value) if name in SETS else value for name, value in fields.items()},
            places=[
                Place(**{**place, "path": base64.b64decode(place["path"])}) for place in places
            ],
        )


FIELDS = ("patient", "models", "rows", "exports")
SETS = ("scan_ids", "patient_keys", "banned")


def find_patient(opened: OpenStore, patient: str) -> ErasureTarget:
    """Find everything stored about a patient, whose id is given as it was delivered.

    Copies of their scans in other batches, under any name, are included.
    """
    keys = opened.private.patient_keys(patient)
    found = ErasureTarget(patient_keys=set(keys), banned=set(keys), patient=patient)
    found.scan_ids = {
        row["scan_id"] for row in _ledger(opened) if row["patient_key"] in keys and row["scan_id"]
    }
    return _completed(opened, found)


def find_scan(opened: OpenStore, scan_id: str) -> ErasureTarget:
    """Find everything stored about one scan, in every batch that it was delivered in."""
    return _completed(opened, ErasureTarget(scan_ids={scan_id}))


def find_again(opened: OpenStore, found: ErasureTarget) -> ErasureTarget:
    """Repeat the search that gave `found` on the current store."""
    if found.patient is not None:
        return find_patient(opened, found.patient)
    [scan_id] = found.scan_ids
    return find_scan(opened, scan_id)


def _completed(opened: OpenStore, found: ErasureTarget) -> ErasureTarget:
    """Add places, rows and models of the scans and patients in `found`."""
    # A scan without a patient ID counts as its own patient.
    found.patient_keys |= {opened.private.keyed("scan", scan_id) for scan_id in found.scan_ids}
    places, keys, remaining = set(), set(found.patient_keys), set()
    for row in _ledger(opened):
        if row["scan_id"] in found.scan_ids or row["patient_key"] in found.patient_keys:
            places.add((row["batch"], row["part"], row["row"]))
            keys.add(row["patient_key"])
        else:
            remaining.add(row["patient_key"])
    # A patient with no remaining row must leave no trace either.
    found.patient_keys |= keys - remaining
    found.places = list(_places(opened, found, places))
    affected = Traces(frozenset(found.scan_ids), frozenset(keys))
    found.models = sorted(models_of(opened, affected))
    found.exports = exports_of(opened.private, found.scan_ids)
    for name in personal_names(opened.store):
        if count := rows_in(opened.store, name, found.traces):
            table = name.partition("/")[0]
            found.rows[table] = found.rows.get(table, 0) + count
    return found


def _ledger(opened: OpenStore) -> Iterator[dict]:
    return SCANS.rows(opened.store, LEDGER)


def _places(
    opened: OpenStore, found: ErasureTarget, places: set[tuple[str, int, int]]
) -> Iterator[Place]:
    """Find the delivery-list entries, also of files that are listed but not received yet."""
    for batch in batches(opened.private):
        indexed = _indexed(opened, batch, found.scan_ids)
        for file in DeliveryLists(opened.private, batch).all_files():
            if (
                (batch, file.part, file.row) in places
                or (file.part, file.entry.path) in indexed
                or (file.patient_key in found.patient_keys)
            ):
                entry = file.entry
                yield Place(batch, file.part, file.row, entry.path, entry.size, entry.mtime_ns)


def _indexed(opened: OpenStore, batch: str, scan_ids: set[str]) -> set[tuple[int, bytes]]:
    """Return part and path of indexed scans; a killed run may have indexed an unfinished part."""
    found = set()
    for file in opened.private.root.glob(f"index/{batch}/part-*.parquet"):
        part = int(file.stem.removeprefix("part-"))
        for row in pq.read_table(file).to_pylist():
            if row["scan_id"] in scan_ids:
                found.add((part, row["path"]))
    return found


def models_of(opened: OpenStore, affected: Traces) -> Iterator[str]:
    """Find the models whose list has any of these patients, or any crop of these scans.

    A trunk from before trunks kept a list may have been trained on any patient.
    """
    if not affected.texts:
        return
    store = opened.store
    names = store.names("models")
    for name in names:
        if name.endswith(LISTS) and rows_in(store, name, affected):
            yield name.rpartition("/")[0]
    for home in map(trunk_home, trunk_ids(store)):
        if f"{home}/patients.parquet" not in names and "learn" in read_card(store, home):
            yield f"{home} ({UNLISTED})"


def still_in_inbox(opened: OpenStore, found: ErasureTarget) -> list[str]:
    """Return the paths of their files that are still in the delivered folders, to be deleted."""
    paths = set()
    for place in found.places:
        folder = DeliveryLists(opened.private, place.batch).folder
        state = state_at(folder, place.path)
        # Another file may have taken its path since.
        if state is not None and state.size == place.size:
            paths.add(address_of(folder, place.path))
    return sorted(paths)


def format_traces(found: ErasureTarget) -> list[str]:
    """Return what would be erased, in counts, and the models trained on it, line by line."""
    scans = len(found.scan_ids)
    if not found.places:
        return [
            "Nothing is stored under this id. Give it as it was delivered (an id in a table takes "
            "precedence over the DICOM header). With --yes it is still barred from later batches.",
            *format_exports(found),
        ]
    lines = [f"{len(found.places)} deliveries of {scans} scans in {len(found.batches)} batches"]
    lines += [f"  {table}: {count} rows" for table, count in sorted(found.rows.items())]
    if found.models:
        lines.append(
            "Models that were trained on them, and stay as they are until you train again:"
        )
        lines += [f"  {model}" for model in found.models]
    return lines + format_exports(found)


def format_exports(found: ErasureTarget) -> list[str]:
    """Return the exports that have them, which a person has to delete, line by line."""
    if not found.exports:
        return []
    lines = ["Exports that have them; delete these, and any copies, yourself:"]
    return lines + [f"  {path}{'' if Path(path).exists() else ' (gone)'}" for path in found.exports]
