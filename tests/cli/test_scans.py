"""`dental scans`, called in this process."""

import csv
import io
import json

import pytest
from typer.testing import CliRunner

from pipeline.cli.__main__ import commands
from tests.builders.scans import scan, write_files
from tests.builders.stores import process_folder, small_store
from tests.builders.tables import feature_row, prediction_row, promote, scan_row, write_table

SEEN, UNSEEN, BROKEN = "a" * 32, "b" * 32, "c" * 32


def scans(store, *options):
    done = CliRunner().invoke(commands, ["scans", "--store", store.root, *options])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def store(tmp_path):
    """Three files, of which one has two predicted crops and one is rejected."""
    store = small_store(tmp_path).store
    rows = [scan_row(0, SEEN, patient_key="p1", quality_flags=["blurred"], label_problems=0)]
    rows += [scan_row(1, UNSEEN, label_problems=2), scan_row(2, BROKEN, "rejected")]
    write_table(store, "scans", rows)
    places = {f"{SEEN}:tooth-1": {"tooth_guess": 46}, f"{SEEN}:tooth-2": {"tooth": 11}}
    write_table(
        store,
        "features",
        [feature_row(SEEN, crop_id=crop, **tooth) for crop, tooth in places.items()],
    )
    scores = zip(places, (0.9, 0.2), strict=True)
    write_table(store, "predictions", [prediction_row(SEEN, p, crop_id=crop) for crop, p in scores])
    promote(store)
    return store


def test_every_file_has_one_row_with_its_likeliest_abnormal_place(store):
    first, second, third = json.loads(scans(store, "--json"))
    assert (first["tooth"], first["crop_id"]) == ("46?", f"{SEEN}:tooth-1")
    assert first["p"] == pytest.approx(0.9)
    assert (first["patient_key"], first["flags"]) == ("p1", ["flagged", "blurred"])
    assert (second["p"], second["flags"]) == (None, ["label_problems"])
    assert (third["status"], third["reason"]) == ("rejected", "undecodable")
    assert "file" not in first


def test_the_table_shows_short_ids(store):
    assert "aaaaaaaa" in scans(store)
    assert SEEN not in scans(store)


def test_names_come_from_the_private_folder_and_are_no_formulas_in_csv(tmp_path):
    opened = small_store(tmp_path)
    folder = write_files(tmp_path / "in", a_png=scan())
    (folder / "a.png").rename(folder / "=1+1.png")
    process_folder(opened, folder)
    [row] = csv.DictReader(io.StringIO(scans(opened.store, "--names", "--csv")))
    assert row["file"] == "'=1+1.png"
    assert row["status"] == "accepted"
    assert json.loads(scans(opened.store, "--names", "--json"))[0]["file"] == "=1+1.png"
    assert "1+1" not in scans(opened.store, "--csv")


def test_scans_of_one_batch_alone(store):
    assert json.loads(scans(store, "--json", "--batch", "other")) == []
