"""Scores of a head on test rows, with intervals over patients, and what a guess would reach.

`truth` holds class numbers (N,), `probabilities` float (N, classes) in the order of the class
names, `p_abnormal` floats (N,), `patients` and `sides` texts (N,). "Abnormal" is every class but
the normal one; a row is flagged when its `p_abnormal` reaches the threshold, which is chosen on
validation rows alone. For a head this is the quantity of the work-list, made in
`head.abnormal_probability`.

Every result is made of plain JSON types. What cannot be computed is None with a reason, never NaN.

scikit-learn is imported where it is called: it takes a second, and every run imports this module.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from pipeline.errors import ConfigError
from pipeline.model.scores.resampling import (
    TOO_FEW_DRAWS,
    auroc_within,
    flagging,
    interval,
    ranking,
    resampled,
)

ONE_PATIENT = "one patient gives no interval"
NO_ROWS = "there are no test rows"
ONE_KIND = "the test rows hold one kind only"


@dataclass(frozen=True)
class OperatingPoint:
    """The threshold from which on a row is flagged."""

    threshold: float
    youden: float | None  # sensitivity + specificity - 1 on the validation rows
    reason: str | None = None  # why the threshold was set instead of chosen


@dataclass(frozen=True)
class Estimate:
    """One number, its 95 % interval over patients, and what a guess reaches."""

    value: float | None
    low: float | None = None
    high: float | None = None
    baseline: float | None = None
    reason: str | None = None  # why a number is missing


@dataclass(frozen=True)
class Evaluation:
    """Everything measured on the test rows."""

    rows: int
    patients: int
    abnormal_rows: int
    operating_point: OperatingPoint
    estimates: dict[str, Estimate]  # auroc, auprc, f1, sensitivity, specificity
    accuracy: Estimate  # of the class with the highest probability; without interval
    macro_f1: Estimate  # mean over the classes that have test rows; without interval
    class_names: list[str]
    confusion: list[list[int]]  # row: true class, column: predicted class
    support: list[int]  # test rows of each class
    auroc_by_class: list[Estimate]  # each class against the others; without intervals

    def as_dict(self) -> dict:
        """Plain JSON types, for a card."""
        return asdict(self)


def evaluate(
    truth: np.ndarray,
    probabilities: np.ndarray,
    p_abnormal: np.ndarray,
    patients: Sequence[str],
    sides: Sequence[str],
    class_names: Sequence[str],
    normal_class: str,
) -> Evaluation:
    """Choose the threshold on the validation rows and measure on the test rows.

    Takes the rows of all sides. Raises ConfigError when `normal_class` is none of the classes.
    """
    abnormal = truth != number_of(normal_class, class_names)
    validation, test = np.asarray(sides) == "validation", np.asarray(sides) == "test"
    point = operating_point(abnormal[validation], p_abnormal[validation])
    truth, probabilities, patients = truth[test], probabilities[test], np.asarray(patients)[test]
    predicted = probabilities.argmax(axis=1)
    confusion = count_confusions(truth, predicted, len(class_names))
    return Evaluation(
        rows=len(truth),
        patients=len(np.unique(patients)),
        abnormal_rows=int(abnormal[test].sum()),
        operating_point=point,
        estimates=two_classes(abnormal[test], p_abnormal[test], patients, point.threshold),
        accuracy=accuracy(truth, predicted),
        macro_f1=macro_f1(truth, predicted),
        class_names=list(class_names),
        confusion=confusion.tolist(),
        support=confusion.sum(axis=1).tolist(),
        auroc_by_class=[
            against_the_others(truth == number, column)
            for number, column in enumerate(probabilities.T)
        ],
    )


def number_of(normal_class: str, class_names: Sequence[str]) -> int:
    """Number of the normal class among the classes."""
    if normal_class not in class_names:
        raise ConfigError(
            f"The normal class is `{normal_class}`, the labels are {', '.join(class_names)}; one "
            "of them must be the normal one. Correct `normal_class`."
        )
    return list(class_names).index(normal_class)


def operating_point(abnormal: np.ndarray, scores: np.ndarray) -> OperatingPoint:
    """Choose the threshold with the highest sensitivity + specificity, on validation rows.

    Of equal ones the lowest, which misses least. The candidates are the scores themselves.
    Source: Youden, "Index for rating diagnostic tests", Cancer 3 (1950). With rows of one kind
    only, the threshold is 0.5 and the reason is given.
    """
    from sklearn.metrics import roc_curve

    if abnormal.all() or not abnormal.any():
        return OperatingPoint(0.5, None, "the validation rows hold one kind only")
    # From the highest threshold down, after one above all scores that flags nothing.
    false, true, candidates = roc_curve(abnormal, scores, drop_intermediate=False)
    gain = (true - false)[1:]
    best = int(np.flatnonzero(gain >= gain.max() - 1e-12)[-1]) + 1
    return OperatingPoint(float(candidates[best]), float(true[best] - false[best]))


def two_classes(
    abnormal: np.ndarray,
    scores: np.ndarray,
    patients: np.ndarray,
    threshold: float | np.ndarray,
    folds: np.ndarray | None = None,
) -> dict[str, Estimate]:
    """Compute the five scores of abnormal against normal, with intervals and baselines.

    With `folds` (N,) the AUROC ranks rows within their fold, and the threshold is one per row. The
    baseline is a guess that ignores the picture: an AUROC of 0.5, the AUPRC and F1 of calling
    every row abnormal, and the sensitivity and specificity of flagging as many rows at random.
    """
    flagged = scores >= threshold

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        found = ranking(abnormal, scores, weights) | flagging(abnormal, flagged, weights)
        if folds is not None:
            found["auroc"] = auroc_within(abnormal, scores, weights, folds)
        return found

    if not len(abnormal):
        empty = Estimate(None, reason=NO_ROWS)
        return dict.fromkeys(("auroc", "auprc", "f1", "sensitivity", "specificity"), empty)
    share, at_random = float(abnormal.mean()), float(flagged.mean())
    baselines = {
        "auroc": 0.5,
        "auprc": share,
        "f1": 2 * share / (1 + share),
        "sensitivity": at_random,
        "specificity": 1 - at_random,
    }
    whole = statistics(np.ones((1, len(abnormal))))
    drawn = resampled(patients, statistics) if len(np.unique(patients)) > 1 else None
    return {name: estimate(name, whole, drawn, base) for name, base in baselines.items()}


def estimate(name: str, whole: dict, drawn: dict | None, baseline: float | None) -> Estimate:
    """Return one statistic with its interval over the draws."""
    value = single(name, whole, baseline)
    if value.value is None:
        return value
    limits = interval(drawn[name]) if drawn else None
    if limits is None:
        return Estimate(
            value.value, baseline=baseline, reason=TOO_FEW_DRAWS if drawn else ONE_PATIENT
        )
    return Estimate(value.value, *limits, baseline)


def single(name: str, whole: dict, baseline: float | None) -> Estimate:
    """Return one statistic without an interval."""
    value = float(whole[name][0])
    if np.isnan(value):
        return Estimate(None, reason=ONE_KIND)
    return Estimate(value, baseline=baseline)


def against_the_others(is_class: np.ndarray, scores: np.ndarray) -> Estimate:
    """AUROC of one class's probability, without an interval."""
    if not len(is_class):
        return Estimate(None, reason=NO_ROWS)
    return single("auroc", ranking(is_class, scores, np.ones((1, len(scores)))), 0.5)


def paired_difference(
    abnormal: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    patients: Sequence[str],
    folds: np.ndarray | None = None,
) -> Estimate:
    """AUROC of the scores `second` minus that of `first` on the same rows, within `folds` if any.

    Both are measured on the same draws of patients, so what makes a draw easy cancels out.
    """
    rows = np.zeros(len(abnormal)) if folds is None else folds

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        one, other = (auroc_within(abnormal, each, weights, rows) for each in (first, second))
        return {"difference": other - one}

    if not len(abnormal):
        return Estimate(None, reason=NO_ROWS)
    whole = statistics(np.ones((1, len(abnormal))))
    drawn = resampled(patients, statistics) if len(set(patients)) > 1 else None
    return estimate("difference", whole, drawn, 0.0)


def count_confusions(truth: np.ndarray, predicted: np.ndarray, class_count: int) -> np.ndarray:
    """Confusion matrix (classes, classes): true class down, predicted class across."""
    from sklearn.metrics import confusion_matrix

    if not len(truth):  # which scikit-learn refuses
        return np.zeros((class_count, class_count), int)
    return confusion_matrix(truth, predicted, labels=np.arange(class_count))


def accuracy(truth: np.ndarray, predicted: np.ndarray) -> Estimate:
    """Share of rows whose class was predicted; a guess always predicts the commonest class."""
    from sklearn.metrics import accuracy_score

    if not len(truth):
        return Estimate(None, reason=NO_ROWS)
    guess = np.bincount(truth).max() / len(truth)
    return Estimate(float(accuracy_score(truth, predicted)), baseline=float(guess))


def macro_f1(truth: np.ndarray, predicted: np.ndarray) -> Estimate:
    """Mean F1 over the classes that have test rows; a guess predicts the commonest class."""
    from sklearn.metrics import f1_score

    if not len(truth):
        return Estimate(None, reason=NO_ROWS)
    classes = np.unique(truth)
    commonest = np.full(len(truth), np.bincount(truth).argmax())
    value, guess = (
        f1_score(truth, each, labels=classes, average="macro", zero_division=0)
        for each in (predicted, commonest)
    )
    return Estimate(float(value), baseline=float(guess))
