"""Whole runs on real panoramics and DICOM files of DENTAL_TEST_DATA; skipped without it."""

import os
from pathlib import Path

import pandas as pd
import pytest

from pipeline.jobs.process_batch import run_batch
from pipeline.stages.plan import deliver
from pipeline.store import catalog
from tests.builders.stores import small_store

DATA = os.environ.get("DENTAL_TEST_DATA")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        DATA is None, reason="DENTAL_TEST_DATA names no folder with real scans (opg/, dicom/)"
    ),
]


def test_real_panoramics_give_a_crop_and_an_embedding_for_every_box(tmp_path):
    store = small_store(tmp_path, part_size=128)
    summary = run_batch(store, deliver(Path(DATA, "opg"), "opg", store))
    assert summary.counts["accepted"] == 116
    assert summary.counts["crops"] == summary.counts["features"] == 601
    assert summary.failures == summary.broken_checks == []
    assert summary.planned.problems == {}
    features = pd.read_parquet(tmp_path / "store" / "features" / summary.trunk)
    assert features["crop_id"].is_unique
    assert (features["label"] == "healthy").sum() == 327
    assert features["patient_key"].nunique() == 105


def test_real_dicom_files_are_accepted_or_rejected_and_none_stops_the_batch(tmp_path):
    store = small_store(tmp_path, part_size=128)
    folder = Path(DATA, "dicom", "test_files")
    summary = run_batch(store, deliver(folder, "dicom", store))
    assert summary.failures == summary.broken_checks == []
    assert summary.counts["delivered"] == summary.planned.scans
    # All that pydicom reads with its permissive plug-ins; one of them is there twice.
    assert (summary.counts["accepted"], summary.counts["duplicate"]) == (87, 1)
    with catalog.open_store(store.store) as con:
        reasons = set(catalog.query(con, "rejections")["reason"])
    assert not reasons & {"decoder_crashed", "decoder_timeout"}
