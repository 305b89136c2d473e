"""`dental worklist`, called in this process."""

import json

import pytest
from rich.console import Console
from typer.testing import CliRunner

from pipeline import schemas
from pipeline.cli.__main__ import commands
from pipeline.learn.decisions import Decision, append_decisions
from tests.builders.stores import small_store
from tests.builders.tables import (
    feature_row,
    prediction_row,
    promote,
    scan_row,
    write_rows,
    write_table,
)

SCANS = [f"{number:032x}"[::-1] for number in range(25)]


@pytest.fixture
def store(tmp_path):
    """Twenty-five predicted crops; the first is the likeliest abnormal."""
    store = small_store(tmp_path).store
    flags = {"quality_flags": ["blurred"]}
    rows = [scan_row(row, each, **flags) for row, each in enumerate(SCANS)]
    write_table(store, "scans", rows)
    teeth = [{"tooth": 36}, {"tooth_guess": 46}, {}]
    write_table(
        store, "features", [feature_row(each, **teeth[n % 3]) for n, each in enumerate(SCANS)]
    )
    predictions = [prediction_row(each, 0.9 - n / 50) for n, each in enumerate(SCANS)]
    write_table(store, "predictions", predictions)
    promote(store, 1)
    return store


def worklist(store, *options):
    done = CliRunner().invoke(commands, ["worklist", "--store", store.root, *options])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_first_twenty_crops_are_shown_in_eight_columns(store):
    header, _, *lines, _ = worklist(store).splitlines()
    names = ["rank", "id", "tooth", "predicted", "p", "flags", "label", "batch"]
    assert header.split() == names
    assert len(lines) == 20
    first = ["1", SCANS[0][:6], "36", "healthy", "0.900", "flagged", "blurred", "b"]
    assert lines[0].split() == first
    teeth = [line[header.index("tooth") :][:5].strip() for line in lines[:3]]
    assert teeth == ["36", "46?", ""]
    assert "dental worklist --all" in worklist(store)
    assert "--all" not in worklist(store, "--all")


def test_the_table_fits_eighty_columns_and_cuts_no_id(store, monkeypatch):
    monkeypatch.setattr("pipeline.cli.worklist.console", lambda: Console(width=60))
    output = worklist(store)
    assert max(map(len, output.splitlines())) <= 60
    assert SCANS[0][:6] in output
    assert "…" not in output


def test_csv_and_json_have_whole_ids_and_the_same_columns(store):
    header, *lines = worklist(store, "--csv").splitlines()
    assert header == "rank,crop_id,tooth,predicted,p,flags,delivered,label,batch"
    assert len(lines) == 20
    assert lines[0].startswith(f"1,{SCANS[0]}:whole,36,healthy,0.9,flagged blurred,,,b")
    rows = json.loads(worklist(store, "--all", "--json"))
    assert len(rows) == 25
    assert list(rows[0]) == [name for name in header.split(",") if name != "label"]
    assert rows[0]["flags"] == ["flagged", "blurred"]
    assert rows[0]["delivered"] is None


def test_an_empty_list_says_why(tmp_path):
    assert "no head has predicted yet" in worklist(small_store(tmp_path).store)


def test_what_models_think_of_audit_crops_is_not_shown(store):
    first = f"{SCANS[0]}:whole"
    facts = {"crop_id": first, "scan_id": SCANS[0], "batch": "b", "patient_key": "p", "night": 0}
    write_rows(store, "audits/b/part-00000.parquet", [facts], schemas.AUDITS)
    rows = json.loads(worklist(store, "--all", "--json"))
    [audit] = [row for row in rows if row["crop_id"] == first]
    assert (audit["predicted"], audit["p"], audit["flags"]) == (None, None, ["audit", "blurred"])
    assert all(row["p"] for row in rows if row is not audit)


def test_each_reviewer_has_a_list_of_their_own(store):
    crop_id = f"{SCANS[0]}:whole"
    append_decisions(store, [Decision(crop_id, "unsure", None, "kl")])
    listed = {who: SCANS[0] in worklist(store, "--csv", "--reviewer", who) for who in ("KL", "mm")}
    assert listed == {"KL": False, "mm": True}
    both = [Decision(crop_id, "label", *each) for each in (("caries", "kl"), ("cyst", "mm"))]
    assert "dispute" not in worklist(store)
    append_decisions(store, both)
    assert worklist(store).endswith("\n1 crops are in dispute: dental query disputed\n")
    done = CliRunner().invoke(commands, ["worklist", "--store", store.root, "--reviewer", "Dr. K"])
    assert "is not a code of 1 to 16" in str(done.exception)
