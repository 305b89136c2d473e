"""The side of every patient: given by the folders of the scans, else by the hash."""

import pytest

from pipeline import schemas
from pipeline.model.scores import splits
from pipeline.store import catalog
from pipeline.store.patient_sides import patient_sides, sides_for
from pipeline.store.tables import SCANS
from tests.builders.tables import scan_row, write_rows

TRAIN, TEST = "p0", "p2"  # by their hashes


@pytest.fixture
def ledger(store):
    """Write rows of the ledger, each a file with a number, and connect."""

    def ledger(*rows):
        for part, row in enumerate(rows):
            name = SCANS.part("b", part)
            write_rows(store, name, [row | {"part": part}], schemas.SCANS)
        return catalog.open_store(store)

    return ledger


def given(row, side, scan=None, patient=TRAIN, **facts):
    return scan_row(row, scan or f"scan{row}", patient_key=patient, given_side=side, **facts)


def side(con, patient=TRAIN):
    [found] = patient_sides(con, [patient])
    shown = con.table("patient_sides").df().set_index("patient_key")["side"]
    assert shown[patient] == found  # people see the side that is used
    return found


def test_the_view_computes_the_sides_of_the_hash(ledger):
    con = ledger(*(scan_row(n, f"s{n}", patient_key=f"p{n}") for n in range(300)))
    found = con.table("patient_sides").df()
    assert found["side"].tolist() == splits.sides(found["patient_key"]).tolist()
    assert set(found["side"]) == set(splits.SIDES)
    assert not found["given_sides"].notna().any()


@pytest.mark.parametrize("name", splits.SIDES)
def test_a_given_side_replaces_that_of_the_hash(ledger, name):
    assert side(ledger(given(0, name), given(1, None))) == name


def test_patients_without_a_given_side_keep_that_of_the_hash(ledger):
    con = ledger(given(0, "validation"), given(1, None, patient=TEST))
    # The last is a patient of whom the ledger has nothing.
    assert patient_sides(con, [TEST, TRAIN, "p1"]).tolist() == ["test", "validation", "train"]


@pytest.mark.parametrize(
    ("sides", "used"),
    [
        (("train", "validation"), "validation"),
        (("test", "train"), "test"),
        (("validation", "test", "train"), "test"),
    ],
)
def test_a_patient_on_several_given_sides_is_on_the_one_held_back_most(ledger, sides, used):
    con = ledger(*(given(n, each) for n, each in enumerate(sides)))
    assert side(con) == used
    found = catalog.query(con, "split_conflicts")
    assert (set(found["side"]), set(found["given_side"])) == ({used}, set(sides))


def test_the_same_file_in_two_folders_puts_its_patient_on_the_side_held_back(ledger):
    other = given(1, "test", scan="scan0", patient=TEST, status="duplicate", duplicate_of="b")
    con = ledger(given(0, "train"), other)
    assert side(con) == "test"
    assert catalog.query(con, "split_conflicts")["patient_key"].tolist() == [TRAIN, TRAIN]


def test_the_last_attempt_of_a_file_decides_and_can_withdraw_its_side(ledger):
    again = {"scan": "scan0", "status": "duplicate", "duplicate_of": "b"}
    assert side(ledger(given(0, "train"), given(0, "test", attempt=2, **again))) == "test"
    con = ledger(given(0, "test"), given(0, None, attempt=2, **again))
    assert side(con) == "train"
    assert catalog.query(con, "split_conflicts").empty


def test_rejected_files_give_no_side(ledger):
    assert side(ledger(given(0, None), given(1, "test", status="rejected"))) == "train"


def test_conflicts_of_a_batch_are_those_of_its_patients(ledger):
    con = ledger(given(0, "train"), given(1, "test", batch="c"), given(2, "test", patient="x"))
    assert len(catalog.query(con, "split_conflicts", batch="c")) == 2
    assert catalog.query(con, "split_conflicts", batch="d").empty


def test_a_model_is_not_tested_on_patients_it_learned_from(ledger):
    con = ledger(
        given(0, "test"), given(1, "validation", patient="v"), given(2, "test", patient="x")
    )
    keys = [TRAIN, "v", "x"]
    sides = patient_sides(con, keys)
    assert sides_for(sides, keys, {TRAIN, "v"}).tolist() == ["train", "validation", "test"]
    assert sides.tolist() == ["test", "validation", "test"]


def test_near_duplicates_show_the_sides_and_can_be_limited_to_pairs_on_two(ledger):
    look = {"likeness": "0" * 16, "patient_from": "csv"}
    con = ledger(
        given(0, "train", **look),
        given(1, "train", patient="x", **look),
        given(2, "validation", patient="y", **look),
    )
    assert len(catalog.query(con, "near_duplicates")) == 3
    across = catalog.query(con, "near_duplicates", across_sides=True)
    assert {*across["side"], *across["other_side"]} == {"train", "validation"}
    assert len(across) == 2
    assert len(catalog.query(con, "misfiled")[["side", "other_side"]]) == 3
