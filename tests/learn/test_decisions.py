"""What reviewers decided about a crop, in the order in which they did, and the label in force."""

import datetime
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline import config
from pipeline.errors import ConfigError
from pipeline.learn import decisions
from pipeline.learn.decisions import Decision, allowed_labels, append_decisions, label_problem
from pipeline.store import catalog
from pipeline.upkeep import erase
from tests.builders.tables import (
    feature_row,
    label_row,
    prediction_row,
    promote,
    scan_row,
    write_card,
    write_rows,
    write_table,
)

A, B = "a" * 32, "b" * 32
CROP = f"{A}:whole"
DELIVERED = ("healthy", "delivered")


@pytest.fixture
def labelled(store):
    """A store of one crop that was delivered as healthy."""
    write_table(store, "features", [feature_row(A)])
    write_table(store, "labels", [label_row(CROP, "healthy")])
    return store


def decide(store, *made):
    """Append decisions, given as `reviewer decision label`, in this order."""
    split = [(*each.split(), None)[:3] for each in made]
    rows = [Decision(CROP, decision, label, reviewer) for reviewer, decision, label in split]
    append_decisions(store, rows, {CROP: "b"})


def in_force(store):
    """Label and source of the crop; None without a label."""
    with catalog.open_store(store) as con:
        rows = con.table("labels_now").to_arrow_table().to_pylist()
    return next(((row["label"], row["source"]) for row in rows), None)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ([], DELIVERED),
        (["kl label caries"], ("caries", "kl")),
        (["kl withdraw"], None),
        (["kl withdraw", "kl label caries"], ("caries", "kl")),
        (["kl label caries", "mm withdraw"], None),
        # Unsure labels nothing and removes no other label.
        (["kl unsure"], DELIVERED),
        (["kl label caries", "kl unsure"], DELIVERED),
        (["kl label caries", "mm unsure"], ("caries", "kl")),
        (["kl unsure", "kl label caries"], ("caries", "kl")),
        # Undo takes off the latest decision of the same reviewer that is in effect.
        (["kl label caries", "kl undo"], DELIVERED),
        (["kl label caries", "mm undo"], ("caries", "kl")),
        (["kl label caries", "kl label cyst", "kl undo"], ("caries", "kl")),
        (["kl label caries", "kl label cyst", "kl undo", "kl undo"], DELIVERED),
        (["kl label caries", "kl undo", "kl undo", "kl label cyst"], ("cyst", "kl")),
        (["kl undo", "kl label caries"], ("caries", "kl")),
        (["kl label cyst", "kl withdraw", "kl undo"], ("cyst", "kl")),
        (["kl label cyst", "kl undo", "kl label caries", "kl unsure", "kl undo"], ("caries", "kl")),
        # Two reviewers: none is in force while they differ.
        (["kl label caries", "mm label caries"], ("caries", "mm")),
        (["kl label caries", "mm label cyst"], None),
        (["kl label caries", "mm label cyst", "mm label caries"], ("caries", "mm")),
        (["kl label caries", "mm label cyst", "mm undo"], ("caries", "kl")),
        (["kl label caries", "mm label cyst", "mm unsure"], ("caries", "kl")),
        (["kl label caries", "mm withdraw", "oo label cyst"], ("cyst", "oo")),
        # A consensus settles what was decided before it; who differs later disputes it.
        (["kl label caries", "mm label cyst", "mm consensus cyst"], ("cyst", "mm")),
        (["kl label caries", "mm label cyst", "oo consensus caries"], ("caries", "oo")),
        (["kl label caries", "mm label cyst", "mm consensus cyst", "mm undo"], None),
        (["kl consensus cyst", "mm label cyst"], ("cyst", "mm")),
        (["kl consensus cyst", "mm label caries"], None),
        (["kl consensus cyst", "mm label caries", "kl consensus caries"], ("caries", "kl")),
        (["kl consensus cyst", "mm withdraw"], None),
    ],
)
def test_the_label_in_force_follows_from_what_reviewers_decided(labelled, made, expected):
    decide(labelled, *made)
    assert in_force(labelled) == expected


def test_a_dispute_a_withdrawal_and_their_end_count_as_new_labels(labelled):
    def new_since(moment):
        with catalog.open_store(labelled) as con:
            return len(catalog.query(con, "new_labels", trunk="t0", since=moment.isoformat()))

    def after(*made):
        before = datetime.datetime.now(datetime.UTC)
        decide(labelled, *made)
        return new_since(before)

    assert after("kl label caries") == 1
    assert after("mm label cyst") == 1  # which takes the first out of force
    assert after("mm undo") == 1
    assert after("mm label caries", "mm unsure", "mm undo") == 0
    assert after("kl withdraw") == 1


def test_reviewers_rows_of_earlier_versions_count_and_new_decisions_are_appended(store):
    schema = decisions.schemas.LABELS
    older = schema.remove(schema.get_field_index("decision"))
    write_table(store, "features", [feature_row(A), feature_row(B)])
    rows = [label_row(CROP, "caries", "kl"), label_row(f"{B}:whole", None, "kl")]
    delivered = [label_row(f"{each}:whole", "healthy") for each in (A, B)]
    # A later batch, whose parts have the column, comes first by its name.
    write_rows(store, "labels/part-z-00000.parquet", delivered, older)
    write_rows(store, "labels/part-reviewed-123456789012.parquet", rows, older)
    assert in_force(store) == ("caries", "kl")
    write_table(store, "labels", [label_row(f"{B}:box", "healthy")], batch="a")
    assert in_force(store)
    decide(store, "kl label cyst", "kl undo")
    with catalog.open_store(store) as con:
        found = con.table("labels").order("labelled_at, crop_id").to_arrow_table().to_pylist()
        labels = con.table("labels_now").to_arrow_table().to_pylist()
    assert [row["decision"] for row in found if row["source"] == "kl"] == [
        "label", "withdraw", "label", "undo"
    ]  # fmt: skip
    assert {row["crop_id"]: row["label"] for row in labels} == {
        CROP: "caries", f"{B}:box": "healthy"
    }  # fmt: skip


def test_rows_are_erased_from_parts_of_earlier_versions_and_of_this_one(store):
    schema = decisions.schemas.LABELS
    older = schema.remove(schema.get_field_index("decision"))
    for number in range(2):  # a part of its own batch that loses a row is read like those after it
        rows = [label_row(f"{each}:{number}", "healthy") for each in (A, B)]
        write_rows(store, f"labels/part-b-0000{number}.parquet", rows, older)
    decided = [Decision(f"{each}:0", "label", "caries", "kl") for each in (A, B)]
    append_decisions(store, decided, dict.fromkeys((f"{A}:0", f"{B}:0"), "b"))
    name, *others = store.names("labels")
    traces = erase.Traces(frozenset({A}))
    for each in (name, others[-1]):
        erase.erase_rows(store, each, traces)
    with catalog.open_store(store) as con:
        rows = con.table("labels").order("crop_id, source").to_arrow_table().to_pylist()
    assert [(row["crop_id"], row["source"]) for row in rows] == [
        (f"{A}:1", "delivered"), (f"{B}:0", "delivered"), (f"{B}:0", "kl"), (f"{B}:1", "delivered")
    ]  # fmt: skip


def test_times_increase_even_when_the_clock_is_put_back(labelled, monkeypatch):
    now = datetime.datetime(2026, 11, 5, 12, tzinfo=datetime.UTC)
    monkeypatch.setattr(decisions, "_now", lambda: now)
    append_decisions(labelled, [Decision(CROP, "label", each, "kl") for each in ("caries", "cyst")])
    monkeypatch.setattr(decisions, "_now", lambda: now - datetime.timedelta(days=30))
    decide(labelled, "kl undo")
    assert in_force(labelled) == ("caries", "kl")
    with catalog.open_store(labelled) as con:
        rows = con.table("labels").to_arrow_table().to_pylist()
    times = [row["labelled_at"] for row in rows if row["source"] == "kl"]
    assert sorted(times) == [now + datetime.timedelta(microseconds=n) for n in range(3)]


def test_reviewers_who_decide_at_once_lose_nothing(labelled):
    made = [Decision(CROP, "label", "caries", f"r{number}") for number in range(12)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: append_decisions(labelled, [each], {CROP: "b"}), made))
    with catalog.open_store(labelled) as con:
        rows = con.table("labels").to_arrow_table().to_pylist()
    assert {row["source"] for row in rows} == {"delivered", *(each.reviewer for each in made)}
    assert len({row["labelled_at"] for row in rows}) == 13


def test_the_batch_of_a_decision_is_that_of_its_crop_or_of_its_scan(store):
    write_table(store, "scans", [scan_row(0, A, batch="one"), scan_row(1, B, batch="two")])
    write_table(store, "features", [feature_row(A, batch="other")])
    ids = [CROP, f"{B}:box-1-2-3-4"]
    append_decisions(store, [Decision(each, "label", "caries", "kl") for each in ids])
    append_decisions(store, [Decision("c:whole", "unsure", None, "kl")], {"c:whole": "three"})
    with catalog.open_store(store) as con:
        rows = con.table("labels").to_arrow_table().to_pylist()
    assert {row["crop_id"]: row["batch"] for row in rows} == {
        ids[0]: "other", ids[1]: "two", "c:whole": "three"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("decision", "message"),
    [
        (Decision("c:whole", "label", "caries", "kl"), "no crop `c:whole` in the store"),
        (Decision(CROP, "maybe", None, "kl"), "`maybe` is none of label, withdraw"),
        (Decision(CROP, "label", None, "kl"), "`label` needs a label"),
        (Decision(CROP, "undo", "caries", "kl"), "`undo` needs no label, but `caries`"),
        (Decision(CROP, "label", "Caries!", "kl"), "label `Caries!` cannot be stored"),
        (Decision(CROP, "label", "caries", "Dr. K. Lee"), "is not a code of 1 to 16"),
        (Decision(CROP, "label", "caries", "delivered"), r"and not `delivered`"),
    ],
)
def test_a_decision_that_cannot_be_stored_is_refused_with_all_that_came_with_it(
    labelled, decision, message
):
    with pytest.raises(ConfigError, match=message):
        append_decisions(labelled, [Decision(CROP, "label", "cyst", "kl"), decision])
    assert in_force(labelled) == DELIVERED


def test_labels_may_be_those_of_the_settings_and_every_one_ever_given(labelled):
    decide(labelled, "kl label cyst")
    settings = config.Settings(classes=("abscess",), normal_class="sound")
    allowed = allowed_labels(labelled, settings)
    assert allowed == {"abscess", "cyst", "healthy", "sound"}
    assert label_problem(" Cyst ", allowed) is None
    assert "is none of abscess, cyst, healthy, sound" in label_problem("tumour", allowed)
    assert "cannot be stored" in label_problem("l%sion", allowed)


@pytest.fixture
def predicted(store):
    """Two crops that a champion predicted; the first is drawn for the audit."""
    write_table(store, "features", [feature_row(A), feature_row(B)])
    write_table(store, "predictions", [prediction_row(A), prediction_row(B)])
    write_table(store, "labels", [label_row(CROP, "healthy")])
    drawn = {"crop_id": CROP, "scan_id": A, "batch": "b", "patient_key": "p-a", "night": 0}
    write_rows(store, "audits/b/part-00000.parquet", [drawn], decisions.schemas.AUDITS)
    promote(store)
    return store


def listed(store, reviewer=None, double_read="audit"):
    """First letters of the crops on a reviewer's work-list."""
    given = {"reviewer": reviewer, "double_read": double_read}
    with catalog.open_store(store) as con:
        rows = catalog.query(con, "worklist", **given)
    return "".join(sorted(crop_id[0] for crop_id in rows["crop_id"]))


def test_an_audit_crop_is_shown_to_a_second_reader_and_other_crops_to_one_alone(predicted):
    other = f"{B}:whole"
    read = [Decision(each, "label", "caries", "kl") for each in (CROP, other)]
    append_decisions(predicted, read)
    assert [listed(predicted, who) for who in (None, "kl", "mm")] == ["", "", "a"]
    assert listed(predicted, "mm", "all") == "ab"
    assert listed(predicted, "mm", "none") == ""
    decide(predicted, "mm label caries")
    assert listed(predicted, "oo") == ""


@pytest.mark.parametrize(
    ("made", "lists"),  # without reviewer, of kl, of mm
    [
        ([], ("ab", "ab", "ab")),
        (["kl unsure"], ("b", "b", "ab")),
        (["kl unsure", "kl undo"], ("ab", "ab", "ab")),
        (["kl label caries", "kl withdraw"], ("ab", "ab", "ab")),
        (["kl label caries", "mm withdraw"], ("ab", "ab", "ab")),
        (["kl label caries", "mm withdraw", "kl label caries"], ("b", "b", "ab")),
        (["kl label caries", "mm label cyst"], ("b", "b", "b")),
        (["kl consensus caries"], ("b", "b", "b")),
    ],
)
def test_a_crop_is_shown_to_those_who_have_not_read_it_until_it_is_settled(predicted, made, lists):
    decide(predicted, *made)
    assert tuple(listed(predicted, who) for who in (None, "kl", "mm")) == lists


def test_a_second_reader_does_not_see_what_the_first_decided(predicted):
    decide(predicted, "kl label caries")
    with catalog.open_store(predicted) as con:
        [row] = catalog.query(con, "worklist", reviewer="mm", audit=True).to_dict("records")
    assert "caries" not in map(str, row.values())


def test_crops_in_dispute_are_listed_until_a_consensus(predicted):
    def disputed():
        with catalog.open_store(predicted) as con:
            rows = catalog.query(con, "disputed", batch="b").to_dict("records")
        return [(row["crop_id"], row["labels"], row["audit"]) for row in rows]

    decide(predicted, "kl label caries", "mm label cyst", "oo unsure")
    assert disputed() == [(CROP, "kl: caries, mm: cyst", True)]
    decide(predicted, "mm consensus caries")
    assert disputed() == []


def test_agreement_compares_readings_and_no_consensus(predicted):
    decide(predicted, "kl label caries", "mm label cyst", "mm consensus caries", "oo unsure")
    ids = [CROP, f"{B}:whole"]
    append_decisions(predicted, [Decision(ids[1], "label", "cyst", who) for who in ("kl", "mm")])
    with catalog.open_store(predicted) as con:
        [row] = catalog.query(con, "agreement", batch="b").to_dict("records")
    assert (row["one"], row["other"], row["crops"], row["agreed"]) == ("kl", "mm", 2, 0.5)
    assert row["kappa"] == 0


def test_an_unsure_audit_crop_counts_as_reviewed_but_in_no_share(predicted):
    write_card(predicted, "models/heads/h0", {"normal_class": "healthy"})

    def audit():
        with catalog.open_store(predicted) as con:
            [row] = catalog.query(con, "audit").to_dict("records")
        return row["nights"], row["open_nights"], row["crops"], row["unsure"]

    assert audit() == (0, 1, 0, 0)
    decide(predicted, "kl unsure")
    assert audit() == (1, 0, 0, 1)
    decide(predicted, "kl label caries", "mm label cyst")
    assert audit() == (0, 1, 0, 0)
