"""All there is of a patient or of a scan: who they are, where their files stand, who learned."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow.parquet as pq

from pipeline.ingest.batch_folder import address_of, state_at
from pipeline.ingest.delivery_lists import DeliveryLists, batches
from pipeline.ingest.list_files import Entry
from pipeline.store.model_cards import trunk_ids
from pipeline.store.open_store import OpenStore
from pipeline.store.registry import read_card, trunk_home
from pipeline.store.tables import SCANS, personal_names
from pipeline.upkeep.erase import Traces, rows_in

LEDGER = ["batch", "part", "row", "scan_id", "patient_key"]
LISTS = ("/patients.parquet", "/learned.parquet")  # whom or which crops a model learned from
UNLISTED = "perhaps: when it was learned, trunks kept no list of patients"


@dataclass(frozen=True)
class Place:
    """Where a file to forget stands in the delivery lists."""

    batch: str
    part: int
    row: int
    path: bytes
    size: int
    mtime_ns: int


@dataclass
class ErasureTarget:
    """All that is there of those to forget."""

    scan_ids: set[str] = field(default_factory=set)
    patient_keys: set[str] = field(default_factory=set)  # whose rows go
    banned: set[str] = field(default_factory=set)  # patients of whom nothing is taken again
    patient: str | None = None  # as it was delivered
    places: list[Place] = field(default_factory=list)
    models: list[str] = field(default_factory=list)  # that had learned from them
    rows: dict[str, int] = field(default_factory=dict)  # by table, as first found

    @property
    def entries(self) -> list[tuple[str, Entry]]:
        """Batch and listed entry of every file."""
        return [(p.batch, Entry(p.path, p.size, p.mtime_ns, "file")) for p in self.places]

    @property
    def traces(self) -> Traces:
        return Traces(frozenset(self.scan_ids), frozenset(self.patient_keys))

    @property
    def batches(self) -> list[str]:
        return sorted({place.batch for place in self.places})

    def to_json(self) -> bytes:
        said = {name: getattr(self, name) for name in ("patient", "models", "rows")}
        sets = {name: sorted(getattr(self, name)) for name in SETS}
        places = [
            {**vars(place), "path": base64.b64encode(place.path).decode()} for place in self.places
        ]
        return json.dumps({**said, **sets, "places": places}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "ErasureTarget":
        said = json.loads(data)
        places = said.pop("places")
        return cls(
            **{name: set(value) if name in SETS else value for name, value in said.items()},
            places=[
                Place(**{**place, "path": base64.b64decode(place["path"])}) for place in places
            ],
        )


SETS = ("scan_ids", "patient_keys", "banned")


def find_patient(opened: OpenStore, patient: str) -> ErasureTarget:
    """All there is of a patient, whose id is given as it was delivered.

    A scan of theirs that another batch holds too, under any name, is theirs there as well.
    """
    key = opened.private.patient_key(patient)
    found = ErasureTarget(patient_keys={key}, banned={key}, patient=patient)
    found.scan_ids = {
        row["scan_id"] for row in _ledger(opened) if row["patient_key"] == key and row["scan_id"]
    }
    return _completed(opened, found)


def find_scan(opened: OpenStore, scan_id: str) -> ErasureTarget:
    """All there is of one scan, in whatever batches it was delivered."""
    return _completed(opened, ErasureTarget(scan_ids={scan_id}))


def find_again(opened: OpenStore, found: ErasureTarget) -> ErasureTarget:
    """The same, as the store is now."""
    if found.patient is not None:
        return find_patient(opened, found.patient)
    [scan_id] = found.scan_ids
    return find_scan(opened, scan_id)


def _completed(opened: OpenStore, found: ErasureTarget) -> ErasureTarget:
    """Places, rows and models of the scans and patients in `found`."""
    # A scan of nobody known is its own patient.
    found.patient_keys |= {opened.private.keyed("scan", scan_id) for scan_id in found.scan_ids}
    places, keys, others = set(), set(found.patient_keys), set()
    for row in _ledger(opened):
        if row["scan_id"] in found.scan_ids or row["patient_key"] in found.patient_keys:
            places.add((row["batch"], row["part"], row["row"]))
            keys.add(row["patient_key"])
        else:
            others.add(row["patient_key"])
    # A patient of whom no row is left leaves no trace either.
    found.patient_keys |= keys - others
    found.places = list(_places(opened, found, places))
    concerned = Traces(frozenset(found.scan_ids), frozenset(keys))
    found.models = sorted(models_of(opened, concerned))
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
    """Entries of delivery lists: of ledger rows, and of files listed but not received yet."""
    for batch in batches(opened.private):
        indexed = _indexed(opened, batch, found.scan_ids)
        for file in DeliveryLists(opened.private, batch).everything():
            if (
                (batch, file.part, file.row) in places
                or (file.part, file.entry.path) in indexed
                or (file.patient_key in found.patient_keys)
            ):
                entry = file.entry
                yield Place(batch, file.part, file.row, entry.path, entry.size, entry.mtime_ns)


def _indexed(opened: OpenStore, batch: str, scan_ids: set[str]) -> set[tuple[int, bytes]]:
    """Part and path of scans that were read; a killed run may have indexed an unfinished part."""
    found = set()
    for file in opened.private.root.glob(f"index/{batch}/part-*.parquet"):
        part = int(file.stem.removeprefix("part-"))
        for row in pq.read_table(file).to_pylist():
            if row["scan_id"] in scan_ids:
                found.add((part, row["path"]))
    return found


def models_of(opened: OpenStore, concerned: Traces) -> Iterator[str]:
    """Models whose list names any of these patients, or any crop of these scans.

    A trunk learned before trunks kept a list may have learned from anybody.
    """
    if not concerned.texts:
        return
    store = opened.store
    names = store.names("models")
    for name in names:
        if name.endswith(LISTS) and rows_in(store, name, concerned):
            yield name.rpartition("/")[0]
    for home in map(trunk_home, trunk_ids(store)):
        if f"{home}/patients.parquet" not in names and "learn" in read_card(store, home):
            yield f"{home} ({UNLISTED})"


def still_in_inbox(opened: OpenStore, found: ErasureTarget) -> list[str]:
    """Their files that still lie where they were delivered, for a person to delete."""
    lying = set()
    for place in found.places:
        folder = DeliveryLists(opened.private, place.batch).folder
        now = state_at(folder, place.path)
        # Another file may lie there by now.
        if now is not None and now.size == place.size:
            lying.add(address_of(folder, place.path))
    return sorted(lying)


def format_traces(found: ErasureTarget) -> list[str]:
    """What would go, in counts, and which models had learned from it."""
    scans = len(found.scan_ids)
    if not found.places:
        return [
            "Nothing here belongs to them. Give the id as the delivery gave it (a table's wins "
            "over DICOM's). Forgotten all the same, they are not taken when they come."
        ]
    lines = [f"{len(found.places)} deliveries of {scans} scans in {len(found.batches)} batches"]
    lines += [f"  {table}: {count} rows" for table, count in sorted(found.rows.items())]
    if found.models:
        lines.append(
            "Models that had learned from them, and stay as they are until you train anew:"
        )
        lines += [f"  {model}" for model in found.models]
    return lines
