import datetime
from contextlib import nullcontext

import pytest

from pipeline import schemas
from pipeline.report import batch_report
from pipeline.report.batch_report import query_tables
from pipeline.report.batch_summary import Summary
from pipeline.store import catalog, tables
from pipeline.store.store import Store
from pipeline.store.views.kept import keep_ledger, only_batch
from tests.builders.synthetic_store import RECIPE, SyntheticStore
from tests.builders.tables import write_rows

BATCH = "b0"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two batches with a champion, alike scans, an audit, a decision and a withdrawn crop."""
    made = SyntheticStore(Store(str(tmp_path_factory.mktemp("kept"))), patients=40)
    made.write_scans(hashes=lambda number: f"{number // 3 * 0x9E3779B97F4A7C15 % 2**64:016x}")
    made.add_trunk().add_head("h0", 0.3).promote("h0")
    day = datetime.datetime(2026, 11, 27, tzinfo=datetime.UTC)
    decision = {"batch": "ab", "source": "ab", "label": "caries", "labelled_at": day}
    decision |= {name: made.crop_facts(4)[name] for name in ("crop_id", "scan_id")}
    name = "labels/part-ab-00000.parquet"
    write_rows(made.store, name, [decision | {"decision": "label"}], schemas.LABELS)
    drawn = [
        {name: made.crop_facts(n)[name] for name in ("batch", "crop_id", "scan_id", "patient_key")}
        for n in (4, 6, 8)
    ]
    rows = [row | {"night": 0} for row in drawn]
    write_rows(made.store, tables.AUDITS.part(BATCH, 0), rows, schemas.AUDITS)
    gone = {"scan_id": made.crop_facts(10)["scan_id"], "region": "whole", "batch": BATCH}
    gone |= {"kind": "withdrawn", "withdrawn": True, "source": "ab", "drawn_at": day}
    write_rows(made.store, tables.REGIONS.part(BATCH, 1), [gone], schemas.REGIONS)
    return made


@pytest.fixture
def con(made):
    with catalog.open_store(made.store) as con:
        yield con


def answers(con):
    """Rows of every query for people that needs no parameter; how many every check finds."""
    free = [
        name
        for name, query in catalog.queries().items()
        if catalog.REQUIRED not in query.parameters.values()
    ]
    found = {name: catalog.query_rows(con, name) for name in free}
    return found | {name: len(rows) for name, rows in catalog.check(con)}


def test_a_kept_ledger_gives_the_answers_of_the_store(con):
    expected = answers(con)
    keep_ledger(con)
    assert answers(con) == expected
    assert expected["audit"][0]["open_nights"] == 1


def test_what_is_kept_of_a_batch_gives_the_rows_of_its_page(con, monkeypatch):
    summary = Summary(BATCH, RECIPE, "t0", "h0")
    with only_batch(con, BATCH):
        (batches,) = con.table("predictions_now").project("batch").distinct().fetchall()
        assert batches == (BATCH,)
    kept = query_tables(con, summary)
    assert len(kept["gallery"]) == 38
    monkeypatch.setattr(batch_report, "only_batch", lambda *_: nullcontext())
    whole = query_tables(con, summary)
    whole["class_balance"] = [row for row in whole["class_balance"] if row["batch"] == BATCH]
    # A rank counts among the crops that were read.
    for rows in (kept["gallery"], whole["gallery"]):
        for number, row in enumerate(rows):
            row["rank"] = number
    assert kept == whole


def test_a_batch_that_was_kept_is_forgotten_again(con):
    def counts():
        names = ("features", "predictions_now", "repeated_places")
        return [len(con.table(name).to_arrow_table()) for name in names]

    before = counts()
    with only_batch(con, BATCH):
        assert counts() == [39, 39, 0]
    assert counts() == before == [79, 79, 0]


def test_a_store_opened_for_one_question_answers_as_the_whole_one(made, con):
    for name, query in catalog.queries().items():
        if catalog.REQUIRED not in query.parameters.values():
            with catalog.open_store(made.store, name) as alone:
                assert catalog.query_rows(alone, name) == catalog.query_rows(con, name), name


@pytest.mark.parametrize(
    ("question", "made_for_it"),
    [("rejections", {"scans_now", "scans_parts"}), ("labels_now", {"labels_now", "labels_parts"})],
)
def test_a_store_opened_for_one_question_makes_no_other_views(question, made_for_it, made):
    with catalog.open_store(made.store, question) as con:
        found = {name for (name,) in con.sql("show tables").fetchall()}
    assert made_for_it <= found
    assert found.isdisjoint({"features", "features_parts", "worklist", "head_files"})


def test_a_store_opened_for_a_view_has_the_rows_of_the_whole_one(made, con):
    views = [path.stem[3:] for path in sorted((catalog.SQL / "views").glob("*.sql"))]
    for name in views:
        with catalog.open_store(made.store, name) as alone:
            assert rows_of(alone, name) == rows_of(con, name), name


def rows_of(con, view):
    """The rows of a view, in any order that is the same for equal rows."""
    return sorted(map(repr, con.table(view).to_arrow_table().to_pylist()))
