"""Looking for work: nothing to do gives what a run gives, and everything else goes the long way."""

import json
from dataclasses import replace

import pytest

from pipeline import config
from pipeline.errors import BatchBusy
from pipeline.jobs.find_work import BatchLook, WorkFound, find_batch_work, find_night_work
from pipeline.jobs.kept_answers import KeptAnswers
from pipeline.jobs.nightly import nightly
from pipeline.report.night_record import last_night
from pipeline.store import catalog
from pipeline.store.locks import batch_lock
from tests.builders.fakes import use_fakes
from tests.builders.scans import scan, write_files
from tests.builders.stores import process_folder, small_store


@pytest.fixture(autouse=True)
def _fakes(monkeypatch):
    use_fakes(monkeypatch)


@pytest.fixture
def done(tmp_path):
    """A store in which the batch `b` is done, and its folder."""
    store, folder = small_store(tmp_path), write_files(tmp_path / "in", a_png=scan())
    process_folder(store, folder)
    return store, folder


def found(store):
    """What there is to do in the batch."""
    with pytest.raises(WorkFound) as work:
        find_batch_work(store, "b")
    return work.value


def remove(store, table):
    for name in store.store.names(table):
        store.store.remove(name)


def test_nothing_to_do_has_the_summary_of_a_run(done, monkeypatch):
    store, folder = done
    run = process_folder(store, folder)
    looked = find_batch_work(store, "b")
    assert looked.nothing_to_do
    assert replace(looked, seconds={}) == replace(run, seconds={})
    assert "No head yet" in " ".join(looked.notes)
    # What the catalog answered is kept.
    monkeypatch.setattr(catalog, "open_store", None)
    assert replace(find_batch_work(store, "b"), seconds={}) == replace(run, seconds={})


@pytest.mark.parametrize(
    ("tables", "what", "embeds"),
    [
        (["scans"], "scans", True),
        (["features"], "features", True),
        (["crops", "features"], "features", True),
        (["audits"], "audits", False),
        (["drift"], "drift", False),
        (["reports"], "report", False),
    ],
)
def test_whatever_is_missing_is_work(done, tables, what, embeds):
    store, _ = done
    for table in tables:
        remove(store, table)
    work = found(store)
    assert (work.what, work.embeds) == (what, embeds)


def test_new_files_and_other_settings_are_work_and_nothing_is_listed(done, tmp_path):
    store, folder = done
    other = small_store(tmp_path, trunk=config.Trunk(seed=7, weights="random"))
    assert found(other).what == "features"
    lists = sorted(store.private.root.glob("deliveries/b/*"))
    write_files(folder, b_png=scan())
    assert found(store).what == "plan"
    assert sorted(store.private.root.glob("deliveries/b/*")) == lists
    assert process_folder(store, folder).counts["accepted"] == 2


def test_enough_patients_for_a_model_are_work(done, monkeypatch):
    monkeypatch.setattr(BatchLook, "_require_rows", lambda _: None)
    assert found(done[0]).what == "novelty"


def test_a_batch_that_is_worked_on_is_left_to_the_run_to_report(done):
    store, _ = done
    with batch_lock(store.store, "b"), pytest.raises(BatchBusy):
        find_batch_work(store, "b")


def test_kept_answers_are_asked_again_once_the_store_or_a_setting_changes(done, tmp_path):
    store, _ = done
    asked = []

    def answer(opened):
        return KeptAnswers(opened, "x").of("n", lambda: asked.append(0) or len(asked))

    assert [answer(store), answer(store)] == [1, 1]
    store.store.write_bytes("labels/part-00000000000000000001.parquet", b"other")
    assert [answer(store), answer(store)] == [2, 2]
    assert answer(small_store(tmp_path, normal_class="sound")) == 3
    (store.private.root / "answers" / "x.json").write_text("damaged")
    assert answer(store) == 4


def test_an_idle_night_is_recorded_as_a_run_would_and_any_work_is_left_to_one(tmp_path):
    inbox = tmp_path / "inbox"
    store = small_store(tmp_path, inbox=inbox, feedback=tmp_path / "reviewed")
    folder = write_files(inbox / "2026-11-01", a_png=scan())
    (tmp_path / "reviewed").mkdir()
    with pytest.raises(WorkFound, match="plan"):
        find_night_work(store)
    nightly(store)
    run = nightly(store)
    night = find_night_work(store)
    assert night.finished_at is not None
    times = {"started_at": "", "finished_at": "", "seconds": {}}
    assert replace(night, **times) == replace(run, **times)
    assert last_night(store.store) == night
    index = store.store.read_bytes("reports/index.html")
    assert find_night_work(store).batches == night.batches  # by kept answers
    assert b"2026-11-01" in index
    kept = json.loads((store.private.root / "answers" / "night.json").read_bytes())
    assert set(kept["answers"]) == {"training", "index"}

    (tmp_path / "reviewed" / "table.csv").write_text("crop_id,label\n")
    with pytest.raises(WorkFound, match="labels"):
        find_night_work(store)
    (tmp_path / "reviewed" / "table.csv").unlink()
    write_files(folder, b_png=scan())
    with pytest.raises(WorkFound, match="plan"):
        find_night_work(store)
