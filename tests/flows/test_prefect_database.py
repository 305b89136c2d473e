"""The schema by which a store's first Prefect server is spared its migrations."""

import os
import sqlite3
import stat
import subprocess
import sys

import pytest

from flows import prefect_database
from flows.prefect_database import SCHEMA, make_database


def definitions(schema):
    """Its lines in one order: that of a table's constraints is another in every migration."""
    return sorted(line.strip().rstrip(",") for line in schema.splitlines())


@pytest.mark.slow
def test_the_schema_is_what_the_migrations_of_the_installed_prefect_make():
    made = subprocess.run(
        [sys.executable, "-m", "flows.prefect_database"],
        env={**os.environ, "DO_NOT_TRACK": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert definitions(made.stdout) == definitions(SCHEMA.read_text(encoding="utf-8")), (
        "Write it again: python -m flows.prefect_database > flows/prefect_database.sql"
    )


def test_a_database_is_made_once_and_for_its_owner_alone(tmp_path):
    home = tmp_path / "prefect"
    make_database(home)
    database = home / "prefect.db"
    assert [path.name for path in home.iterdir()] == ["prefect.db"]
    assert stat.S_IMODE(database.stat().st_mode) == 0o600
    with sqlite3.connect(database) as connection:
        connection.execute("delete from alembic_version")
    make_database(home)
    with sqlite3.connect(database) as connection:
        assert connection.execute("select * from alembic_version").fetchall() == []


def test_another_release_of_prefect_migrates_its_database_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(prefect_database.importlib.metadata, "version", lambda _: "3.9.2")
    make_database(tmp_path)
    assert list(tmp_path.iterdir()) == []
