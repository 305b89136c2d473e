import pytest

from pipeline.learn.decisions import Decision, append_decisions
from pipeline.learn.pack_decisions import pack_decisions
from pipeline.store import catalog
from pipeline.store.store import Store
from tests.builders.tables import feature_row, label_row, write_table

CROP = f"{'a' * 32}:whole"
MADE = [("label", "caries"), ("label", "healthy"), ("undo", None), ("unsure", None)]


@pytest.fixture
def decided(store):
    """A store of one crop, delivered as healthy, about which a reviewer decided four times."""
    write_table(store, "features", [feature_row("a" * 32)])
    write_table(store, "labels", [label_row(CROP, "healthy")])
    for decision, label in MADE:
        append_decisions(store, [Decision(CROP, decision, label, "kl")], {CROP: "b"})
    return store


def rows(store, view):
    with catalog.open_store(store) as con:
        return sorted(con.table(view).to_arrow_table().to_pylist(), key=str)


def decided_parts(store):
    return [name for name in store.names("labels") if "decided" in name]


def test_packing_leaves_one_part_and_changes_no_answer(decided):
    before = {view: rows(decided, view) for view in ("labels", "readings", "labels_now")}
    newest = decided_parts(decided)[-1]
    assert pack_decisions(decided, most=4) == 0
    assert pack_decisions(decided, most=3) == 3
    assert decided_parts(decided) == [newest]
    assert {view: rows(decided, view) for view in before} == before
    # Later decisions are later than the packed ones.
    append_decisions(decided, [Decision(CROP, "undo", None, "kl")], {CROP: "b"})
    assert decided_parts(decided)[0] == newest
    (reading,) = (row for row in rows(decided, "readings") if row["source"] == "kl")
    assert reading["label"] == "caries"


def test_packing_may_be_killed_at_any_instant(decided, monkeypatch):
    before = {view: rows(decided, view) for view in ("labels", "readings", "labels_now")}

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "remove", killed)
    with pytest.raises(KeyboardInterrupt):
        pack_decisions(decided, most=3)
    monkeypatch.undo()
    assert len(decided_parts(decided)) == 4
    assert {view: rows(decided, view) for view in before} == before
    pack_decisions(decided, most=3)
    assert {view: rows(decided, view) for view in before} == before
