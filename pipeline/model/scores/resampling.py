"""Bootstrap over patients: two-class statistics for many weightings of the same rows at once.

`abnormal` is boolean (N,), `scores` float (N,), higher meaning more abnormal, `weights` (B, N)
is how often each row counts in each of B draws. Results are float64 (B,), NaN where a draw has
rows of one kind only.

scikit-learn computes the same for one weighting at a time, in 1000 times as many calls.

Patients are drawn with replacement, not rows: crops of one mouth resemble each other, and drawing
rows would make the intervals too narrow. Source: Field & Welsh, "Bootstrapping clustered data",
J. R. Statist. Soc. B 69 (2007).
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

DRAWS = 1000
CHUNK = 100  # draws at a time; 100 × 50 000 rows are 40 MB
SEED = 0
BINS = 10  # of the calibration error, equally wide
TOO_FEW_DRAWS = "fewer than half of the draws of patients held both kinds"


def resampled(
    patients: Sequence[str], statistics: Callable[[np.ndarray], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Compute every statistic for 1000 draws of patients with replacement, the same every time."""
    parts = [statistics(weights) for weights in draws(patients)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def draws(patients: Sequence[str]) -> Iterator[np.ndarray]:
    """Yield weights (CHUNK, N): how often a row's patient was drawn."""
    unique, index = np.unique(np.asarray(patients), return_inverse=True)
    random = np.random.default_rng(SEED)
    for _ in range(DRAWS // CHUNK):
        chosen = random.multinomial(len(unique), np.full(len(unique), 1 / len(unique)), size=CHUNK)
        yield chosen[:, index].astype(np.float64)


def interval(values: np.ndarray) -> tuple[float, float] | None:
    """The middle 95 % of `values`; None when more than half of them are NaN."""
    finite = values[np.isfinite(values)]
    if len(finite) * 2 < len(values):
        return None
    low, high = np.percentile(finite, [2.5, 97.5])
    return float(low), float(high)


def ranking(abnormal: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> dict:
    """`auroc`, where equal scores count half, and `auprc` as average precision."""
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    # Rows of equal score are one step of the curves, whatever their order.
    starts = np.flatnonzero(np.diff(falling, prepend=np.nan))
    weights, is_abnormal = weights[:, order], abnormal[order]
    hits = np.add.reduceat(weights * is_abnormal, starts, axis=1)
    misses = np.add.reduceat(weights * ~is_abnormal, starts, axis=1)
    all_hits, all_misses = hits.cumsum(axis=1), misses.cumsum(axis=1)
    positives, negatives = weights @ is_abnormal, weights @ ~is_abnormal
    below = negatives[:, np.newaxis] - all_misses + misses / 2
    precision = all_hits / np.maximum(all_hits + all_misses, 1)
    return {
        "auroc": ratio((hits * below).sum(axis=1), positives * negatives),
        "auprc": np.where(negatives > 0, ratio((hits * precision).sum(axis=1), positives), np.nan),
    }


def auroc_within(
    abnormal: np.ndarray, scores: np.ndarray, weights: np.ndarray, folds: np.ndarray
) -> np.ndarray:
    """AUROC (B,) over the pairs of rows within the same one of `folds` (N,).

    Scores of different folds come from different networks, each with its own scale; ranking them
    together would measure the scales too. Source: Forman & Scholz, "Apples-to-apples in
    cross-validation studies", SIGKDD Explorations 12 (2010).
    """
    right, pairs = np.zeros((2, len(weights)))
    for fold in np.unique(folds):
        rows = folds == fold
        some, kind = weights[:, rows], abnormal[rows]
        count = (some @ kind) * (some @ ~kind)
        right += count * np.nan_to_num(ranking(kind, scores[rows], some)["auroc"])
        pairs += count
    return ratio(right, pairs)


def flagging(abnormal: np.ndarray, flagged: np.ndarray, weights: np.ndarray) -> dict:
    """`f1`, `sensitivity` and `specificity` of boolean `flagged` (N,)."""
    found = weights @ (abnormal & flagged)
    false = weights @ (~abnormal & flagged)
    positives, negatives = weights @ abnormal, weights @ ~abnormal
    return {
        "f1": np.where(positives > 0, ratio(2 * found, found + false + positives), np.nan),
        "sensitivity": ratio(found, positives),
        "specificity": ratio(negatives - false, negatives),
    }


def calibration(abnormal: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> dict:
    """`brier`, the mean squared error, and `calibration_error`; scores are probabilities.

    The calibration error is the mean distance between the mean score and the share of abnormal
    rows in ten equally wide bins, weighted by rows. Sources: Brier, Monthly Weather Review 78
    (1950); Guo et al., "On calibration of modern neural networks", arXiv:1706.04599.
    """
    total = weights.sum(axis=1)
    error = scores - abnormal
    distance = np.abs(weights @ (in_bins(scores) * error[:, np.newaxis])).sum(axis=1)
    return {"brier": ratio(weights @ error**2, total), "calibration_error": ratio(distance, total)}


def in_bins(scores: np.ndarray) -> np.ndarray:
    """One-hot bin of every score, (N, 10); a score of 1 is in the last bin."""
    places = np.minimum((scores * BINS).astype(int), BINS - 1)
    return np.eye(BINS)[places]


def ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """`top / bottom`, NaN where `bottom` is zero."""
    return np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)
