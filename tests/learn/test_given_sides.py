"""Sides that the folders of a delivery give decide what is learned from and measured on."""

import numpy as np
import pytest

from pipeline import config
from pipeline.errors import NotEnoughData
from pipeline.learn import learn_novelty
from pipeline.learn.crop_source import crop_source
from pipeline.learn.evaluate import evaluate_head
from pipeline.learn.promotion import compare
from pipeline.learn.scored_rows import scored_rows
from pipeline.learn.train_head import fingerprint_of
from pipeline.learn.training_rows import labelled_rows, require_enough
from pipeline.model.scores import splits
from pipeline.stages.predict import Head
from pipeline.store.registry import choose_models, stored_choice, write_patients
from tests.builders.stores import GRID, small_store
from tests.builders.synthetic_store import RECIPE, SIDE, SyntheticStore
from tests.builders.tables import scan_row, write_embeddings, write_table

BITS = 4
SETTINGS = config.load(head=config.Head(min_patients=2))


def by_number(number):
    """The given side of a crop's patient: a third each, whatever the hash."""
    return splits.SIDES[number // 2 % 3]


@pytest.fixture
def made(store):
    made = SyntheticStore(store).add_trunk().add_head("h0", 0.3).promote("h0")
    made.write_scans(given=by_number)
    return made


def number_of(crop_id):
    return int(crop_id.split(":")[0], 16)


def expected(facts):
    return [by_number(number_of(crop_id)) for crop_id in facts["crop_id"]]


def rows_of(made, settings=SETTINGS):
    return labelled_rows(made.store, stored_choice(made.store, "t0"), settings)


def test_a_head_learns_from_the_given_sides_and_has_another_fingerprint(made):
    chosen, rows = stored_choice(made.store, "t0"), rows_of(made)
    assert rows.sides.tolist() == expected(rows.facts)
    assert "side" not in rows.facts
    splits.prove_disjoint(rows.patients, rows.sides)
    given = fingerprint_of(rows, chosen, SETTINGS, rows.sides)
    made.write_scans()
    rows = rows_of(made)
    assert rows.sides.tolist() == splits.sides(list(rows.patients)).tolist()
    assert fingerprint_of(rows, chosen, SETTINGS, rows.sides) != given


def test_given_sides_decide_whether_there_is_enough_to_train_a_head(made):
    chosen = stored_choice(made.store, "t0")
    require_enough(made.store, chosen, SETTINGS)
    made.write_scans(given=lambda number: "train" if number % 4 else "test")
    with pytest.raises(NotEnoughData, match="validation side: 0 patients"):
        require_enough(made.store, chosen, SETTINGS)


def test_a_trunk_learns_from_the_given_sides(made):
    rows = [
        made.crop_facts(n) | {"recipe": RECIPE, "batch": "b0", "pixels": bytes(SIDE**2)}
        for n in range(2 * made.patients)
    ]
    write_table(made.store, "crops", rows, batch="b0")
    crops = crop_source(made.store, stored_choice(made.store, "t0"), SETTINGS)
    assert crops.facts["split"].tolist() == expected(crops.facts)
    assert set(crops.facts["split"]) == {"train", "validation"}


def test_novelty_learns_from_the_given_training_side(tmp_path):
    small = small_store(tmp_path)
    patients = [f"p{row}" for row in range(40)]
    rows = np.random.default_rng(0).normal(1, 0.1, (40, int(np.prod(GRID))))
    ids = write_embeddings(small, rows, ["healthy"] * 40, patients)
    sides = ["train" if row < 12 else "test" for row in range(40)]
    ledger = [
        scan_row(n, ids[n].split(":")[0], batch="night", patient_key=key, given_side=sides[n])
        for n, key in enumerate(patients)
    ]
    write_table(small.store, "scans", ledger, batch="night")
    chosen = choose_models(small.settings, small.store)
    _, card = learn_novelty._training_rows(
        learn_novelty._embedded_rows(small.store, chosen), small.settings
    )
    assert (card["basis"], card["patients"]) == ("normal", 12)


def test_thresholds_and_scores_are_of_the_given_sides(made):
    rows = scored_rows(made.store, Head(made.store, "h0"))
    assert rows.sides.tolist() == expected(rows.facts)
    found = evaluate_head(made.store, "h0", BITS)
    assert (found.groups[0].rows, found.groups[0].patients) == (80, 40)
    assert sum("share 0 patients" in line for line in found.proof) == 3
    assert not any("folders of several sides" in line for line in found.proof)


def test_near_duplicates_across_given_sides_are_left_out_of_the_test(made):
    made.write_scans(lambda n: "0" * 16 if n in (0, 4) else f"{n + 1:08x}" * 2, by_number)
    # 0 is on the training side and 4 on the test side.
    found = evaluate_head(made.store, "h0", 0)
    assert found.left_out == 1
    assert "test and train share 0 scans, 1 more look alike" in found.proof


def test_patients_in_folders_of_several_sides_are_counted_and_on_one_side(made):
    made.write_scans(given=lambda n: ("train", "test")[n % 2] if n < 6 else by_number(n))
    found = evaluate_head(made.store, "h0", BITS)
    assert any("folders of several sides: 3;" in line for line in found.proof)
    rows = rows_of(made)
    assert rows.sides[:6].tolist() == ["test"] * 6


def test_a_patient_moved_to_the_test_side_is_no_test_of_a_head_that_learned_from_it(made):
    everything = evaluate_head(made.store, "h0", BITS)
    learned_from = [made.patient(4), made.patient(0), made.patient(10)]  # test, train, test
    made.add_head("h1", 0.3, learned_from=learned_from)
    found = evaluate_head(made.store, "h1", BITS)
    assert found.groups[0].patients == everything.groups[0].patients - 2
    assert any(line.endswith("count as training here: 2") for line in found.proof)
    assert not any("moved" in line for line in everything.proof)


def test_a_champion_is_compared_without_patients_that_either_head_learned_from(made):
    made.add_head("h1", 0.3, learned_from=[made.patient(4)])
    made.add_head("h2", 0.3, learned_from=[made.patient(10)])
    one, other = (Head(made.store, head) for head in ("h1", "h2"))
    assert compare(made.store, one, other, BITS).patients == 38
    assert compare(made.store, other, one, BITS).patients == 38
    # 16, on the test side too, looks like a scan that only the champion learned from.
    made.write_scans(lambda n: "0" * 16 if n in (10, 16) else f"{n + 1:08x}" * 2, by_number)
    found = compare(made.store, one, other, 0)
    assert (found.patients, found.crops) == (38, 2 * 38 - 1)


def test_a_patient_moved_to_the_test_side_is_no_row_of_a_trunk_that_learned_from_it(made):
    before = rows_of(made)
    write_patients(made.store, "models/trunks/t0", [made.patient(4), made.patient(0)])
    after = rows_of(made)
    assert set(before.patients) - set(after.patients) == {made.patient(4)}
    assert after.sides.tolist() == expected(after.facts)
    rows = scored_rows(made.store, Head(made.store, "h0"))
    assert made.patient(4) not in rows.patients
