import numpy as np
import pytest

from pipeline.errors import ArtifactError
from pipeline.model.scores import splits


@pytest.mark.parametrize(
    ("patient_key", "side"),
    [("a", "test"), ("b", "train"), ("e", "train"), ("patient-1", "validation"), ("é", "test")],
)
def test_the_side_of_a_patient_never_changes(patient_key, side):
    assert splits.side_of(patient_key) == side


def test_the_sides_have_seventy_fifteen_and_fifteen_percent_of_patients():
    found = splits.sides([f"patient-{number}" for number in range(20_000)])
    shares = [np.mean(found == side) for side in splits.SIDES]
    assert shares == pytest.approx([0.70, 0.15, 0.15], abs=0.01)


def test_all_rows_of_a_patient_share_a_side():
    keys = ["a", "b", "a", "c", "b"]
    assert splits.sides(keys).tolist() == [splits.side_of(key) for key in keys]
    assert splits.sides([]).tolist() == []


def test_the_proof_counts_patients_rows_and_overlaps():
    text = splits.prove_disjoint(["a", "a", "b", "c"], ["train", "train", "validation", "test"])
    assert text.splitlines() == [
        "train           1 patients       2 rows",
        "validation      1 patients       1 rows",
        "test            1 patients       1 rows",
        "train and validation share 0 patients",
        "train and test share 0 patients",
        "validation and test share 0 patients",
    ]


def test_a_patient_on_two_sides_is_refused():
    with pytest.raises(ArtifactError, match="train and test share 1 patients"):
        splits.prove_disjoint(["a", "a", "b"], ["train", "test", "validation"])
