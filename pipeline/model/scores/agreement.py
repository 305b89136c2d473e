"""Agreement of two reviewers who labelled the same crops: the share, and Cohen's kappa.

Kappa is the agreement beyond what two reviewers with the same frequencies of labels reach by
chance. Source: Cohen, "A coefficient of agreement for nominal scales", Educ. Psychol. Meas. 20
(1960). scikit-learn computes it for one weighting of the crops at a time; its interval here comes
from draws of patients, as in `resampling.py`. The interval of the share is Wilson's.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.model.scores.resampling import interval, ratio, resampled

NOWHERE = (float("nan"), float("nan"))


class Agreement(NamedTuple):
    """How two reviewers agree; values that cannot be computed are NaN."""

    crops: int
    patients: int
    agreed: float  # share of the crops with the same label
    agreed_low: float
    agreed_high: float
    kappa: float  # NaN when both gave one and the same label throughout
    kappa_low: float
    kappa_high: float


def agreements(pairs: pd.DataFrame) -> pd.DataFrame:
    """Compare every two reviewers; one row for each two, the answer of the query `agreement`.

    `pairs` has one row for each crop that two reviewers labelled, with the columns `one` and
    `other` (reviewers), `patient_key`, `one_label` and `other_label`.
    """
    found = [
        (*two, *agreement(rows["one_label"], rows["other_label"], rows["patient_key"]))
        for two, rows in pairs.groupby(["one", "other"])
    ]
    return pd.DataFrame(found, columns=["one", "other", *Agreement._fields])


def agreement(one: Sequence[str], other: Sequence[str], patients: Sequence[str]) -> Agreement:
    """Compare two reviewers' labels of the same N crops, of `patients` (N,)."""
    from scipy.stats import binomtest  # half a second, for this query alone

    one, other, patients = np.asarray(one), np.asarray(other), np.asarray(patients)
    classes = np.unique([one, other])
    by_class = [labels[:, np.newaxis] == classes for labels in (one, other)]

    def statistics(weights: np.ndarray) -> dict[str, np.ndarray]:
        total = weights.sum(axis=1)
        agreed = ratio(weights @ (one == other), total)
        shares = [weights @ each / total[:, np.newaxis] for each in by_class]
        chance = (shares[0] * shares[1]).sum(axis=1)
        return {"kappa": ratio(agreed - chance, 1 - chance)}

    [kappa] = statistics(np.ones((1, len(one))))["kappa"]
    agreed = int((one == other).sum())
    share = binomtest(agreed, len(one)).proportion_ci(method="wilson")
    drawn = interval(resampled(patients, statistics)["kappa"]) or NOWHERE
    return Agreement(
        len(one),
        len(np.unique(patients)),
        agreed / len(one),
        share.low,
        share.high,
        float(kappa),
        *drawn,
    )
