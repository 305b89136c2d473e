"""The Python front of a store that has a champion: rows, labels in force, sides, predictions."""

import subprocess
import sys

import cv2
import numpy as np
import pandas as pd
import pytest

import pipeline
from pipeline.errors import ConfigError, ScanRejected
from pipeline.learn.decisions import Decision, append_decisions
from pipeline.store.store import Store
from tests.store.test_stored_by_earlier_versions import unpack

BATCH = "20261123"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("front")
    unpack("plain", home)
    return home


@pytest.fixture
def store(home, monkeypatch):
    monkeypatch.setenv("DENTAL_PRIVATE", str(home / "private"))
    monkeypatch.setenv("DENTAL_CONFIG", str(home / "dental.toml"))
    return pipeline.open(home / "store")


def test_importing_the_package_loads_neither_keras_nor_pandas_nor_prefect():
    code = "import sys, pipeline; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"tensorflow", "keras", "prefect", "pandas", "duckdb"}.intersection(loaded)


def test_a_store_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="There is no store"):
        pipeline.open(tmp_path / "nothing")


def test_rows_have_the_label_in_force_beside_the_delivered_one_and_the_side(store, home):
    facts, embeddings = store.features(label="healthy")
    assert len(facts) == len(embeddings) > 0
    crop_id, delivered = facts["crop_id"][0], facts["label_delivered"][0]
    append_decisions(Store(str(home / "store")), [Decision(crop_id, "label", "caries", "r1")])
    for rows in (store.features()[0], store.crops(), store.predictions()):
        row = rows.set_index("crop_id").loc[crop_id]
        assert row["label"] == "caries"
        assert row["label_delivered"] == delivered
        assert row["side"] in ("train", "validation", "test")
    labels = store.labels().set_index("crop_id")
    assert labels.loc[crop_id, "source"] == "r1"


def test_a_patient_is_on_the_same_side_in_every_table(store):
    sides = [
        rows.groupby("patient_key")["side"].agg(set)
        for rows in (store.crops(), store.features()[0], store.predictions(), store.scans())
    ]
    both = pd.concat(sides).groupby(level=0).agg(lambda each: len(set.union(*each)))
    assert (both == 1).all()
    train, _ = store.features(side="train")
    assert set(train["side"]) == {"train"}


def test_pixels_come_in_the_order_of_the_rows_whole_and_part_by_part(store):
    crops, pixels = store.crops(pixels=True)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (len(crops), 16, 16)
    pd.testing.assert_frame_equal(crops, store.crops())
    pieces = list(store.iter_crops())
    assert np.array_equal(np.concatenate([each for _, each in pieces]), pixels)
    some, of_some = store.crops(pixels=True, batch=BATCH, side="train")
    rows = crops.reset_index().merge(some[["crop_id"]])["index"]
    assert np.array_equal(of_some, pixels[rows])


def test_predictions_have_a_column_for_every_class_that_sum_to_one(store):
    rows = store.predictions()
    classes = [name for name in rows if name.startswith("p_") and name != "p_abnormal"]
    assert "p_healthy" in classes
    assert rows[classes].sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-5)
    best = rows[classes].idxmax(axis=1).str.removeprefix("p_")
    assert (best == rows["predicted"]).all()


def test_similar_crops_may_be_limited_to_labelled_ones_of_other_patients(store):
    crops = store.crops().set_index("crop_id")
    crop_id = crops.index[0]
    found = store.similar(crop_id, k=3, labelled=True)
    assert found["label"].notna().all()
    assert (found["patient_key"] != crops.loc[crop_id, "patient_key"]).all()
    assert found["similarity"].is_monotonic_decreasing


def test_an_unknown_side_or_batch_names_the_known_ones(store):
    with pytest.raises(ConfigError, match=r"side `valid`. Did you mean `validation`"):
        store.crops(side="valid")
    with pytest.raises(ConfigError, match="batch `x`"):
        store.predictions(batch="x")


def files_of(store, home):
    """Files of the batch that were kept, by scan_id."""
    index = pd.read_parquet(home / "private" / "index" / BATCH)
    names = index.set_index("scan_id")["path"].map(bytes.decode)
    paths = {scan_id: home / "inbox" / BATCH / name for scan_id, name in names.items()}
    return {scan_id: path for scan_id, path in paths.items() if path.exists()}


def test_a_prediction_has_the_bits_of_the_run_that_stored_the_scan(store, home):
    stored = store.predictions().set_index("crop_id")
    novelty = store.query("novel", limit=10_000).set_index("crop_id")
    compared = 0
    for scan_id, path in files_of(store, home).items():
        if scan_id not in set(stored["scan_id"]):
            continue
        found = store.predict(path).set_index("crop_id")
        same = stored.index.intersection(found.index)
        for column in ("p_abnormal", "p_healthy", "flagged", "predicted"):
            assert found.loc[same, column].tolist() == stored.loc[same, column].tolist()
        assert found["in_training"].tolist() == stored.loc[found.index, "seen"].tolist()
        both = found.index.intersection(novelty.index)
        # This store was scored by an earlier version, in slices of another size.
        expected = novelty.loc[both, "gaussian"].tolist()
        assert found.loc[both, "novelty_gaussian"].tolist() == pytest.approx(expected, rel=1e-5)
        compared += len(same)
    assert compared > 3


def test_nothing_is_written_by_a_prediction(store, home):
    before = sorted(path for path in home.rglob("*"))
    store.predict(next(iter(files_of(store, home).values())))
    assert sorted(path for path in home.rglob("*")) == before


def test_an_array_of_pixels_is_predicted_and_belongs_to_no_training(store):
    pixels = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 255, (90, 80), np.uint8), (9, 9), 3
    )
    [row] = store.predict(pixels).to_dict("records")
    assert row["region_kind"] == "whole"
    assert row["in_training"] is False
    with pytest.raises(ConfigError, match=r"float64 with shape \(3,\)"):
        store.predict(np.zeros(3))


def test_a_file_that_is_no_scan_is_rejected_with_its_reason(store, tmp_path):
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4 not a scan")
    with pytest.raises(ScanRejected) as rejection:
        store.predict(tmp_path / "a.pdf")
    assert rejection.value.reason == "unsupported_format"
    with pytest.raises(ScanRejected, match="cannot be read"):
        store.predict(tmp_path / "missing.png")
