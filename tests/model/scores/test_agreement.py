import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from pipeline.model.scores.agreement import agreement


def readings(rows=200, seed=0):
    """Labels of two reviewers who mostly agree, of crops of 50 patients."""
    random = np.random.default_rng(seed)
    one = random.choice(["healthy", "caries", "cyst"], rows, p=[0.6, 0.3, 0.1])
    other = np.where(random.random(rows) < 0.8, one, random.permutation(one))
    return one, other, np.arange(rows) // 4


def test_kappa_is_scikit_learns_and_lies_within_its_interval():
    one, other, patients = readings()
    found = agreement(one, other, patients)
    assert found.kappa == pytest.approx(cohen_kappa_score(one, other))
    assert found.agreed == pytest.approx((one == other).mean())
    assert (found.crops, found.patients) == (200, 50)
    assert found.kappa_low < found.kappa < found.kappa_high
    assert found.agreed_low < found.agreed < found.agreed_high


def test_the_interval_is_wider_when_the_crops_are_of_fewer_patients():
    one, other, _ = readings()
    # Whole mouths about which the reviewers agree or differ.
    order = np.argsort(one == other)
    many, few = (agreement(one[order], other[order], np.arange(200) // size) for size in (1, 20))
    assert few.kappa == many.kappa
    assert few.kappa_high - few.kappa_low > many.kappa_high - many.kappa_low


def test_kappa_is_unknown_when_both_gave_one_label_throughout():
    found = agreement(["healthy"] * 3, ["healthy"] * 3, ["p", "q", "r"])
    assert found.agreed == 1
    assert found.agreed_low < 1
    assert np.isnan([found.kappa, found.kappa_low, found.kappa_high]).all()


def test_reviewers_who_contradict_each_other_have_a_negative_kappa():
    found = agreement(["a", "b"] * 3, ["b", "a"] * 3, list("pqrstu"))
    assert (found.agreed, found.kappa) == (0, -1)
