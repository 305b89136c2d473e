import importlib.metadata
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import cv2
import psutil
import pytest

from pipeline import config
from pipeline.ingest import check_decoders
from pipeline.jobs.process_batch import run_batch
from pipeline.stages.plan import deliver
from pipeline.store.locks import SERVER, acquire_lock
from pipeline.upkeep import doctor, quick_checks
from pipeline.upkeep.findings import FAILED, OK, RUN_AGAIN, WARNING, Finding, run
from tests.builders.fakes import use_fakes
from tests.builders.scans import scan, write_files
from tests.builders.stores import small_store


@pytest.fixture
def store(tmp_path, monkeypatch):
    use_fakes(monkeypatch)
    small = small_store(tmp_path)
    run_batch(small, deliver(write_files(tmp_path / "in", a_png=scan()), "b", small))
    return small


def assert_only(checked, state, message):
    [found] = list(checked)
    assert found.state == state, found
    assert message in found.message
    assert found.to_do or state == OK


def test_intact_installation_and_store_pass_every_check(store, monkeypatch):
    # Naming the device would import TensorFlow, which takes seconds.
    monkeypatch.setattr(doctor, "device", lambda: iter([Finding("device", "ok", "cpu")]))
    found = list(doctor.run_checks(store.settings))
    assert not [each for each in found if each.state == FAILED]
    names = {each.what for each in found}
    assert names >= {"packages", "decoders", "store and key", "privacy", "checks", "schedule"}
    assert [each.message for each in found if each.what == "schedule"] == ["none is configured"]


def crash(settings):
    os.abort()


def fail_to_import(settings):
    raise ModuleNotFoundError("No module named 'pydicom'")


@pytest.mark.parametrize(
    ("fault", "message"), [(crash, "ended the process"), (fail_to_import, "pydicom")]
)
def test_a_library_that_crashes_or_is_missing_is_one_of_the_findings(
    fault, message, store, monkeypatch
):
    monkeypatch.setattr(doctor, "_quick_checks", fault)
    monkeypatch.setattr(doctor, "device", lambda: iter([Finding("device", "ok", "cpu")]))
    found = {each.what: each for each in doctor.run_checks(store.settings)}
    assert_only([found["decoders and store"]], FAILED, message)
    assert found["packages"].state == OK


@pytest.mark.slow
def test_ctrl_c_ends_the_checks_without_a_traceback(store):
    command = [sys.executable, "-m", "pipeline.cli", "doctor", "--store", store.settings.store]
    checks = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    while not psutil.Process(checks.pid).children():
        assert checks.poll() is None
        time.sleep(0.01)
    time.sleep(0.1)  # the second process has begun to import
    os.killpg(checks.pid, signal.SIGINT)
    assert b"Traceback" not in checks.communicate(timeout=60)[1]
    assert checks.returncode == 130


def test_every_sample_file_decodes_or_is_rejected_as_expected():
    tried = check_decoders.check_decoders()
    assert [each for each in tried if each.got != each.expected] == []
    assert len(tried) >= 20


def test_decoder_with_wrong_pixels_is_reported(monkeypatch):
    real = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda *given: 255 - real(*given))
    found = next(quick_checks.decoders())
    assert found.state == FAILED
    assert "JPEG: decoded with grey values" in found.message


def test_package_outside_its_version_range_is_reported(monkeypatch):
    real = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "2.1.0" if name == "sqlalchemy" else real(name)
    )
    assert_only(doctor.packages(), FAILED, "sqlalchemy is 2.1.0, expected")


def test_file_that_other_users_can_read_is_reported(store):
    assert_only(quick_checks.permissions(store), OK, "only you can read")
    (store.private.root / "key").chmod(0o644)
    assert_only(quick_checks.permissions(store), FAILED, "store.private/key")


def test_wrong_key_and_missing_store_are_reported(store, tmp_path):
    (store.private.root / "key").write_text("ab" * 32)
    assert_only(doctor._open_store(store.settings)[1:], FAILED, "is not the key of the store")
    none = config.load(store=str(tmp_path / "none"))
    assert_only(doctor._open_store(none)[1:], WARNING, "there is no store")
    assert not (tmp_path / "none").exists()


def test_failed_check_and_interrupted_forget_are_reported(store):
    store.private.write("forgetting.json", b'{"places": []}')
    assert_only(quick_checks.forgetting(store), FAILED, "interrupted")
    [ledger] = store.store.names("scans")
    store.store.remove(ledger)
    assert_only(quick_checks.checks(store), FAILED, "features_belong_to_accepted_scans (1 rows)")


def test_schedule_is_read_from_the_database_of_prefect(store):
    home = store.private.path("prefect", "prefect.db")
    every_night = json.dumps({"cron": "0 1 * * *", "timezone": "Europe/Berlin"})
    with sqlite3.connect(home) as database:
        database.execute("create table deployment (id, name)")
        database.execute("create table deployment_schedule (deployment_id, active, schedule)")
        database.execute("insert into deployment values (1, 'nightly')")
        database.execute("insert into deployment_schedule values (1, 1, ?)", [every_night])
    assert_only(quick_checks.schedule(store), WARNING, "but no process serves it")
    with acquire_lock(store.store, SERVER, timeout=0):
        assert_only(quick_checks.schedule(store), OK, "nightly (cron 0 1 * * *, Europe/Berlin)")
    with sqlite3.connect(home) as database:
        database.execute("update deployment_schedule set active = 0")
    assert_only(quick_checks.schedule(store), WARNING, "nightly is paused")


def test_check_that_raises_is_reported(store, monkeypatch):
    def checks(opened):
        raise RuntimeError("no disk")

    assert_only(run(checks, store), FAILED, "RuntimeError: no disk")


def test_missing_trunk_file_does_not_suggest_a_reinstallation(tmp_path):
    wrong = small_store(tmp_path, trunk={"weights": str(tmp_path / "none.keras")})
    [found] = [each for each in doctor.run_checks(wrong.settings) if each.what == "trunk"]
    assert (found.state, found.to_do) == (FAILED, RUN_AGAIN)
