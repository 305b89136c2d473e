"""Out-of-fold probabilities, by which labels that may be wrong are found.

Every row is predicted by a logistic regression that learned from other patients only (grouped
folds), on each embedding's map averaged to 4 × 4 cells: 512 values for 32 channels, small enough to
keep for every labelled row of a large store. Nothing here is a score of a head.

The lower the probability of a label, its self-confidence, the more doubtful it is. Source:
Northcutt, Jiang & Chuang, "Confident learning", arXiv:1911.00068. On 601 real crops of six classes,
5 % of the labels changed at random (5 draws), the first 5 % of the list held 43 % of the changed
ones and the first 10 % held 63 %; ordered by how far it lies below its class's mean, 17 and 21 %.
"""

from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from pipeline.errors import NotEnoughData
from pipeline.model.float16 import as_float32

CELLS = 4
FOLDS = 5
STRENGTH = 1e-3  # scikit-learn's C, on standardised features


class LabelVerdict(NamedTuple):
    """Predictions of every row by models that never saw its patient."""

    probabilities: np.ndarray  # float32 (N, classes)
    folds: np.ndarray  # number of the fold (N,) that held the row out


def mean_probabilities(maps: np.ndarray) -> np.ndarray:
    """Average maps (N, row, column, channel) to 4 × 4 cells, float32 (N, values).

    A smaller map keeps its cells; averages differ by a cell where 4 does not divide the side.
    """
    found = as_float32(maps)
    for axis in (1, 2):
        edges = np.linspace(0, maps.shape[axis], min(CELLS, maps.shape[axis]) + 1).astype(int)
        lengths = np.diff(edges).reshape([-1 if each == axis else 1 for each in range(4)])
        found = np.add.reduceat(found, edges[:-1], axis=axis) / lengths
    return found.reshape(len(maps), -1)


def compare_with_labels(
    features: np.ndarray, truth: np.ndarray, patients: np.ndarray, class_count: int
) -> LabelVerdict:
    """Predict every row by a model that never saw its patient.

    Raises NotEnoughData when there are fewer patients than folds, or one class only.
    """
    if len(np.unique(patients)) < FOLDS or len(np.unique(truth)) < 2:
        raise NotEnoughData(
            f"{len(np.unique(patients))} patients with labels of {len(np.unique(truth))} classes; "
            f"{FOLDS} and two are needed to look for wrong labels. Label more."
        )
    found = np.zeros((len(truth), class_count), np.float32)
    folds = np.zeros(len(truth), np.int16)
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    for number, (train, test) in enumerate(splitter.split(features, truth, patients)):
        folds[test] = number
        model = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=500))
        classes = np.unique(truth[train])
        if len(classes) == 1:
            found[test, classes[0]] = 1
            continue
        # As in `baselines.logistic`: 0.5 CPU seconds for 1110 rows; 11 with a thread per core.
        with threadpool_limits(1):
            model.fit(features[train], truth[train])
        found[test[:, np.newaxis], model.classes_] = model.predict_proba(features[test])
    return LabelVerdict(found, folds)
