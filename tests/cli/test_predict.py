"""`dental predict`: files of any kind, as text, CSV and JSON; rejected ones do not stop it."""

import csv
import io
import json

import pytest
from typer.testing import CliRunner

from pipeline.cli.__main__ import commands
from tests.builders.scans import encode, scan
from tests.store.test_stored_by_earlier_versions import unpack


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("predict")
    unpack("plain", home)
    (home / "good.png").write_bytes(encode(scan(seed=1)))
    (home / "bad.pdf").write_bytes(b"%PDF-1.4")
    return home


@pytest.fixture
def dental(home, monkeypatch):
    monkeypatch.setenv("DENTAL_STORE", str(home / "store"))
    monkeypatch.setenv("DENTAL_PRIVATE", str(home / "private"))
    monkeypatch.setenv("DENTAL_CONFIG", str(home / "dental.toml"))
    monkeypatch.chdir(home)
    return lambda *words: CliRunner().invoke(commands, ["predict", *words])


def test_a_rejected_file_is_listed_and_the_others_are_predicted(dental):
    answer = dental("bad.pdf", "missing.png", "good.png")
    assert answer.exit_code == 2
    assert "rejected, unsupported_format" in answer.stdout
    assert "rejected, unreadable: cannot be read (No such file or directory)" in answer.stdout
    assert "p_abnormal" in answer.stdout.split("good.png")[1]


def test_csv_has_the_same_columns_for_every_file(dental):
    answer = dental("good.png", "bad.pdf", "--csv")
    rows = list(csv.DictReader(io.StringIO(answer.stdout)))
    assert [row["status"] for row in rows] == ["predicted", "rejected"]
    assert 0 <= float(rows[0]["p_healthy"]) <= 1
    assert rows[1]["reason"] == "unsupported_format"
    assert not rows[1]["p_healthy"]


def test_json_has_the_places_of_every_file(dental):
    answer = dental("good.png", "--json")
    assert answer.exit_code == 0
    [found] = json.loads(answer.stdout)
    [place] = found["places"]
    assert place["region"] == "whole"
    assert place["in_training"] is False
    assert found["reason"] is None


def test_a_heat_map_of_one_file_is_drawn_for_its_owner_alone(dental, home):
    assert dental("good.png", "--heatmap", "map.png").exit_code == 0
    assert (home / "map.png").read_bytes().startswith(b"\x89PNG")
    assert (home / "map.png").stat().st_mode & 0o777 == 0o600
    answer = dental("good.png", "good.png", "--heatmap", "map.png")
    assert "--heatmap draws one" in str(answer.exception)
