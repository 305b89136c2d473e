"""The table that a reviewer fills in."""

import csv

import pytest

from pipeline import schemas
from pipeline.errors import ConfigError
from pipeline.learn.decisions import Decision, append_decisions
from pipeline.learn.feedback import take_feedback
from pipeline.learn.review_table import write_review_table
from tests.builders.stores import small_store
from tests.builders.tables import (
    feature_row,
    label_row,
    prediction_row,
    promote,
    write_rows,
    write_table,
)

A, B, C = (letter * 32 for letter in "abc")


@pytest.fixture
def opened(tmp_path):
    """Three predicted crops, the first drawn for the audit, the second delivered as abnormal."""
    small = small_store(tmp_path)
    write_table(small.store, "features", [feature_row(each) for each in (A, B, C)])
    scores = {A: 0.9, B: 0.8, C: 0.1}
    write_table(small.store, "predictions", [prediction_row(*each) for each in scores.items()])
    write_table(small.store, "labels", [label_row(f"{B}:whole", "abnormal")])
    drawn = {"crop_id": f"{A}:whole", "scan_id": A, "batch": "b", "patient_key": "p", "night": 0}
    write_rows(small.store, "audits/b/part-00000.parquet", [drawn], schemas.AUDITS)
    promote(small.store)
    return small


def exported(opened, tmp_path, reviewer="kl", batch=None):
    file = tmp_path / "out.csv"
    write_review_table(opened.settings, file, reviewer, batch)
    with open(file, encoding="utf-8") as text:
        return list(csv.DictReader(text))


def test_it_has_the_worklist_with_empty_labels_and_audit_crops_without_a_prediction(
    opened, tmp_path
):
    rows = exported(opened, tmp_path)
    assert list(rows[0]) == ["crop_id", "predicted", "label", "reviewer", "note"]
    assert {row["crop_id"][0]: row["predicted"] for row in rows} == {
        "a": "", "b": "healthy", "c": "healthy"
    }  # fmt: skip
    assert {(row["label"], row["reviewer"], row["note"]) for row in rows} == {("", "kl", "")}


def test_it_leaves_out_what_the_reviewer_has_read_and_other_batches(opened, tmp_path):
    append_decisions(opened.store, [Decision(f"{C}:whole", "unsure", None, "kl")])
    assert [row["crop_id"][0] for row in exported(opened, tmp_path)] == ["b", "a"]
    (tmp_path / "out.csv").unlink()
    assert exported(opened, tmp_path, batch="other") == []


def test_a_table_that_exists_is_kept(opened, tmp_path):
    (tmp_path / "out.csv").write_text("labels of a day\n")
    with pytest.raises(ConfigError, match=r"out.csv exists already and may hold labels"):
        exported(opened, tmp_path)
    assert (tmp_path / "out.csv").read_text() == "labels of a day\n"
    with pytest.raises(ConfigError, match="cannot be written"):
        write_review_table(opened.settings, tmp_path / "no" / "out.csv", "kl", None)


def test_filled_in_it_is_taken_and_untouched_it_changes_nothing(opened, tmp_path):
    rows = exported(opened, tmp_path)
    file = tmp_path / "out.csv"
    untouched = take_feedback(opened.settings, file)
    assert (untouched.blank, untouched.appended, untouched.problems) == (3, 0, [])
    rows[0] |= {"label": "healthy", "note": 'as if; "see" Mr. Smith\'s chart'}
    rows[2] |= {"label": "unsure"}
    with open(file, "w", encoding="utf-8", newline="") as text:
        writer = csv.DictWriter(text, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    taken = take_feedback(opened.settings, file, agreed=True)
    assert (taken.appended, taken.blank, taken.problems) == (2, 1, [])
    stored = b"".join(opened.store.read_bytes(name) for name in opened.store.names("labels"))
    assert b"Smith" not in stored
