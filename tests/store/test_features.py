import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest

from pipeline import schemas
from pipeline.errors import ArtifactError, ConfigError
from pipeline.store import parts, tables
from pipeline.store.features import iter_features, load_features
from tests.builders.tables import features_table, promote, write_labels

WIDTH = 8
SCHEMA = schemas.features(WIDTH)
BATCHES = ["20261123", "2026-11-23", "north-clinic"]  # number, date, name
ROWS = 300  # of a part: more than one row group


def embedding_of(start, count):
    return np.arange(start * WIDTH, (start + count) * WIDTH).reshape(count, WIDTH) % 2048


def part_rows(batch, start, count, trunk="t0"):
    """`count` features of `batch`, numbered from `start`; odd ones were delivered abnormal."""
    numbers = range(start, start + count)
    return features_table(
        embedding_of(start, count),
        crop_id=[f"{number:032x}:whole" for number in numbers],
        batch=batch,
        trunk=trunk,
        label=["abnormal" if number % 2 else "healthy" for number in numbers],
    )


@pytest.fixture
def features(store):
    """Three batches: two parts, one part, one part."""
    for number, (batch, part) in enumerate(
        [(BATCHES[1], 0), (BATCHES[0], 0), (BATCHES[0], 1), (BATCHES[2], 0)]
    ):
        rows = part_rows(batch, number * ROWS, ROWS)
        parts.write_part(store, tables.features("t0", WIDTH).part(batch, part), rows, SCHEMA)
    return store


def label(store, batch, labels, source="delivered", day=1):
    """Append labels by crop number."""
    of_crops = {f"{number:032x}:whole": given for number, given in labels.items()}
    write_labels(store, of_crops, source, day, batch)


def test_all_rows_are_loaded_with_their_embeddings(features):
    frame, embeddings = load_features(features)
    assert (frame.shape, embeddings.shape) == ((4 * ROWS, len(SCHEMA) + 1), (4 * ROWS, WIDTH))
    assert embeddings.dtype == np.float16
    assert frame["batch"].unique().tolist() == sorted(BATCHES)
    numbers = [int(crop_id.split(":")[0], 16) for crop_id in frame["crop_id"]]
    expected = np.concatenate([embedding_of(number, 1) for number in numbers])
    assert (embeddings == expected).all()


@pytest.mark.parametrize("batch", ["20261123", BATCHES[1:]])
def test_batches_are_selected_by_name(features, batch):
    frame, embeddings = load_features(features.root, batch=batch)
    assert len(frame) == len(embeddings) == 2 * ROWS
    assert set(frame["batch"]) == ({batch} if isinstance(batch, str) else set(batch))


def test_an_empty_list_of_batches_is_refused(features):
    with pytest.raises(ConfigError, match="empty list of batches"):
        load_features(features, batch=[])


def test_columns_and_dtype_are_as_requested(features):
    frame, embeddings = load_features(features, columns=["batch", "tooth"], dtype=np.float32)
    assert frame.columns.tolist() == ["batch", "tooth"]
    assert embeddings.dtype == np.float32


def test_rows_are_selected_by_the_label_in_force_which_is_returned(features):
    label(features, BATCHES[0], {300: "healthy", 301: "abnormal", 302: "healthy", 899: "healthy"})
    label(features, BATCHES[0], {300: "abnormal", 302: None}, day=2)
    label(features, BATCHES[0], {301: "healthy"}, source="r1", day=1)
    label(features, BATCHES[0], {301: "abnormal"}, day=3)

    frame, embeddings = load_features(features, label="healthy")
    assert frame["crop_id"].tolist() == [f"{number:032x}:whole" for number in (301, 899)]
    assert frame["label"].tolist() == ["healthy", "healthy"]
    assert (embeddings == np.concatenate([embedding_of(301, 1), embedding_of(899, 1)])).all()
    frame, _ = load_features(features, label=["healthy", "abnormal"], columns=["crop_id"])
    assert (len(frame), frame.columns.tolist()) == (3, ["crop_id"])
    frame, embeddings = load_features(features, label="healthy", batch=BATCHES[2])
    assert (len(frame), embeddings.shape) == (0, (0, WIDTH))


def test_a_crop_without_a_label_in_force_has_none(features):
    assert load_features(features)[0]["label"].isna().all()


def test_the_default_trunk_is_the_champions(features):
    rows = part_rows("b", 0, 3, trunk="t1")
    parts.write_part(features, tables.features("t1", WIDTH).part("b", 0), rows, SCHEMA)
    with pytest.raises(ConfigError, match=r"several trunks and no champion.*t0, t1"):
        load_features(features)
    assert len(load_features(features, trunk="t1")[0]) == 3
    promote(features, 1, trunk="t0")
    promote(features, 2, trunk="t1")
    assert set(load_features(features)[0]["trunk"]) == {"t1"}


@pytest.mark.parametrize(
    ("says", "choice"),
    [
        ("trunk `zz`. Known: t0", {"trunk": "zz"}),
        ("batch `20261122`. Did you mean `20261123`", {"batch": "20261122"}),
        ("label `carious`. There is none", {"label": "carious"}),
        ("column `crop_ids`. Did you mean `crop_id`", {"columns": ["crop_ids"]}),
    ],
)
def test_unknown_trunks_batches_labels_and_columns_are_errors_that_name_the_known_ones(
    features, says, choice
):
    with pytest.raises(ConfigError, match=says):
        load_features(features, **choice)


def test_iter_features_gives_the_same_rows(features):
    label(features, BATCHES[0], {300: "healthy", 301: "abnormal", 899: "healthy"})
    for choice in ({}, {"label": "healthy"}, {"batch": BATCHES[1:], "columns": ["crop_id"]}):
        frames, arrays = zip(*iter_features(features, **choice, dtype=np.float32), strict=True)
        frame, embeddings = load_features(features, **choice)
        assert [len(each) for each in frames] == [len(each) for each in arrays]
        pd.testing.assert_frame_equal(pd.concat(frames, ignore_index=True), frame)
        assert np.concatenate(arrays).tolist() == embeddings.tolist()
    # Parts without a row that was asked for are left out.
    assert [len(each) for each, _ in iter_features(features, label="healthy")] == [1, 1]


def test_iter_features_reads_a_part_only_when_it_is_next(features):
    pieces = iter_features(features)
    assert len(next(pieces)[0]) == ROWS
    features.remove(tables.features("t0", WIDTH).part(BATCHES[0], 1))
    with pytest.raises(ArtifactError, match=r"20261123/part-00001.parquet is missing"):
        list(pieces)


def test_a_store_without_features_or_folder_is_an_error(store, tmp_path):
    with pytest.raises(ConfigError, match="no features yet; run a batch"):
        load_features(store)
    with pytest.raises(ConfigError, match=r"no store at .*nowhere"):
        load_features(tmp_path / "nowhere")


def test_parts_of_another_width_are_refused(features):
    wider = tables.features("t0", WIDTH + 1)
    wider.write(features, "z", 0, wider.schema.empty_table())
    with pytest.raises(ArtifactError, match=r"features/t0/z/part-00000.parquet has columns"):
        load_features(features)


def by_pandas(folder):
    frame = pd.read_parquet(folder)
    assert frame["embedding"].iloc[0].dtype == np.float16
    return frame[["batch", "crop_id"]]


def by_pandas_with_filters(folder):
    wanted = [("batch", "in", BATCHES), ("crop_id", ">=", "0")]
    return pd.read_parquet(folder, filters=wanted)[["batch", "crop_id"]]


def by_duckdb(folder):
    rows = duckdb.read_parquet(f"{folder}/*/*.parquet", hive_partitioning=False)
    assert len(rows.limit(1).fetchall()[0][-1]) == WIDTH
    return rows.to_arrow_table().to_pandas()[["batch", "crop_id"]]


def by_polars(folder):
    return pl.read_parquet(folder).select("batch", "crop_id").to_pandas()


def by_polars_lazily(folder):
    known = pl.scan_parquet(folder).filter(pl.col("batch").is_in(BATCHES))
    return known.select("batch", "crop_id").collect().to_pandas()


@pytest.mark.parametrize(
    "read", [by_pandas, by_pandas_with_filters, by_duckdb, by_polars, by_polars_lazily]
)
def test_pandas_duckdb_and_polars_read_only_finished_parts_and_batches_as_text(features, read):
    folder = str(features.local_path("features/t0"))
    name = tables.features("t0", WIDTH).part(BATCHES[0], 2)
    with parts.part_writer(features, name, SCHEMA) as part:
        part.write(part_rows(BATCHES[0], 4 * ROWS, ROWS))
        assert len(read(folder)) == 4 * ROWS
    found = read(folder)
    assert found["batch"].value_counts().to_dict() == {
        BATCHES[0]: 3 * ROWS,
        BATCHES[1]: ROWS,
        BATCHES[2]: ROWS,
    }
    assert found["crop_id"].is_unique


def test_pandas_filters_find_one_batch(features):
    folder = str(features.local_path("features/t0"))
    frame = pd.read_parquet(folder, filters=[("batch", "==", "20261123")], columns=["crop_id"])
    assert len(frame) == 2 * ROWS
