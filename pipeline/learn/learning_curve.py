"""How the score of a head grows with the labelled patients: is it worth labelling more?

In every fold of a cross-validation the head is trained again on a quarter and on half of the
training patients; validation and test rows stay the same. The halves contain the quarters, and keep
the shares of patients with and without a finding. A trunk that was learned from labels has learned
from all of them, so there is no curve for one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import numpy as np

from pipeline.model.scores import metrics

SHARES = (0.25, 0.5)  # of the training patients
UNUSED = "unused"
SEED = 0  # of the order in which patients are left out


def with_fewer_patients(
    patients: np.ndarray, abnormal: np.ndarray, sides: np.ndarray, share: float
) -> np.ndarray:
    """The sides (N,) with the rows of all but a share of the training patients unused."""
    training = sides == "train"
    with_finding = np.unique(patients[training & abnormal])
    without = np.setdiff1d(np.unique(patients[training]), with_finding)
    kept: list[str] = []
    for kind in (with_finding, without):
        order = np.random.default_rng(SEED).permutation(len(kind))
        kept += kind[order][: max(1, round(share * len(kind)))].tolist()
    return np.where(training & ~np.isin(patients, kept), UNUSED, sides)


def score_fewer(
    patients: np.ndarray,
    abnormal: np.ndarray,
    sides: np.ndarray,
    score: Callable[[np.ndarray], dict],
) -> dict[str, dict]:
    """What `score` gives for the sides with fewer patients, by share, and how many there were."""
    found = {}
    for share in SHARES:
        fewer = with_fewer_patients(patients, abnormal, sides, share)
        count = len(np.unique(patients[fewer == "train"]))
        found[str(share)] = {"patients": count, **score(fewer)}
    return found


def learning_curve(
    abnormal: np.ndarray,
    patients: np.ndarray,
    fold: np.ndarray,
    scores: Mapping[str, np.ndarray],
    counts: Mapping[str, Sequence[int]],
) -> list[dict]:
    """One entry per share of the training patients, the smallest first.

    `scores` are p_abnormal of all test rows (N,) by share, `1.0` for all patients, `counts` the
    training patients of every fold. An entry has the share, the mean number of patients, the AUROC
    within folds and what all patients gain over it, with intervals over patients.
    """
    return [
        {
            "share": float(share),
            "patients": round(float(np.mean(counts[share]))),
            "auroc": asdict(
                metrics.two_classes(abnormal, found, patients, np.full(len(found), 0.5), fold)[
                    "auroc"
                ]
            ),
            "gain_of_all": asdict(
                metrics.paired_difference(abnormal, found, scores["1.0"], patients, fold)
            ),
        }
        for share, found in sorted(scores.items(), key=lambda item: float(item[0]))
    ]
