"""Whether a batch differs from what is usual: the statistics, and what a run makes of them."""

import json
import shutil

import pandas as pd
import pytest

from pipeline.jobs.process_batch import run_batch
from pipeline.report.batch_summary import format_summary, last_summary
from pipeline.stages.plan import deliver
from pipeline.store import catalog
from pipeline.upkeep import erase, find_traces, forget, undo
from tests.builders.fakes import use_fakes
from tests.builders.scans import scan, write_files
from tests.builders.stores import small_store

FEW = {"reference_patients": 12, "batch_patients": 8}


def store_at(root, **settings):
    return small_store(root, part_size=50, drift=FEW | settings)


def run(root, batch, **settings):
    store = store_at(root, **settings)
    return run_batch(store, deliver(root / batch, batch, store))


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    use_fakes(monkeypatch)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three batches: the first makes the reference, the next is like it, the last is not."""
    root, patch = tmp_path_factory.mktemp("drift"), pytest.MonkeyPatch()
    use_fakes(patch)
    write_files(root / "first", **{f"s{n:02d}_png": scan(seed=n) for n in range(14)})
    write_files(root / "like", **{f"s{n:02d}_png": scan(seed=100 + n) for n in range(10)})
    dark = {f"s{n:02d}_jpg": scan(seed=200 + n) // 3 for n in range(10)}
    write_files(root / "unlike", **dark, **{f"t{n:02d}_png": b"" for n in range(20)})
    summaries = {batch: run(root, batch) for batch in ("first", "like", "unlike")}
    patch.undo()
    return root, summaries


@pytest.fixture
def copied(made, tmp_path):
    shutil.copytree(made[0], tmp_path, dirs_exist_ok=True)
    for batch in ("first", "like", "unlike"):
        deliver(tmp_path / batch, batch, store_at(tmp_path))
    return tmp_path


def rows(root, query="drift", **given):
    with catalog.open_store(root / "store") as con:
        return catalog.query(con, query, **given)


def sample_file(root):
    [path] = (root / "store" / "models" / "drift").glob("*/other/sample.parquet")
    return path


def test_the_first_batch_is_the_reference_and_a_similar_one_raises_no_alert(made):
    _, summaries = made
    notes = {batch: summary.notes for batch, summary in summaries.items()}
    assert "Drift: other: part of the reference; files: part of the reference." in notes["first"]
    assert "Drift: other: like the reference; files: like the reference." in notes["like"]
    assert summaries["first"].alerts == summaries["like"].alerts == []


def test_a_changed_batch_raises_an_alert_on_terminal_report_and_record(made):
    root, summaries = made
    scans, files = summaries["unlike"].alerts
    assert "brightness fell from" in scans
    assert "format" in scans
    assert "10 patients against 14" in scans
    assert "status accepted fell from 100% to 33%" in files
    store = store_at(root)
    assert f"  ALERT       {scans}" in format_summary(summaries["unlike"], store.settings)
    assert last_summary(store.store, "unlike").alerts == [scans, files]
    assert "brightness fell from" in store.store.read_bytes("reports/unlike.html").decode()
    found = rows(root, alert=True)
    assert set(found["batch"]) == {"unlike"}
    assert found["p_value"].max() <= store.settings.drift.alarm_rate
    assert set(rows(root, batch="like")["state"]) == {"compared"}


def test_a_second_run_repeats_the_alert_and_does_nothing(copied, made):
    summary = run(copied, "unlike")
    assert summary.nothing_to_do
    assert summary.alerts == made[1]["unlike"].alerts


def test_a_comparison_made_again_has_the_same_bytes_and_the_reference_stays(copied):
    [part] = (copied / "store" / "drift").glob("*/unlike/*.parquet")
    before, frozen = part.read_bytes(), sample_file(copied).read_bytes()
    part.unlink()
    run(copied, "unlike")
    assert part.read_bytes() == before
    assert sample_file(copied).read_bytes() == frozen


def test_parts_added_after_the_reference_are_compared_with_it(copied):
    write_files(copied / "first", **{f"z{n:02d}_png": scan(seed=300 + n) // 3 for n in range(10)})
    summary = run(copied, "first")
    assert any("brightness fell" in alert for alert in summary.alerts)


def test_too_few_patients_are_noted_and_raise_no_alert(copied):
    write_files(copied / "few", **{f"s{n:02d}_png": scan(seed=400 + n) // 3 for n in range(5)})
    summary = run(copied, "few")
    assert summary.alerts == []
    [note] = [note for note in summary.notes if note.startswith("Drift: other: too few to compare")]
    assert "(5 of 8 patients needed)" in note


def test_before_there_are_enough_patients_there_is_no_reference(tmp_path):
    write_files(tmp_path / "few", **{f"s{n:02d}_png": scan(seed=n) for n in range(5)})
    summary = run(tmp_path, "few")
    assert any("no reference yet (5 of 12 patients needed)" in note for note in summary.notes)
    assert not (tmp_path / "store" / "models" / "drift").exists()


def test_batches_named_in_the_settings_are_the_reference(copied):
    # Ten patients of the batch are accepted, so the default of the setting would not do.
    renewed = {"reference": ("unlike",), "reference_patients": 10}
    assert any("part of the reference" in note for note in run(copied, "unlike", **renewed).notes)
    assert any("brightness rose" in alert for alert in run(copied, "like", **renewed).alerts)
    assert rows(copied)["reference"].nunique() == 2


def test_nothing_of_a_forgotten_patient_stays_in_the_reference(copied):
    store = store_at(copied)
    [scan_id] = pd.read_parquet(sample_file(copied))["scan_id"][:1]
    found = forget.forget(store, find_traces.find_scan(store, scan_id))
    assert len(pd.read_parquet(sample_file(copied))) == 13
    files = erase.every_file(store.store, store.private)
    assert erase.traces_left(files, found.traces, lambda _: None) == []


def test_undoing_a_batch_of_the_reference_removes_the_reference_which_is_made_again(copied):
    store = store_at(copied)
    undo.undo(store, "first")
    assert store.store.names("models/drift") == []
    assert store.store.names("drift") == []
    write_files(copied / "like", **{f"t{n:02d}_png": scan(seed=500 + n) for n in range(10)})
    run(copied, "like")
    [card] = (copied / "store" / "models" / "drift").glob("*/other/card.json")
    assert json.loads(card.read_text())["parts"] == {"like": 1}
