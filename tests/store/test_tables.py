import numpy as np
import pyarrow as pa
import pytest

from pipeline import schemas
from pipeline.errors import ArtifactError
from pipeline.store import tables
from pipeline.store.tables import PartName

NAMES = [
    (tables.SCANS.part("b", 1), "scans/b/part-00001.parquet"),
    (tables.AUDITS.part("b", 1), "audits/b/part-00001.parquet"),
    (tables.LABELS.part("b-c", 1), "labels/part-b-c-00001.parquet"),
    (tables.REGIONS.part("b", 1), "regions/b/part-00001.parquet"),
    (tables.crops("r", 8).part("b", 1), "crops/r/b/part-00001.parquet"),
    (tables.background_crops("r", 8).part("b", 1), "background_crops/r/b/part-00001.parquet"),
    (tables.features("t", 4).part("b", 123456), "features/t/b/part-123456.parquet"),
    (tables.background_features("t", 4).part("b", 1), "background_features/t/b/part-00001.parquet"),
    (tables.predictions("h").part("b", 1), "predictions/h/b/part-00001.parquet"),
    (tables.novelty("n").part("b", 1), "novelty/n/b/part-00001.parquet"),
    (tables.drift("d").part("b", 1), "drift/d/b/part-00001.parquet"),
    (tables.out_of_fold("h").part(), "out_of_fold/h/part-00000.parquet"),
]
LABEL = {"crop_id": "c", "scan_id": "s", "batch": "b", "label": "x", "source": "delivered"}


@pytest.mark.parametrize(("name", "expected"), NAMES)
def test_the_name_of_a_part_is_its_path_and_is_parsed_back(name, expected):
    assert name == expected
    found = tables.parse(name)
    assert name.startswith(f"{found.kind}/{found.key}".rstrip("/"))
    assert found.batch in ("b", "b-c", "")


@pytest.mark.parametrize(
    "name",
    [
        "labels/part-reviewed-123456789012.parquet",  # a reviewer's, whose name is a digest
        "labels/part-decided-20261129t204139123456.parquet",  # its name is a time
        "scans/b/c/part-00001.parquet",
        "features/b/part-00001.parquet",
        "models/heads/h/patients.parquet",
        "reports/b.html",
        "store.json",
    ],
)
def test_other_names_are_not_parts(name):
    assert tables.parse(name) is None


def test_every_described_table_with_parts_has_a_parser():
    assert {tables.parse(name).kind for name, _ in NAMES} == set(tables.KINDS)
    assert set(schemas.TABLES) - set(tables.KINDS) == {"reference"}


def labels(store, *parts):
    table = pa.Table.from_pylist([LABEL], schemas.LABELS)
    for batch, number in parts:
        tables.LABELS.write(store, batch, number, table)


def test_parts_batches_and_numbers_are_those_that_exist(store):
    labels(store, ("b", 3), ("b", 0), ("b-0", 1))
    assert tables.LABELS.parts(store) == [("b", 0), ("b", 3), ("b-0", 1)]
    assert tables.LABELS.batches(store) == ["b", "b-0"]
    assert tables.LABELS.numbers(store, "b") == [0, 3]
    assert tables.LABELS.names(store, "b-0") == ["labels/part-b-0-00001.parquet"]
    assert tables.LABELS.existing(store, "b", [2, 3]) == [3]
    assert tables.LABELS.missing(store, "b", [2, 3]) == [2]
    assert [row["label"] for row in tables.LABELS.rows(store, ["label"], "b")] == ["x", "x"]


def test_part_numbers_are_those_of_the_batch_itself(store):
    for number in (12, 0, 100000):
        store.write_bytes(tables.SCANS.part("b", number), b"")
    store.write_bytes("scans/b/deeper/part-00003.parquet", b"")
    store.write_bytes("scans/bb/part-00004.parquet", b"")
    assert tables.SCANS.numbers(store, "b") == [0, 12, 100000]
    assert tables.SCANS.numbers(store, "none") == []


def test_missing_from_names_the_parts_that_another_table_has(store):
    labels(store, ("b", 0), ("b", 1), ("c", 0))
    rows = [{"batch": "b", "crop_id": "c"}]
    tables.AUDITS.write(store, "b", 0, pa.Table.from_pylist(rows, schemas.AUDITS))
    assert tables.AUDITS.missing_from(store, tables.LABELS) == {"b": [1], "c": [0]}


def test_select_scatters_rows_to_the_positions_of_their_ids(store):
    rows = [{**LABEL, "crop_id": f"c{number}", "label": str(number)} for number in range(1000)]
    tables.LABELS.write(store, "b", 0, pa.Table.from_pylist(rows, schemas.LABELS))
    ids = ["c999", "c0", "gone", "c500"]
    positions = {crop_id: number for number, crop_id in enumerate(ids)}
    found = np.full(len(ids), "", object)
    for numbers, some in tables.LABELS.select(store, "b", 0, positions, ["label"]):
        found[numbers] = some.column("label").to_pylist()
    assert found.tolist() == ["999", "0", "", "500"]


def test_a_missing_part_is_named(store):
    with pytest.raises(ArtifactError, match=r"scans/b/part-00007\.parquet is missing"):
        tables.SCANS.read(store, "b", 7)


def test_personal_names_are_all_tables_with_rows_about_people_but_the_ledger(store):
    for name, _ in NAMES:
        store.write_bytes(name, b"")
    store.write_bytes("models/heads/h/patients.parquet", b"")
    kinds = [name.split("/")[0] for name in tables.personal_names(store)]
    assert kinds[-1] == "models"
    assert set(kinds) == {*tables.KINDS, "models"} - {"scans", "drift"}


def test_parts_of_a_batch_come_derived_ones_first_and_the_ledger_last(store):
    for name, _ in NAMES:
        store.write_bytes(name, b"")
    kinds = [part.kind for _, part in tables.parts_of_batch(store, "b")]
    assert kinds[-1] == "scans"
    assert kinds.index("predictions") < kinds.index("features") < kinds.index("crops")
    assert kinds.index("features") < kinds.index("background_features")
    assert "out_of_fold" not in kinds
    assert PartName("crops", "r", "b", 1) in [part for _, part in tables.parts_of_batch(store, "b")]
