"""ROC and precision-recall curves with 95 % bands over patients.

`positive` is boolean (N,), `scores` float (N,), `patients` texts (N,), as in `evaluation`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.model.scores.resampling import draws

STEPS = np.linspace(0, 1, 51)
Steps = Callable[[np.ndarray, np.ndarray], np.ndarray]  # rates of hits and misses to values


@dataclass(frozen=True)
class Curve:
    """A curve over 0 to 1. The band is empty for one patient."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    chance: tuple[tuple[float, float], tuple[float, float]]  # ends of the line of a guess


def roc_curve(positive: np.ndarray, scores: np.ndarray, patients: Sequence[str]) -> Curve | None:
    """Sensitivity over 1 − specificity; None when the rows hold one kind only."""
    return _curve(positive, scores, patients, _sensitivity, ((0.0, 0.0), (1.0, 1.0)))


def precision_recall_curve(
    positive: np.ndarray, scores: np.ndarray, patients: Sequence[str]
) -> Curve | None:
    """Precision over sensitivity; None when the rows hold one kind only."""
    share = float(positive.mean()) if len(positive) else 0.0
    return _curve(positive, scores, patients, _precision, ((0.0, share), (1.0, share)))


def _curve(positive, scores, patients, values: Steps, chance) -> Curve | None:
    if not len(positive) or positive.all() or not positive.any():
        return None
    order = np.argsort(-scores, kind="stable")
    # Rows of equal score are one step.
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.nan))
    positive = positive[order]

    def of(weights: np.ndarray) -> np.ndarray:
        weights = weights[:, order]
        hits = np.add.reduceat(weights * positive, starts, axis=1).cumsum(axis=1)
        misses = np.add.reduceat(weights * ~positive, starts, axis=1).cumsum(axis=1)
        held = (hits[:, -1] > 0) & (misses[:, -1] > 0)
        return np.array([values(*each) for each in zip(hits[held], misses[held], strict=True)])

    [y] = of(np.ones((1, len(positive))))
    low = high = np.array([])
    if len(set(patients)) > 1:
        drawn = np.concatenate([found for each in draws(patients) if len(found := of(each))])
        low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    return Curve(*(tuple(each.round(4).tolist()) for each in (STEPS, y, low, high)), chance)


def _sensitivity(hits: np.ndarray, misses: np.ndarray) -> np.ndarray:
    false, true = np.append(0, misses / misses[-1]), np.append(0, hits / hits[-1])
    # The highest sensitivity that is reached without more false alarms.
    return true[np.searchsorted(false, STEPS + 1e-9, side="right") - 1]


def _precision(hits: np.ndarray, misses: np.ndarray) -> np.ndarray:
    # At the highest threshold that reaches the sensitivity.
    place = np.searchsorted(hits / hits[-1], np.maximum(STEPS, 1e-9) - 1e-9)
    place = np.minimum(place, len(hits) - 1)
    return hits[place] / np.maximum(hits[place] + misses[place], 1)
