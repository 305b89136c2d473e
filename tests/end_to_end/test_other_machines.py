"""Runs on machines as they are: another user, no home, C locale, proxies, odd names of a store."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from pipeline.phantoms import write_batch
from tests.builders.commands import SMALL_SETTINGS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
OTHER_USER = 65534
CLOSED = "http://127.0.0.1:9"  # a port that nothing listens on
ODD = "st?#%25 'o\" [a]*;é"
# May read everything, as if code and scans were open to all; writes only what is its own.
AS_ANOTHER_USER = (
    *("setpriv", f"--reuid={OTHER_USER}", f"--regid={OTHER_USER}", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
)


def can_be_another_user():
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        return False
    return (
        subprocess.run([*AS_ANOTHER_USER, "true"], capture_output=True, check=False).returncode == 0
    )


def dental(*arguments, prefix=(), cwd=ROOT, **variables):
    """Run `dental …` with hardly any environment; returns the finished process."""
    return subprocess.run(
        [*prefix, sys.executable, "-m", "pipeline.cli", *map(str, arguments)],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **SMALL_SETTINGS, **variables},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A batch of three phantoms."""
    folder = tmp_path_factory.mktemp("delivered") / "in"
    write_batch(folder, 3, 0, height=150)
    return folder


@pytest.fixture(scope="module")
def odd(tmp_path_factory, folder):
    """A run as another user where that is possible: its process, its folder and its store."""
    root = tmp_path_factory.mktemp("odd")
    prefix = AS_ANOTHER_USER if can_be_another_user() else ()
    if prefix:
        os.chown(root, OTHER_USER, OTHER_USER)
    proxies = dict.fromkeys(("http_proxy", "HTTPS_PROXY", "no_proxy"), CLOSED)
    others = {
        **{"LC_ALL": "C", "PYTHONUTF8": "0", "MPLBACKEND": "of_nowhere"},
        **{"PREFECT_PROFILE": "mine", "KERAS_BACKEND": "", "ALL_PROXY": "socks5://127.0.0.1:9"},
        "PREFECT_API_DATABASE_CONNECTION_URL": "postgresql+asyncpg://me@127.0.0.1:9/prefect",
    }
    store = root / ODD
    run = dental(
        *("run", folder, "--store", store, "--name", "n"),
        prefix=prefix,
        cwd=root,
        **proxies,
        **others,
    )
    return run, root, store


def test_a_run_needs_no_home_no_locale_and_no_way_around_a_proxy(odd):
    run, _, store = odd
    assert run.returncode == 0, run.stderr
    assert f"{store}/features" in run.stdout
    assert "3 accepted, 0 duplicate, 0 rejected" in run.stdout
    for noise in ("Traceback", "Fatal Python error", "atplotlib", "socks"):
        assert noise not in run.stderr
    [trunk] = (store / "features").iterdir()
    assert len(pd.read_parquet(trunk)) > 0


def test_variables_of_prefect_that_are_not_used_are_named_with_what_to_do(odd):
    [line] = [line for line in odd[0].stderr.splitlines() if "PREFECT_" in line]
    assert "PREFECT_API_DATABASE_CONNECTION_URL, PREFECT_PROFILE" in line
    assert "set PREFECT_API_URL" in line
    assert "127.0.0.1" not in line


def test_all_of_prefect_is_in_the_private_folder_and_only_its_owner_reads_it(odd):
    _, root, store = odd
    assert {path.name for path in root.iterdir()} == {ODD, f"{ODD}.private"}
    home = Path(f"{store}.private", "prefect")
    for path in (home, *home.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
    with sqlite3.connect(home / "prefect.db") as connection:
        [(runs,)] = connection.execute("select count(*) from flow_run").fetchall()
    assert runs == 1


@pytest.mark.skipif(not can_be_another_user(), reason="only root can run as another user")
def test_another_user_runs_with_code_and_scans_that_it_may_only_read(odd):
    _, root, _ = odd
    assert {path.stat().st_uid for path in root.rglob("*")} == {OTHER_USER}


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"KERAS_BACKEND": "theano"}, "KERAS_BACKEND is 'theano', expected tensorflow, jax, torch"),
        ({"PREFECT_HOME": "$NOWHERE/p"}, "PREFECT_HOME is '$NOWHERE/p': the variable NOWHERE is"),
        ({"PREFECT_API_URL": f"{CLOSED}/api"}, f"PREFECT_API_URL is set to {CLOSED}/api, where no"),
        ({"PREFECT_API_URL": "mine"}, "PREFECT_API_URL is set to mine, where no server of Prefect"),
    ],
    ids=str,
)
def test_what_a_run_cannot_work_with_gives_one_sentence(folder, tmp_path, variables, message):
    run = dental("run", folder, "--store", tmp_path / "store", **variables)
    assert run.returncode == 1
    assert message in run.stderr
    assert len(run.stderr.splitlines()) == 1, run.stderr


def test_a_server_that_does_not_start_gives_one_sentence_and_its_log(folder, tmp_path):
    home = tmp_path / "store.private" / "prefect"
    home.mkdir(parents=True, mode=0o700)
    (home / "prefect.db").write_bytes(b"no database")
    run = dental("run", folder, "--store", tmp_path / "store")
    assert run.returncode == 1
    assert len(run.stderr.splitlines()) == 1, run.stderr
    assert f"Its messages are in {home}/server.log" in run.stderr
    assert "file is not a database" in (home / "server.log").read_text(encoding="utf-8")


def test_keras_reads_and_writes_no_settings_of_the_user(tmp_path):
    keras = tmp_path / ".keras"
    keras.mkdir()
    settings = '{"backend": "jax", "floatx": "float16", "image_data_format": "channels_first"}'
    (keras / "keras.json").write_text(settings, encoding="utf-8")
    program = (
        "from pipeline.model.keras_backend import keras; c = keras.config; "
        "print(c.backend(), c.floatx(), c.image_data_format(), c.dtype_policy().name)"
    )
    asked = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "KERAS_HOME": str(keras)},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert asked.stdout.split() == ["tensorflow", "float32", "channels_last", "float32"]
    assert (keras / "keras.json").read_text(encoding="utf-8") == settings
