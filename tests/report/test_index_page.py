"""The overview of a store and the history of its nights."""

import re

import pytest
from typer.testing import CliRunner

from pipeline import config, schemas
from pipeline.cli.__main__ import commands
from pipeline.report.index_page import index_facts, run_days, write_index, write_nights_page
from pipeline.report.night_record import BatchNight, NightRecord, write_night
from pipeline.store import catalog, tables
from pipeline.store.store import Store
from tests.builders.synthetic_store import SyntheticStore
from tests.builders.tables import write_labels, write_rows
from tests.report.test_batch_report import visible


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two batches, one of which has a page and an audit that was reviewed in full."""
    root = tmp_path_factory.mktemp("store")
    made = SyntheticStore(Store(str(root))).add_trunk().add_head("h0", 0.3).promote("h0")
    store = made.store
    store.write_bytes("reports/b0.html", b"page")
    store.write_bytes("runs/b0/20261103T010203.000000-abc123.json", b"{}")
    store.write_bytes("runs/b0/20261105T010203.000000-abc123.json", b"{}")
    drawn = [
        {**{key: made.crop_facts(n)[key] for key in ("crop_id", "scan_id", "batch", "patient_key")}}
        for n in (0, 2)
    ]
    rows = [{**each, "night": 0} for each in drawn]
    write_rows(store, tables.AUDITS.part("b0", 0), rows, schemas.AUDITS)
    labels = {drawn[0]["crop_id"]: "caries", drawn[1]["crop_id"]: "healthy"}
    write_labels(store, labels, source="kl")
    settings = config.load(store=str(root))
    bad = BatchNight("new", {"accepted": 7, "rejected": 3}, incomplete=["more than 10% rejected"])
    write_night(store, NightRecord(many_rejected=True, batches={"b0": bad}), settings)
    write_nights_page(store, settings)
    return made


@pytest.fixture(scope="module")
def page(made):
    with catalog.open_store(made.store) as con:
        return made.store.read_bytes(write_index(made.store, index_facts(con))).decode()


def test_batches_link_to_their_pages_and_show_when_they_ran(page):
    assert '<a href="b0.html">b0</a>' in page
    assert re.search(r"b0 2026-11-03 2026-11-05 (\d+) \1 0 0 120 0", visible(page))
    assert '<a href="b1.html">' not in page


def test_heads_reviewers_and_audit_are_shown(page):
    text = visible(page)
    assert "h0 2026-11-25 t0" in text
    assert "no. 1, champion" in text
    assert "kl 2 2 of 240" in text
    assert "Of 2 crops drawn by chance, 1 are abnormal: a prevalence of 0.50" in text
    assert "share of abnormal crops in the audit" in page


def test_nights_show_why_one_was_not_well(page, made):
    nights = visible(made.store.read_bytes("reports/nightly.html").decode())
    for text in (visible(page), nights):
        assert re.search(r"incomplete 1 7 0 3", text)
        assert "b0: more than 10% rejected" in text
    assert '<a href="nightly.html">' in page


def test_dental_nights_lists_them(made):
    asked = CliRunner().invoke(commands, ["nights", "--store", made.store.root])
    assert asked.exit_code == 0
    assert "incomplete" in asked.output
    assert "b0: more than 10% rejected" in asked.output


def test_no_page_of_counts_identifies_a_scan_or_patient(page, made):
    assert not any(made.crop_id(n)[:32] in page for n in range(2 * made.patients))
    assert "://" not in page


def test_an_empty_store_has_a_page(store):
    with catalog.open_store(store) as con:
        text = visible(store.read_bytes(write_index(store, index_facts(con))).decode())
    assert "No batch yet: dental run FOLDER" in text
    assert "No head yet." in text


def test_days_of_runs_come_from_the_names_of_their_records():
    names = ["runs/b/20261101T1.json", "runs/b/20261104T1.json", "runs/night-20261101T1-a.json"]
    assert run_days(names) == ({"b": "2026-11-01"}, {"b": "2026-11-04"})
