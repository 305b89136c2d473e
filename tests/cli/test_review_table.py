"""`dental review export` and `import`, called in this process, without training."""

import csv
import sys
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from pipeline.cli import review_table
from pipeline.cli.__main__ import commands
from tests.builders.stores import small_store
from tests.builders.tables import feature_row, prediction_row, promote, write_labels, write_table

SCANS = [letter * 32 for letter in "abc"]


@pytest.fixture
def dental(tmp_path, monkeypatch):
    """A store of three predicted crops, two with a delivered label, and commands about it."""
    opened = small_store(tmp_path)
    write_table(opened.store, "features", [feature_row(each) for each in SCANS])
    write_table(opened.store, "predictions", [prediction_row(each) for each in SCANS])
    write_labels(opened.store, {f"{each}:whole": "abnormal" for each in SCANS[:2]})
    promote(opened.store)
    # Prefect and Keras, which a table that changes nothing does without.
    monkeypatch.setattr(review_table, "start", lambda *_: opened.settings)
    no_server = {"open_with_server": lambda _: None, "exit_on_signal": lambda *_: None}
    monkeypatch.setitem(sys.modules, "flows.run_flow", SimpleNamespace(**no_server))
    monkeypatch.setitem(sys.modules, "flows.train", SimpleNamespace(train="the flow"))
    monkeypatch.setattr(review_table, "finish", lambda flow, **_: run.trained.append(flow))

    def run(*arguments):
        command = [*map(str, arguments), "--store", opened.store.root]
        return CliRunner().invoke(commands, command, catch_exceptions=False)

    run.trained = []
    return run


def test_a_table_is_exported_compared_and_taken(dental, tmp_path):
    file = tmp_path / "out.csv"
    done = dental("review", "export", file, "--reviewer", "KL")
    assert done.stdout == f"3 crops in {file}. Fill in labels, then: dental review import {file}\n"

    untouched = dental("review", "import", file)
    assert untouched.exit_code == 0
    assert "3 lines blank" in untouched.stdout
    assert "No label in force has changed, so no head was trained" in untouched.stdout

    rows = list(csv.DictReader(file.read_text().splitlines()))
    rows[0]["label"] = "withdraw"
    file.write_text("\n".join(map(",".join, [rows[0], *(row.values() for row in rows)])))
    for command in (["review", "import"], ["feedback"]):
        held = dental(*command, file)
        assert held.exit_code == 2
        assert f"{rows[0]['crop_id']} abnormal (delivered), now withdraw (kl)" in held.stdout
        assert "Nothing was written: it withdraws 1 labels" in held.stdout
    assert dental.trained == []

    assert "1 withdrawn" in dental("feedback", file, "--yes").stdout
    assert dental.trained == ["the flow"]
    assert "1 known already" in dental("feedback", file).stdout
    assert dental.trained == ["the flow"]
