"""Crops drawn by chance for a person to label, where they stand, and what they tell."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from pipeline import schemas
from pipeline.stages.audit import draw_audit
from pipeline.store import catalog, parts, tables
from pipeline.store.registry import choose_models
from pipeline.upkeep import erase
from tests.builders.stores import small_store
from tests.builders.synthetic_store import SyntheticStore
from tests.builders.tables import write_embeddings, write_labels, write_rows


@pytest.fixture
def rows(tmp_path):
    """A store with features of two parts of a batch, 60 and 30 crops."""
    store = small_store(tmp_path)
    for number, count in ((0, 60), (1, 30)):
        patients = [f"p{number}-{row}" for row in range(count)]
        write_embeddings(store, np.zeros((count, 512)), [None] * count, patients, number=number)
    return store


def drawn(store, last, count=5):
    name = draw_audit(store.store, "night", last, choose_models(store.settings, store.store), count)
    return pd.read_parquet(store.store.local_path(name))["crop_id"].tolist()


def test_any_process_draws_the_same_crops_and_later_parts_get_their_own_draw(rows):
    first, second = drawn(rows, 0), drawn(rows, 1)
    assert len(set(first)) == len(set(second)) == 5
    assert {crop_id.split("-")[1] for crop_id in first} == {"0"}
    assert {crop_id.split("-")[1] for crop_id in second} == {"1"}
    rows.store.remove(tables.AUDITS.part("night", 0))
    assert drawn(rows, 0) == first
    assert drawn(rows, 0, count=9) == first  # drawn is drawn, whatever the setting says now


def test_a_larger_draw_extends_a_smaller_one_and_zero_is_allowed(rows):
    first = drawn(rows, 0)
    rows.store.remove(tables.AUDITS.part("night", 0))
    assert drawn(rows, 0, count=9)[:5] == first
    rows.store.remove(tables.AUDITS.part("night", 0))
    assert drawn(rows, 0, count=0) == []


def test_every_crop_is_equally_likely_to_be_drawn(tmp_path):
    store, places = small_store(tmp_path), []
    for number in range(120):
        write_embeddings(store, np.zeros((20, 512)), [None] * 20, ["p"] * 20, number=number)
        places += [int(crop_id[:6]) for crop_id in drawn(store, number)]
    assert len(places) == 600
    # 30 of each are expected; chance alone strays beyond these bounds once in 3000 draws.
    assert np.bincount(places, minlength=20).min() > 11
    assert np.bincount(places, minlength=20).max() < 52


NIGHT = 5


@pytest.fixture
def judged(store):
    """Two batches of 60 crops with a champion, five crops of each drawn for the audit."""
    stored = SyntheticStore(store, patients=60).add_trunk().add_head("h0", 0.5).promote("h0")
    for batch in (0, 1):
        draw(stored, batch, list(stored.crop_numbers(batch))[10 : 10 + NIGHT])
    return stored


def draw(stored, batch, numbers, night=0):
    kept = ("crop_id", "scan_id", "batch", "patient_key")
    facts = [{name: stored.crop_facts(number)[name] for name in kept} for number in numbers]
    name = tables.AUDITS.part(f"b{batch}", night)
    write_rows(stored.store, name, [{**row, "night": night} for row in facts], schemas.AUDITS)


def ask(stored, name="worklist", **given):
    given |= {"limit": 1000} if name == "worklist" else {}
    with catalog.open_store(stored.store) as con:
        return catalog.query(con, name, **given)


def review(stored, labels):
    write_labels(stored.store, labels, source="r1")


def test_every_fourth_row_of_a_batch_is_an_audit_crop_while_there_are_any(judged):
    for batch in ("b0", "b1"):
        found = ask(judged, batch=batch)
        assert found["audit"].tolist()[:20] == [False, False, False, True] * NIGHT
        assert not found["audit"][20:].any()
    assert ask(judged, audit=True)["crop_id"].nunique() == 2 * NIGHT
    ranked = ask(judged, audit=False)["p_abnormal"]
    assert ranked.is_monotonic_decreasing


def test_a_small_batch_shows_its_audit_too(judged):
    draw(judged, 0, list(judged.crop_numbers(0)), night=1)
    found = ask(judged, batch="b0")
    assert len(found) == 60
    assert found["audit"].all()


def test_reviewed_crops_leave_the_list_and_crops_with_delivered_labels_stay(judged):
    before = ask(judged)["crop_id"].tolist()
    assert len(before) == 120  # all have a delivered label
    review(judged, {before[0]: "healthy", before[5]: "caries"})
    assert set(before) - set(ask(judged)["crop_id"]) == {before[0], before[5]}


def test_prevalence_and_ppv_come_from_reviewed_nights_with_wilsons_interval(judged):
    reviewed = ask(judged, audit=True)
    truth = ["caries", "healthy", "healthy", "caries", "healthy"] * 2
    labels = dict(zip(sorted(reviewed["crop_id"]), truth, strict=True))
    review(judged, labels)
    [found] = ask(judged, "audit").to_dict("records")
    flags = reviewed.set_index("crop_id")["flagged"]
    right = sum(labels[crop_id] == "caries" for crop_id in flags.index[flags])
    assert 0 < right < flags.sum()
    assert [found[name] for name in ("nights", "open_nights", "crops")] == [2, 0, 10]
    for name, hits, total in (("prevalence", 4, 10), ("ppv", right, int(flags.sum()))):
        low, high = binomtest(hits, total).proportion_ci(0.95, "wilson")
        assert found[name] == pytest.approx(hits / total)
        assert found[f"{name}_low"] == pytest.approx(low, abs=1e-5)
        assert found[f"{name}_high"] == pytest.approx(high, abs=1e-5)


def test_half_a_reviewed_night_does_not_count(judged):
    crops = ask(judged, audit=True)
    whole = crops[crops["batch"] == "b0"]["crop_id"]
    half = crops[crops["batch"] == "b1"]["crop_id"][:4]
    review(judged, dict.fromkeys([*whole, *half], "caries"))
    [found] = ask(judged, "audit").to_dict("records")
    assert [found[name] for name in ("nights", "open_nights", "crops")] == [1, 1, 5]
    assert found["prevalence"] == 1


def test_flags_are_of_the_newest_head_that_was_not_trained_on_the_patient(judged):
    review(judged, dict.fromkeys(ask(judged, audit=True)["crop_id"], "caries"))
    before = ask(judged, "audit")
    judged.add_head("h1", -1.0).promote("h1", number=2)
    assert ask(judged, "audit")["flagged"].tolist() != before["flagged"].tolist()
    for name in judged.store.names("predictions/h1"):
        rows = parts.read_part(judged.store, name, schemas.PREDICTIONS).to_pylist()
        rows = [{**row, "seen": True} for row in rows]
        write_rows(judged.store, name, rows, schemas.PREDICTIONS)
    pd.testing.assert_frame_equal(ask(judged, "audit"), before)


def test_without_any_reviewed_night_the_shares_are_unknown(judged):
    [found] = ask(judged, "audit").to_dict("records")
    assert (found["crops"], found["open_nights"]) == (0, 2)
    assert all(pd.isna(found[name]) for name in ("prevalence", "prevalence_low", "ppv", "ppv_high"))


def test_a_forgotten_scan_leaves_the_audit(rows):
    before = drawn(rows, 0)
    traces = erase.Traces(frozenset({before[0].split(":")[0]}))
    name = tables.AUDITS.part("night", 0)
    assert name in tables.personal_names(rows.store)
    assert erase.rows_in(rows.store, name, traces) == 1
    erase.erase_rows(rows.store, name, traces)
    assert pd.read_parquet(rows.store.local_path(name))["crop_id"].tolist() == before[1:]
