"""What reviewers decided about a crop, in the order in which they did, and the label in force."""

import datetime

import pytest

from pipeline import config
from pipeline.errors import ConfigError
from pipeline.learn import decisions
from pipeline.learn.decisions import Decision, allowed_labels, append_decisions, label_problem
from pipeline.store import catalog
from tests.builders.tables import feature_row, label_row, scan_row, write_rows, write_table

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
        found = con.table("labels").order("labelled_at").to_arrow_table().to_pylist()
        labels = con.table("labels_now").to_arrow_table().to_pylist()
    assert [row["decision"] for row in found if row["source"] == "kl"] == [
        "label", "withdraw", "label", "undo"
    ]  # fmt: skip
    assert {row["crop_id"]: row["label"] for row in labels} == {
        CROP: "caries", f"{B}:box": "healthy"
    }  # fmt: skip


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
    assert "cannot be stored" in label_problem("läsion", allowed)
