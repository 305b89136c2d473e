"""Training rows with fewer patients: whole patients go, and both kinds stay."""

import numpy as np
import pytest

from pipeline.learn.learning_curve import SHARES, UNUSED, with_fewer_patients
from pipeline.report.training_summary import format_learning_curve

PATIENTS = np.repeat([f"p{number:02d}" for number in range(20)], 3)
ABNORMAL = np.repeat(np.arange(20) % 5 == 0, 3)
SIDES = np.repeat(np.where(np.arange(20) < 16, "train", "test"), 3)


@pytest.mark.parametrize("share", [*SHARES, 0.01])
def test_whole_training_patients_are_left_out_and_both_kinds_stay(share):
    sides = with_fewer_patients(PATIENTS, ABNORMAL, SIDES, share)
    assert (sides[SIDES == "test"] == "test").all()
    kept, left = set(PATIENTS[sides == "train"]), set(PATIENTS[sides == UNUSED])
    assert not kept & left
    assert len(kept) == max(1, round(share * 4)) + max(1, round(share * 12))
    assert set(ABNORMAL[sides == "train"]) == {True, False}


def test_the_halves_contain_the_quarters():
    quarter, half = (with_fewer_patients(PATIENTS, ABNORMAL, SIDES, share) for share in SHARES)
    assert (half[quarter == "train"] == "train").all()


def point(patients, value, low):
    gain = {"value": value, "low": low, "high": value + 0.1, "reason": None}
    return {"patients": patients, "auroc": gain, "gain_of_all": gain}


def test_a_gain_is_stated_only_if_its_interval_is_above_zero():
    curve = [point(10, 0.2, 0.1), point(20, 0.05, 0.01), point(40, 0.0, 0.0)]
    assert format_learning_curve(curve)[1] == (
        "From 20 to 40 patients it changed by +0.05 (+0.01 to +0.15): the head still gains from "
        "more labelled patients."
    )
    curve[1] = point(20, 0.05, -0.01)
    assert "is not shown" in format_learning_curve(curve)[1]
    assert format_learning_curve([]) == []
