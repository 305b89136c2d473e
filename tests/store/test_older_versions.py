"""Stores that an earlier version wrote, before there was a guess of the tooth, stay readable."""

import numpy as np
import pyarrow as pa
import pytest

from pipeline import schemas
from pipeline.errors import ArtifactError
from pipeline.store import catalog, parts, tables
from pipeline.store.features import load_features

WIDTH = 4
LATER = schemas.LATER.names


def schema_of(older):
    schema = schemas.features(WIDTH)
    return pa.schema([field for field in schema if not (older and field.name in LATER)])


def put(store, trunk, older, batch="night", guess=None):
    schema = schema_of(older)
    facts = {"crop_id": f"{trunk}:whole", "scan_id": trunk, "batch": batch, "trunk": trunk}
    facts |= {"tooth": 36, "recipe": "r", "embedding": np.ones(WIDTH, np.float16)}
    facts |= {} if older else {"tooth_guess": guess, "tooth_confidence": guess and 0.75}
    name = tables.features(trunk, WIDTH).part(batch, 0)
    parts.write_part(store, name, pa.Table.from_pylist([facts], schema), schema)
    return name


def guesses(store):
    with catalog.open_store(store) as con:
        rows = con.table("features").order("crop_id").fetchall()
        names = con.table("features").columns
    return [dict(zip(names, row, strict=True))["tooth_guess"] for row in rows]


def test_an_older_part_is_read_with_nulls_for_columns_added_later(store):
    name = put(store, "old", older=True)
    whole = parts.read_part(store, name, schemas.features(WIDTH))
    assert whole.schema.names == schemas.features(WIDTH).names
    some = parts.read_part(store, name, schemas.features(WIDTH), ["tooth", "tooth_guess"])
    [batch] = parts.iter_part(store, name, schemas.features(WIDTH))
    for rows in (whole, some, batch):
        assert rows.column("tooth").to_pylist() == [36]
        assert rows.column("tooth_guess").to_pylist() == [None]
    assert parts.read_part(store, name, schemas.features(WIDTH), ["tooth"]).num_columns == 1


def test_features_of_both_versions_load_together(store):
    put(store, "t", older=True, batch="a")
    put(store, "t", older=False, batch="b", guess=46)
    facts, embeddings = load_features(store)
    assert facts["tooth_guess"].fillna(0).tolist() == [0, 46]
    assert embeddings.shape == (2, WIDTH)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [(True, False, [None]), (False, True, [46]), (True, True, [46, None])],
)
def test_queries_work_on_stores_of_either_version_and_of_both(store, old, new, expected):
    if old:
        put(store, "old", older=True)
    if new:
        put(store, "new", older=False, guess=46)
    assert guesses(store) == expected
    with catalog.open_store(store) as con:
        assert "tooth_guess" in catalog.query(con, "worklist").columns
        assert len(catalog.query(con, "crops_of_scan", scan_id="old")) == old


def test_a_champion_that_outlives_a_version_has_parts_of_both_in_any_order(store):
    put(store, "t", older=False, batch="a", guess=46)
    put(store, "t", older=True, batch="b")
    assert sorted(guesses(store), key=str) == [46, None]


def test_only_columns_added_later_may_be_missing(store):
    schema = pa.schema([field for field in schemas.features(WIDTH) if field.name != "tooth"])
    table = schema.empty_table()
    parts.write_part(store, "features/t/b/part-00000.parquet", table, schema)
    with pytest.raises(ArtifactError, match="tooth is missing"):
        parts.read_part(store, "features/t/b/part-00000.parquet", schemas.features(WIDTH))
