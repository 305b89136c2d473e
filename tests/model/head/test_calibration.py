import numpy as np
import pytest

from pipeline.model.head.calibration import HIGHEST, LOWEST, fit_temperature, softmax_at


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_fit_temperature_recovers_the_temperature_of_the_logits(true_temperature):
    random = np.random.default_rng(0)
    logits = random.standard_normal((20_000, 3)) * 2
    right = softmax_at(logits, 1)
    classes = (right.cumsum(axis=1) > random.random((20_000, 1))).argmax(axis=1)
    distorted = softmax_at(logits * true_temperature, 1)
    assert fit_temperature(distorted, classes) == pytest.approx(true_temperature, rel=0.05)


def test_a_temperature_keeps_the_order_of_the_classes_and_rows_sum_to_one():
    logits = np.log([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
    soft = softmax_at(logits, 4)
    assert soft.argmax(axis=1).tolist() == [0, 2]
    np.testing.assert_allclose(soft.sum(axis=1), 1)
    assert soft.max() < 0.8


@pytest.mark.parametrize("classes", [[0, 1], [1, 0]])
def test_few_rows_all_right_or_all_wrong_give_a_bounded_temperature(classes):
    found = fit_temperature(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array(classes))
    assert LOWEST <= found <= HIGHEST
