"""Measures of one score on a group of test rows, at thresholds chosen on validation rows.

`positive` is boolean (N,): abnormal, or of one class against the rest. `scores` are probabilities
of that, float (N,), `patients` texts (N,). Intervals are those of `resampling`: over patients.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.model.scores.metrics import NO_ROWS, Estimate, estimate
from pipeline.model.scores.resampling import (
    BINS,
    CHUNK,
    SEED,
    calibration,
    flagging,
    in_bins,
    interval,
    ranking,
    ratio,
    resampled,
)

BOTH = ("sensitivity", "specificity")
FIXED = ("auroc", "auprc", "f1", *BOTH, "ppv", "brier", "calibration_error")
NOTHING_FLAGGED = "no row reaches the operating point"
ALL_AGREE = "no interval: all draws agree"
NO_NEGATIVE = "no negative validation row to choose the threshold by"
MIN_PATIENTS = 10  # smaller groups are hidden: their scores mean little, and reveal people


@dataclass(frozen=True)
class Thresholds:
    """Scores from which on a row is flagged, chosen on validation rows alone."""

    operating: float
    at_specificity: dict[float, float | None]  # None without negative validation rows


@dataclass(frozen=True)
class Bin:
    """One bin of a reliability diagram, a tenth of the range of scores."""

    said: float  # mean score
    found: float  # share of positive rows
    low: float | None  # 95 % interval of `found` over patients
    high: float | None
    rows: int


def threshold_at(specificity: float, positive: np.ndarray, scores: np.ndarray) -> float | None:
    """Choose the lowest threshold that reaches `specificity` on validation rows.

    Candidates are the scores themselves and one above them all, so with few negative rows the
    specificity reached is higher than requested, never lower. None without negative rows.
    """
    negative = np.sort(scores[~positive])
    if not len(negative):
        return None
    candidates = np.append(np.unique(scores), np.nextafter(scores.max(), np.inf))
    kept = np.searchsorted(negative, candidates, side="left") / len(negative)
    return float(candidates[np.flatnonzero(kept >= specificity - 1e-12)[0]])


def measures(
    positive: np.ndarray,
    scores: np.ndarray,
    patients: Sequence[str],
    thresholds: Thresholds,
    prevalence: float,
) -> dict[str, Estimate]:
    """Compute every measure by name, with its interval and the baseline of a guess.

    `ppv` follows by Bayes' rule from the sensitivity and specificity at the operating point where
    a share of `prevalence` is positive. `sensitivity_at_0.9` and `specificity_at_0.9` are those
    at the threshold with a specificity of 0.9 on validation rows.
    """
    if not len(positive):
        return dict.fromkeys(names(thresholds), Estimate(None, reason=NO_ROWS))
    flags = {"": scores >= thresholds.operating}
    for specificity, threshold in thresholds.at_specificity.items():
        if threshold is not None:
            flags[f"_at_{specificity:g}"] = scores >= threshold

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        found = ranking(positive, scores, weights) | calibration(positive, scores, weights)
        for at, flagged in flags.items():
            rates = flagging(positive, flagged, weights)
            found |= {f"{name}{at}": values for name, values in rates.items()}
        found["ppv"] = predictive_value(found["sensitivity"], found["specificity"], prevalence)
        return found

    whole = statistics(np.ones((1, len(positive))))
    drawn = resampled(patients, statistics) if len(set(patients)) > 1 else None
    found = {
        name: without_degenerate_interval(estimate(name, whole, drawn, guess))
        for name, guess in guesses(positive, scores, flags, prevalence).items()
    }
    if not flags[""].any():
        found["ppv"] = Estimate(None, reason=NOTHING_FLAGGED)
    missing = Estimate(None, reason=NO_NEGATIVE)
    return {name: found.get(name, missing) for name in names(thresholds)}


def names(thresholds: Thresholds) -> list[str]:
    """Names of the measures, in the order of reports."""
    return [*FIXED, *(f"{each}_at_{at:g}" for at in thresholds.at_specificity for each in BOTH)]


def without_degenerate_interval(found: Estimate) -> Estimate:
    """Drop the interval when every draw gave the same value.

    Of twelve patients with no false alarm every draw has none either: an interval of 1.00 to 1.00
    would claim more than twelve patients can show.
    """
    if found.low is None or found.low < found.high:
        return found
    return replace(found, low=None, high=None, reason=ALL_AGREE)


def guesses(
    positive: np.ndarray, scores: np.ndarray, flags: dict[str, np.ndarray], prevalence: float
) -> dict[str, float]:
    """Baselines of the measures: a guess that ignores the picture.

    It flags as many rows at random, and its probability is the share of positive rows. The
    calibration error of such a guess would be zero; its baseline is instead that of a perfectly
    calibrated score on as many rows, since few rows make any score look worse.
    """
    share = float(positive.mean())
    found = {
        "auroc": 0.5,
        "auprc": share,
        "f1": 2 * share / (1 + share),
        "ppv": prevalence,
        "brier": share * (1 - share),
        "calibration_error": unavoidable_error(scores),
    }
    for at, flagged in flags.items():
        at_random = float(flagged.mean())
        found |= {f"sensitivity{at}": at_random, f"specificity{at}": 1 - at_random}
    return found


def predictive_value(sensitivity, specificity, prevalence: float) -> np.ndarray:
    """Share of positive rows among those flagged, where `prevalence` of all are positive."""
    right, wrong = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    return ratio(right, np.nan_to_num(right + wrong))


def unavoidable_error(scores: np.ndarray) -> float:
    """Mean calibration error of perfectly calibrated scores, over 100 draws of labels.

    Rows are drawn independently; crops of one mouth are not independent, so this is a lower bound.
    """
    drawn = np.random.default_rng(SEED).random((CHUNK, len(scores))) < scores
    return float(np.abs((scores - drawn) @ in_bins(scores)).sum(axis=1).mean() / len(scores))


def reliability(positive: np.ndarray, scores: np.ndarray, patients: Sequence[str]) -> list[Bin]:
    """Bins of the calibration error that hold rows, lowest scores first."""
    bins = in_bins(scores)
    rows = bins.sum(axis=0)

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        return {
            str(number): ratio(weights @ (bins[:, number] * positive), weights @ bins[:, number])
            for number in np.flatnonzero(rows)
        }

    drawn = resampled(patients, statistics) if len(set(patients)) > 1 else {}
    found = []
    for number in range(BINS):
        if rows[number]:
            inside = bins[:, number] > 0
            limits = interval(drawn[str(number)]) if drawn else None
            low, high = limits or (None, None)
            mean, share = float(scores[inside].mean()), float(positive[inside].mean())
            found.append(Bin(mean, share, low, high, int(rows[number])))
    return found


def roc(positive: np.ndarray, scores: np.ndarray) -> list[tuple[float, float]]:
    """Points of the ROC curve, from (0, 0) to (1, 1): false, then true positive rate.

    Empty when the rows hold one kind only.
    """
    from sklearn.metrics import roc_curve  # as in `metrics`

    if positive.all() or not positive.any():
        return []
    false, true, _ = roc_curve(positive, scores, drop_intermediate=False)
    return [(float(x), float(y)) for x, y in zip(false, true, strict=True)]


def slices(values: Sequence[str], patients: Sequence[str]) -> tuple[dict[str, np.ndarray], int]:
    """Masks (N,) of the rows with each value, and the number of values with too few patients."""
    values, patients = np.asarray(values), np.asarray(patients)
    masks = {str(value): values == value for value in np.unique(values)}
    shown = {
        value: mask
        for value, mask in masks.items()
        if len(np.unique(patients[mask])) >= MIN_PATIENTS
    }
    return shown, len(masks) - len(shown)
