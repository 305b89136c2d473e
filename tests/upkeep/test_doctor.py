"""What the doctor finds, in a sound installation and in broken ones."""

import importlib.metadata
import json
import sqlite3

import cv2
import pytest

from pipeline import config
from pipeline.ingest import check_decoders
from pipeline.jobs.process_batch import run_batch
from pipeline.stages.plan import deliver
from pipeline.store.locks import SERVER, acquire_lock
from pipeline.upkeep import doctor
from tests.builders.fakes import use_fakes
from tests.builders.scans import scan, write_files
from tests.builders.stores import small_store


@pytest.fixture
def store(tmp_path, monkeypatch):
    use_fakes(monkeypatch)
    small = small_store(tmp_path)
    run_batch(small, deliver(write_files(tmp_path / "in", a_png=scan()), "b", small))
    return small


def only(finding, state, says):
    [found] = list(finding)
    assert found.state == state, found
    assert says in found.words
    assert found.to_do or state == doctor.OK


def test_a_sound_installation_and_store_have_no_failure(store, monkeypatch):
    # The device is asked of TensorFlow, whose import takes long.
    monkeypatch.setattr(doctor, "device", lambda: iter([doctor.Finding("device", "ok", "cpu")]))
    found = list(doctor.run_checks(store.settings))
    assert not [each for each in found if each.state == doctor.FAILED]
    asked = {each.what for each in found}
    assert asked >= {"packages", "decoders", "store and key", "privacy", "checks", "schedule"}
    assert [each.words for each in found if each.what == "schedule"] == ["none is configured"]


def test_every_kind_of_file_is_decoded_and_every_broken_one_rejected():
    tried = check_decoders.check_decoders()
    assert [each for each in tried if each.got != each.expected] == []
    assert len(tried) >= 20


def test_a_decoder_that_quietly_gives_other_pixels_is_found(monkeypatch):
    real = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda *given: 255 - real(*given))
    found = next(doctor.decoders())
    assert found.state == doctor.FAILED
    assert "PNG: decoded with grey values" in found.words


def test_a_version_that_breaks_schedules_is_found(monkeypatch):
    real = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "2.1.0" if name == "sqlalchemy" else real(name)
    )
    only(doctor.packages(), doctor.FAILED, "sqlalchemy is 2.1.0, expected")


def test_what_others_may_read_is_found(store):
    only(doctor.permissions(store), doctor.OK, "yours alone")
    (store.private.root / "key").chmod(0o644)
    only(doctor.permissions(store), doctor.FAILED, "store.private/key")


def test_a_store_of_another_key_and_a_store_that_is_not_there_are_found(store, tmp_path):
    (store.private.root / "key").write_text("ab" * 32)
    only(doctor._of_store(store.settings), doctor.FAILED, "is not the key of the store")
    none = config.load(store=str(tmp_path / "none"))
    only(doctor._of_store(none), doctor.WARNING, "there is no")
    assert not (tmp_path / "none").exists()


def test_a_broken_check_and_a_forgetting_that_was_interrupted_are_found(store):
    store.private.write("forgetting.json", b'{"places": []}')
    only(doctor.forgetting(store), doctor.FAILED, "interrupted")
    [ledger] = store.store.names("scans")
    store.store.remove(ledger)
    only(doctor.checks(store), doctor.FAILED, "features_belong_to_accepted_scans (1 rows)")


def test_schedules_are_read_from_prefects_own_database(store):
    home = store.private.path("prefect", "prefect.db")
    every_night = json.dumps({"cron": "0 1 * * *", "timezone": "Europe/Berlin"})
    with sqlite3.connect(home) as database:
        database.execute("create table deployment (id, name)")
        database.execute("create table deployment_schedule (deployment_id, active, schedule)")
        database.execute("insert into deployment values (1, 'nightly')")
        database.execute("insert into deployment_schedule values (1, 1, ?)", [every_night])
    only(doctor.schedule(store), doctor.WARNING, "but nobody serves it")
    with acquire_lock(store.store, SERVER, timeout=0):
        only(doctor.schedule(store), doctor.OK, "nightly (cron 0 1 * * *, Europe/Berlin)")
    with sqlite3.connect(home) as database:
        database.execute("update deployment_schedule set active = 0")
    only(doctor.schedule(store), doctor.WARNING, "nightly is paused")


def test_a_question_that_raises_is_a_finding(store, monkeypatch):
    def checks(opened):
        raise RuntimeError("no disk")

    only(doctor._asked(checks, store), doctor.FAILED, "RuntimeError: no disk")


def test_a_trunk_file_that_is_not_there_is_the_settings_fault_not_the_installations(tmp_path):
    wrong = small_store(tmp_path, trunk={"weights": str(tmp_path / "none.keras")})
    [found] = [each for each in doctor.run_checks(wrong.settings) if each.what == "trunk"]
    assert (found.state, found.to_do) == (doctor.FAILED, "see there; then ask again")
