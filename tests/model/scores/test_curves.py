"""Curves with bands: exact at their points, around the curve of all rows."""

import numpy as np
import pytest
from sklearn import metrics as reference

from pipeline.model.scores.curves import STEPS, precision_recall_curve, roc_curve


@pytest.fixture(scope="module")
def rows():
    random = np.random.default_rng(3)
    positive = random.random(200) < 0.4
    scores = np.round(random.normal(size=200) + positive, 1)  # some are equal
    return positive, scores, [f"p{n // 2}" for n in range(200)]


def test_roc_curve_reaches_the_sensitivity_of_every_false_alarm_rate(rows):
    positive, scores, _ = rows
    false, true, _ = reference.roc_curve(positive, scores, drop_intermediate=False)
    found = roc_curve(*rows)
    expected = [true[false <= step + 1e-9].max() for step in STEPS]
    assert found.y == pytest.approx(expected, abs=1e-4)


def test_precision_is_that_of_the_highest_threshold_that_reaches_the_recall(rows):
    positive, scores, _ = rows
    found = precision_recall_curve(*rows)
    for step, precision in zip(STEPS[1:], found.y[1:], strict=True):
        limits = sorted(set(scores), reverse=True)
        limit = next(
            t for t in limits if (positive & (scores >= t)).sum() >= step * positive.sum() - 1e-6
        )
        assert precision == pytest.approx(positive[scores >= limit].mean(), abs=1e-4)
    assert found.chance[0][1] == pytest.approx(positive.mean())


def test_bands_contain_the_curve_and_need_two_patients(rows):
    positive, scores, patients = rows
    found = roc_curve(*rows)
    inside = sum(
        low <= y <= high for low, y, high in zip(found.low, found.y, found.high, strict=True)
    )
    assert inside >= 0.9 * len(STEPS)
    assert roc_curve(positive, scores, ["p"] * len(patients)).low == ()


def test_rows_of_one_kind_have_no_curve(rows):
    _, scores, patients = rows
    assert roc_curve(np.ones(200, bool), scores, patients) is None
    assert precision_recall_curve(np.zeros(200, bool), scores, patients) is None
