import pyarrow as pa

from pipeline import schemas
from pipeline.stages.duplicates import AcceptedInStore
from pipeline.store import tables
from pipeline.store.parts import write_part


def scan(scan_id, size, status="accepted", boxes=()):
    box = {"label": None, "tooth": None, "new": True}
    regions = [dict(zip("xywh", place, strict=True), **box) for place in boxes]
    row = {"scan_id": scan_id, "bytes": size, "status": status, "batch": "b", "regions": regions}
    return row | {"patient_key": f"{status} {scan_id}"}


def put(store, number, *rows):
    table = pa.Table.from_pylist(list(rows), schemas.SCANS)
    write_part(store, tables.SCANS.part("b", number), table, schemas.SCANS)


def test_scans_with_the_length_of_a_delivered_file_are_known_with_their_boxes(store):
    place, later = (1, 2, 3, 4), (5, 6, 7, 8)
    accepted = AcceptedInStore(store, {100})
    put(store, 0, scan("one", 100, boxes=[place]), scan(None, None, "rejected"))
    accepted.refresh()
    assert (accepted.batch_of("one"), accepted.has_box("one", place)) == ("b", True)
    assert (accepted.batch_of("two"), accepted.has_box("one", later)) == (None, False)
    put(store, 1, scan("two", 100), scan("one", 100, "duplicate", boxes=[later]))
    accepted.refresh()
    assert (accepted.batch_of("two"), accepted.has_box("one", later)) == ("b", True)
    assert accepted.patient_of("one") == "accepted one"


def test_scans_of_other_lengths_take_no_memory(store):
    put(store, 0, scan("one", 100), scan("two", 200))
    put(store, 1, scan("three", 300))
    accepted = AcceptedInStore(store, {200})
    accepted.refresh()
    assert [accepted.batch_of(each) for each in ("one", "two", "three")] == [None, "b", None]
