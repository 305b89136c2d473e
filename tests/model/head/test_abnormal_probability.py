"""Background as the last class of a head, and how it enters its predictions."""

import numpy as np
import pytest

from pipeline.model.head.abnormal_probability import split_background, to_predictions

CERTAIN = [
    [3e-9, 1e-9, 1.0],
    [3e-38, 1e-38, 1.0],
    [0.0, 0.0, 1.0],
]


@pytest.mark.parametrize("row", CERTAIN)
def test_probabilities_sum_to_one_where_the_head_is_certain_of_the_background(row):
    probabilities, background = split_background(np.array([row], np.float32), 2)
    assert probabilities.dtype == np.float32
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert background.tolist() == [1.0]


def test_small_probabilities_keep_their_ratio():
    probabilities, _ = split_background(np.array([[3e-9, 1e-9, 1.0]], np.float32), 2)
    assert probabilities[0] == pytest.approx([0.75, 0.25], rel=1e-5)


def test_a_head_without_background_keeps_its_outputs():
    outputs = np.array([[0.9, 0.1]], np.float32)
    probabilities, background = split_background(outputs, 2)
    assert probabilities is outputs
    assert background.tolist() == [0.0]


def test_background_lowers_the_abnormal_probability_at_found_places_alone():
    outputs = np.array([[0.2, 0.2, 0.6]] * 2, np.float32)
    predictions = to_predictions(outputs, 2, 0, ["tooth", "box"])
    assert predictions.p_abnormal == pytest.approx([0.2, 0.5])
