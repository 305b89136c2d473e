"""Measures on groups of test rows, against scikit-learn and against known results."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from pipeline.model.scores import evaluation
from pipeline.model.scores.evaluation import Thresholds, measures, threshold_at
from pipeline.model.scores.resampling import calibration, interval, ranking, resampled

NO_THRESHOLDS = Thresholds(0.5, {})


@st.composite
def rows(draw, both=True):
    """Truth and probabilities; few values, so that many are equal."""
    count = draw(st.integers(2, 40))
    positive = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    if both:
        positive[:2] = [True, False]
    scores = st.lists(st.integers(0, 20), min_size=count, max_size=count)
    return positive, np.array(draw(scores)) / 20


@given(rows())
@settings(max_examples=25, deadline=None)
def test_ranking_is_that_of_scikit_learn_whatever_is_equal(made):
    positive, scores = made
    found = ranking(positive, scores, np.ones((1, len(scores))))
    assert found["auroc"][0] == pytest.approx(reference.roc_auc_score(positive, scores))
    assert found["auprc"][0] == pytest.approx(reference.average_precision_score(positive, scores))
    points = np.array(evaluation.roc(positive, scores))
    assert reference.auc(*points.T) == pytest.approx(found["auroc"][0])


@given(rows(both=False), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_the_brier_score_is_that_of_scikit_learn_also_when_rows_count_often(made, seed):
    positive, scores = made
    times = np.random.default_rng(seed).integers(1, 4, len(scores))
    found = calibration(positive, scores, times[np.newaxis].astype(float))
    expected = reference.brier_score_loss(positive, scores, sample_weight=times, pos_label=True)
    assert found["brier"][0] == pytest.approx(expected)


@given(rows(both=False))
@settings(max_examples=25, deadline=None)
def test_the_calibration_error_is_the_weighted_distance_of_each_tenth(made):
    positive, scores = made
    found = calibration(positive, scores, np.ones((1, len(scores))))["calibration_error"][0]
    error = 0
    for number in range(10):
        inside = (scores * 10 >= number) & (scores * 10 < number + 1 + (number == 9))
        if inside.any():
            error += abs(scores[inside].mean() - positive[inside].mean()) * inside.mean()
    assert found == pytest.approx(error)


@given(rows(both=False), st.sampled_from([0.5, 0.8, 0.9, 0.95]))
@settings(max_examples=25, deadline=None)
def test_a_threshold_reaches_its_specificity_and_a_lower_one_does_not(made, specificity):
    positive, scores = made
    threshold = threshold_at(specificity, positive, scores)
    negative = scores[~positive]
    if not len(negative):
        assert threshold is None
        return
    assert (negative < threshold).mean() >= specificity - 1e-9
    lower = scores[scores < threshold]
    if len(lower):
        assert (negative < lower.max()).mean() < specificity


def drawn(patients, rows_each, random, skill=1.0):
    """Rows of patients whose crops resemble each other, and scores that separate them a little."""
    effect = np.repeat(random.standard_normal(patients), rows_each)
    # Mouths are mostly sound or mostly not, so that five crops say little more than one.
    positive = random.random(patients * rows_each) < np.repeat(
        random.choice([0.1, 0.9], patients), rows_each
    )
    raw = skill * positive + effect + random.standard_normal(len(positive))
    keys = np.repeat([f"p{number}" for number in range(patients)], rows_each)
    return positive, 1 / (1 + np.exp(-raw)), keys


def test_nineteen_of_twenty_intervals_contain_the_true_value():
    """Over 60 made-up test sides of 40 patients, against the AUROC of a very large one."""
    random = np.random.default_rng(0)
    positive, scores, _ = drawn(10_000, 5, random)
    truth = reference.roc_auc_score(positive, scores)
    held = 0
    for _ in range(60):
        positive, scores, patients = drawn(40, 5, random)
        low, high = interval(resampled(patients, partial(ranking, positive, scores))["auroc"])
        held += low <= truth <= high
    # 95 % of 60 are 57; by chance alone fewer than 52 come once in a hundred times.
    assert 52 <= held <= 60


def test_ppv_follows_from_bayes_rule_and_the_given_prevalence():
    random = np.random.default_rng(1)
    positive, scores, patients = drawn(50, 4, random)
    common, rare = (
        measures(positive, scores, patients, NO_THRESHOLDS, share)
        for share in (positive.mean(), 0.01)
    )
    flagged = scores >= 0.5
    assert common["ppv"].value == pytest.approx(reference.precision_score(positive, flagged))
    found, false = flagged[positive].mean(), flagged[~positive].mean()
    expected = found * 0.01 / (found * 0.01 + false * 0.99)
    assert rare["ppv"].value == pytest.approx(expected)
    assert rare["ppv"].baseline == 0.01
    assert rare["ppv"].low < expected < rare["ppv"].high


def test_a_perfectly_calibrated_score_shows_no_more_error_than_is_said_to_be_unavoidable():
    random = np.random.default_rng(2)
    scores = random.random(1000)
    patients = np.arange(1000).astype(str)
    honest = measures(random.random(1000) < scores, scores, patients, NO_THRESHOLDS, 0.5)
    sure = measures(random.random(1000) < scores, scores.round(), patients, NO_THRESHOLDS, 0.5)
    found = honest["calibration_error"]
    assert found.value == pytest.approx(found.baseline, abs=0.015)
    assert sure["calibration_error"].value > 4 * found.value
    bins = evaluation.reliability(random.random(1000) < scores, scores, patients)
    assert sum(each.rows for each in bins) == 1000
    assert all(each.low <= each.found <= each.high for each in bins)
    assert all(abs(each.said - each.found) < 0.15 for each in bins)


def test_sensitivity_at_a_specificity_comes_with_the_specificity_reached():
    random = np.random.default_rng(3)
    validation, test = drawn(60, 5, random), drawn(60, 5, random)
    threshold = threshold_at(0.9, *validation[:2])
    found = measures(*test, Thresholds(0.5, {0.9: threshold}), 0.5)
    positive, scores, _ = test
    assert found["sensitivity_at_0.9"].value == (scores[positive] >= threshold).mean()
    assert found["specificity_at_0.9"].value == (scores[~positive] < threshold).mean()
    assert found["specificity_at_0.9"].value == pytest.approx(0.9, abs=0.08)


def test_what_cannot_be_computed_has_a_reason():
    random = np.random.default_rng(4)
    positive, scores, patients = drawn(12, 3, random)
    thresholds = Thresholds(2.0, {0.9: None})
    found = measures(positive, scores, patients, thresholds, 0.5)
    assert found["ppv"].reason == "no row reaches the operating point"
    assert "validation" in found["sensitivity_at_0.9"].reason
    # Nothing is flagged in any draw either, which proves nothing about twelve patients.
    assert (found["specificity"].value, found["specificity"].low) == (1, None)
    assert "all draws agree" in found["specificity"].reason
    empty = measures(positive[:0], scores[:0], patients[:0], thresholds, 0.5)
    assert set(empty) == set(found)
    assert all(each.reason == "there are no test rows" for each in empty.values())


def test_groups_of_fewer_than_ten_patients_are_hidden_and_counted():
    patients = [f"p{number}" for number in range(10)] * 3 + ["q"] * 50
    values = ["36"] * 10 + ["46"] * 20 + ["11"] * 50
    shown, hidden = evaluation.slices(values, patients)
    assert list(shown) == ["36", "46"]
    assert shown["46"].sum() == 20
    assert hidden == 1
    assert evaluation.slices(["36"] * 9, patients[:9]) == ({}, 1)
