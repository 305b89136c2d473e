import json
import time

import numpy as np
import pytest
from sklearn import metrics as reference

from pipeline.errors import ConfigError
from pipeline.model.scores import metrics, resampling

NAMES = ["healthy", "caries", "abscess"]


def made_up(rows=300, seed=0):
    """Truth, probabilities, patients and sides of rows whose scores separate them a little."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, rows)
    logits = random.standard_normal((rows, 3)).round(1) + 1.2 * np.eye(3)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    patients = np.array([f"p{number // 3}" for number in range(rows)])
    sides = np.array(["train", "validation", "test", "test"])[np.arange(rows) // 3 % 4]
    return truth, probabilities, patients, sides


def evaluate(truth, probabilities, patients, sides, normal_class="healthy"):
    """An evaluation of crops that all have a tooth."""
    p_abnormal = 1 - probabilities[:, 0]
    return metrics.evaluate(truth, probabilities, p_abnormal, patients, sides, NAMES, normal_class)


def test_every_number_is_that_of_scikit_learn_on_the_test_rows():
    truth, probabilities, patients, sides = made_up()
    found = evaluate(truth, probabilities, patients, sides)
    test = sides == "test"
    truth, probabilities = truth[test], probabilities[test]
    abnormal, scores = truth != 0, 1 - probabilities[:, 0]
    flagged, named = scores >= found.operating_point.threshold, probabilities.argmax(axis=1)

    expected = {
        "auroc": reference.roc_auc_score(abnormal, scores),
        "auprc": reference.average_precision_score(abnormal, scores),
        "f1": reference.f1_score(abnormal, flagged),
        "sensitivity": reference.recall_score(abnormal, flagged),
        "specificity": reference.recall_score(~abnormal, ~flagged),
    }
    assert {name: one.value for name, one in found.estimates.items()} == pytest.approx(expected)
    assert found.accuracy.value == pytest.approx(reference.accuracy_score(truth, named))
    assert found.macro_f1.value == pytest.approx(reference.f1_score(truth, named, average="macro"))
    assert found.confusion == reference.confusion_matrix(truth, named).tolist()
    assert found.support == np.bincount(truth).tolist()
    assert [one.value for one in found.auroc_by_class] == pytest.approx(
        [reference.roc_auc_score(truth == number, probabilities[:, number]) for number in range(3)]
    )
    assert (found.rows, found.patients) == (test.sum(), len(set(patients[test])))


def test_equal_scores_count_half():
    abnormal, scores = np.array([True, False, True, False]), np.zeros(4)
    found = resampling.ranking(abnormal, scores, np.ones((1, 4)))
    assert (found["auroc"][0], found["auprc"][0]) == (0.5, 0.5)


def test_weights_are_the_same_as_repeated_rows():
    truth, probabilities, *_ = made_up(50)
    abnormal, scores = truth != 0, 1 - probabilities[:, 0]
    times = np.random.default_rng(1).integers(0, 3, 50)
    repeated = np.repeat(np.arange(50), times)
    once = np.ones((1, len(repeated)))

    weighted = resampling.ranking(abnormal, scores, times[np.newaxis].astype(float))
    plain = resampling.ranking(abnormal[repeated], scores[repeated], once)
    flagged = resampling.flagging(abnormal, scores > 0.6, times[np.newaxis].astype(float))
    flagged_plain = resampling.flagging(abnormal[repeated], scores[repeated] > 0.6, once)

    for name, value in {**plain, **flagged_plain}.items():
        assert {**weighted, **flagged}[name] == pytest.approx(value)


def test_the_threshold_comes_from_validation_rows_alone():
    truth, probabilities, patients, sides = made_up()

    def threshold(spoilt):
        other, shifted = truth.copy(), probabilities.copy()
        rows = sides == spoilt
        other[rows] = (other[rows] + 1) % 3
        shifted[rows] = shifted[rows][:, ::-1] ** 3
        shifted /= shifted.sum(axis=1, keepdims=True)
        return evaluate(other, shifted, patients, sides).operating_point.threshold

    unspoilt = threshold("nowhere")
    assert threshold("test") == unspoilt
    assert threshold("train") == unspoilt
    assert threshold("validation") != unspoilt


def test_the_operating_point_has_the_highest_sensitivity_plus_specificity():
    truth, probabilities, *_ = made_up()
    abnormal, scores = truth != 0, 1 - probabilities[:, 0]
    false, true, _ = reference.roc_curve(abnormal, scores, drop_intermediate=False)

    point = metrics.operating_point(abnormal, scores)

    assert point.youden == pytest.approx((true - false).max())
    flagged = scores >= point.threshold
    assert flagged[abnormal].mean() - flagged[~abnormal].mean() == pytest.approx(point.youden)


def test_threshold_and_scores_are_those_of_p_abnormal_not_of_the_class_probabilities():
    truth, probabilities, patients, sides = made_up()
    p_abnormal = (1 - probabilities[:, 0]) * np.random.default_rng(1).random(len(truth))
    found = metrics.evaluate(truth, probabilities, p_abnormal, patients, sides, NAMES, "healthy")
    validation, test = sides == "validation", sides == "test"
    expected = metrics.operating_point(truth[validation] != 0, p_abnormal[validation])
    assert found.operating_point == expected
    auroc = reference.roc_auc_score(truth[test] != 0, p_abnormal[test])
    assert found.estimates["auroc"].value == pytest.approx(auroc)


def test_of_equal_operating_points_the_lowest_misses_least():
    abnormal = np.array([True, False, True, False])
    point = metrics.operating_point(abnormal, np.array([0.2, 0.3, 0.8, 0.1]))
    assert point.threshold == 0.2


def test_numbers_of_test_rows_do_not_move_with_the_other_rows():
    truth, probabilities, patients, sides = made_up()
    before = evaluate(truth, probabilities, patients, sides)
    probabilities[sides == "train"] = [1, 0, 0]
    after = evaluate(truth, probabilities, patients, sides)
    assert after == before


def test_intervals_hold_the_value_and_are_the_same_every_time():
    first, again = (evaluate(*made_up()) for _ in range(2))
    assert first == again
    for one in first.estimates.values():
        assert 0 <= one.low < one.value < one.high <= 1


def test_patients_are_drawn_not_rows():
    """Ten copies of a patient's rows are no more evidence than one row."""
    truth, probabilities, _, _ = made_up(40)
    abnormal, scores = truth != 0, 1 - probabilities[:, 0]

    def spread(copies, patients):
        one = metrics.two_classes(
            np.repeat(abnormal, copies), np.repeat(scores, copies), patients, 0.5
        )
        return one["auroc"].high - one["auroc"].low

    single = spread(1, np.arange(40).astype(str))
    assert spread(10, np.repeat(np.arange(40), 10).astype(str)) == pytest.approx(single)
    assert spread(10, np.arange(400).astype(str)) < single / 2


def test_baselines_are_what_a_guess_reaches():
    truth, probabilities, patients, sides = made_up()
    found = evaluate(truth, probabilities, patients, sides)
    abnormal = truth[sides == "test"] != 0
    everything = np.ones_like(abnormal)

    assert found.estimates["auroc"].baseline == 0.5
    assert found.estimates["auprc"].baseline == pytest.approx(abnormal.mean())
    assert found.estimates["f1"].baseline == pytest.approx(reference.f1_score(abnormal, everything))
    blind = found.estimates["sensitivity"].baseline + found.estimates["specificity"].baseline
    assert blind == pytest.approx(1)
    assert found.accuracy.baseline == pytest.approx(max(found.support) / found.rows)
    commonest = np.full(found.rows, np.argmax(found.support))
    assert found.macro_f1.baseline == pytest.approx(
        reference.f1_score(truth[sides == "test"], commonest, average="macro")
    )


@pytest.mark.parametrize("scene", ["no test rows", "one kind", "one patient", "no validation"])
def test_what_cannot_be_computed_is_none_with_a_reason(scene):
    truth, probabilities, patients, sides = made_up(60)
    if scene == "no test rows":
        sides[sides == "test"] = "train"
    elif scene == "one kind":
        truth[:] = 0
    elif scene == "one patient":
        patients[:] = "p"
    else:
        sides[sides == "validation"] = "train"

    found = evaluate(truth, probabilities, patients, sides)

    text = json.dumps(found.as_dict(), allow_nan=False)
    auroc = found.estimates["auroc"]
    assert (auroc.value is None) == (scene in ("no test rows", "one kind"))
    assert (auroc.low is None) == (scene != "no validation")
    assert (auroc.reason is None) == (scene == "no validation")
    if scene in ("one kind", "no validation"):
        assert found.operating_point.threshold == 0.5
        assert "one kind only" in found.operating_point.reason
    assert json.loads(text)["rows"] == found.rows


def test_draws_that_mostly_lack_a_kind_give_no_interval():
    assert resampling.interval(np.r_[np.full(499, 0.7), np.full(501, np.nan)]) is None
    assert resampling.interval(np.r_[np.full(500, 0.7), np.full(500, np.nan)]) == (0.7, 0.7)


def test_a_better_score_shows_in_the_paired_difference():
    truth, probabilities, patients, _ = made_up()
    abnormal, score = truth != 0, 1 - probabilities[:, 0]
    noise = np.random.default_rng(5).standard_normal(len(score))

    better = metrics.paired_difference(abnormal, noise, score, patients)
    worse = metrics.paired_difference(abnormal, score, noise, patients)
    same = metrics.paired_difference(abnormal, score, score, patients)

    assert 0 < better.low < better.value < better.high
    assert (worse.value, worse.low) == pytest.approx((-better.value, -better.high))
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert metrics.paired_difference(abnormal[:0], score[:0], noise[:0], []).reason
    assert metrics.paired_difference(abnormal & False, noise, score, patients).reason


def test_each_fold_is_ranked_on_its_own_scale():
    truth, probabilities, patients, _ = made_up()
    abnormal, score = truth != 0, 1 - probabilities[:, 0]
    folds = np.array([int(name[1:]) % 3 for name in patients])
    per_fold = [reference.roc_auc_score(abnormal[folds == n], score[folds == n]) for n in range(3)]
    pairs = [abnormal[folds == n].sum() * (~abnormal[folds == n]).sum() for n in range(3)]
    shifted = score + 10 * folds

    found = metrics.two_classes(abnormal, shifted, patients, 0.5, folds)["auroc"]
    same = metrics.paired_difference(abnormal, shifted, score, patients, folds)

    assert found.value == pytest.approx(np.average(per_fold, weights=pairs))
    assert found.low < found.value < found.high
    assert (same.value, same.low, same.high) == pytest.approx((0, 0, 0))
    assert metrics.two_classes(abnormal, shifted, patients, 0.5)["auroc"].value < found.value - 0.1


def test_a_fold_of_one_kind_has_no_pairs_and_counts_nothing():
    abnormal = np.array([True, False, True, True])
    folds = np.array([0, 0, 1, 1])
    found = resampling.auroc_within(abnormal, np.array([2.0, 1, 0, 0]), np.ones((1, 4)), folds)
    assert found == [1.0]


def test_pairing_makes_the_interval_narrower():
    truth, probabilities, patients, _ = made_up()
    abnormal, score = truth != 0, 1 - probabilities[:, 0]
    near = score + 0.05 * np.random.default_rng(5).standard_normal(len(score))
    paired = metrics.paired_difference(abnormal, score, near, patients)
    alone = metrics.two_classes(abnormal, score, patients, 0.5)["auroc"]
    assert paired.high - paired.low < (alone.high - alone.low) / 2


def test_a_normal_class_that_is_not_a_label_is_refused():
    with pytest.raises(ConfigError, match=r"is `sound`, the labels are healthy, caries, abscess"):
        evaluate(*made_up(30), normal_class="sound")


def test_five_hundred_rows_take_less_than_three_seconds():
    rows = made_up(1000)
    started = time.perf_counter()
    evaluate(*rows)
    assert time.perf_counter() - started < 3
