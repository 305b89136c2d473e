"""Results as JSON and as CSV."""

import csv
import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from pipeline.cli.__main__ import commands
from pipeline.cli.output import plain, print_csv, show
from tests.builders.stores import small_store
from tests.builders.synthetic_store import SyntheticStore


@dataclass
class Value:
    path: Path
    names: frozenset


def test_every_kind_of_value_becomes_plain_json():
    frame = pd.DataFrame(
        {
            "number": [1.5, np.nan],
            "text": ["a", None],
            "time": pd.to_datetime(["2026-11-01T00:00:00Z", None]),
            "list": [np.array([1, 2]), np.array([])],
        }
    )
    value = {
        "rows": frame,
        "value": Value(Path("a/b"), frozenset("ba")),
        "numpy": np.int64(3),
        "when": datetime(2026, 11, 1, tzinfo=UTC),
        "missing": [float("inf"), pd.NA, pd.NaT],
    }
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == {
        "rows": [
            {"number": 1.5, "text": "a", "time": "2026-11-01T00:00:00+00:00", "list": [1, 2]},
            {"number": None, "text": None, "time": None, "list": []},
        ],
        "value": {"path": "a/b", "names": ["a", "b"]},
        "numpy": 3,
        "when": "2026-11-01T00:00:00+00:00",
        "missing": [None, None, None],
    }


def test_show_prints_json_or_calls_for_the_text(capsys):
    show({"a": 1}, True, lambda: print("text"))
    assert json.loads(capsys.readouterr().out) == {"a": 1}
    show({"a": 1}, False, lambda: print("text"))
    assert capsys.readouterr().out == "text\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    store = small_store(tmp_path_factory.mktemp("json")).store
    SyntheticStore(store).add_trunk().add_head("h0", 0.2).promote("h0").add_head("h1", 0.6)
    return store.root


@pytest.mark.parametrize(
    "arguments",
    [
        ["query"],
        ["query", "batches"],
        ["query", "labelled"],
        ["worklist"],
        ["models"],
        ["models", "h0", "h1"],
        ["evaluate"],
        ["why", f"{1:032x}"],
        ["retry"],
        ["forget", "--scan", f"{1:032x}"],
        ["promote", "h0"],
        ["status"],
        ["trunk", "describe"],
    ],
    ids=" ".join,
)
def test_with_json_standard_output_is_json_and_nothing_else(root, arguments):
    has_store = arguments not in (["query"], ["trunk", "describe"])
    options = ["--store", root] if has_store else []
    done = CliRunner().invoke(commands, [*arguments, *options, "--json"])
    assert done.exit_code in (0, 1), done.output
    assert isinstance(json.loads(done.stdout), list | dict)


def test_texts_that_begin_like_formulas_are_escaped_in_csv_and_numbers_are_not(capsys):
    cells = ["=1+1", "+49", "-x", "@SUM(A1)", "\tx", "a=b", None]
    numbers = [-1.5] * len(cells)
    print_csv(pd.DataFrame({"=name": cells, "number": numbers}))
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows[0] == ["'=name", "number"]
    assert [row[0] for row in rows[1:]] == ["'=1+1", "'+49", "'-x", "'@SUM(A1)", "'\tx", "a=b", ""]
    assert {row[1] for row in rows[1:]} == {"-1.5"}
