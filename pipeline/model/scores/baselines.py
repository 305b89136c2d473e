"""Baselines that a head is compared with: simple methods on the same embeddings, crops and facts.

All learn on training rows, choose the strength of their penalty on validation rows and return
float32 probabilities for all rows. `classes` is the class number of every row, -1 where it is
unknown, and 0 for the normal class; the masks are boolean (N,). Logistic regressions separate all
classes and return (N, classes); support-vector machines separate the normal class from the rest
and return (N, 2), whose values are scores between 0 and 1 rather than calibrated probabilities.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from pipeline.errors import NotEnoughData
from pipeline.model.scores import svm
from pipeline.model.scores.svm import MOST_ROWS

STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)  # scikit-learn's C, on standardised features


def cap_rows(sides: np.ndarray, most: int = MOST_ROWS) -> np.ndarray:
    """Mask of the rows that baselines see: all, or `most` of every side, the same every time."""
    kept = np.zeros(len(sides), bool)
    random = np.random.default_rng(0)
    for side in np.unique(sides):
        rows = np.flatnonzero(sides == side)
        kept[rows if len(rows) <= most else random.choice(rows, most, replace=False)] = True
    return kept


def regression(features, classes, train, validation, class_count: int) -> np.ndarray:
    """Fit a logistic regression on features (N, width) of any float type."""
    features = standardised(np.asarray(features, np.float32), train)
    return logistic(rotated(features, train), classes, train, validation, class_count)


def support_vector_machine(features, classes, train, validation) -> np.ndarray:
    """Fit a support-vector machine with a Gaussian kernel on features (N, width) of any float type.

    Raises NotEnoughData when the training rows lack the normal class or the rest, or there are no
    validation rows.
    """
    features = standardised(np.asarray(features, np.float32), train)
    train, validation = train & (classes >= 0), validation & (classes >= 0)
    abnormal = classes > 0
    require_enough(len(np.unique(abnormal[train])), validation)
    model = svm.fit_svm(
        features[train], abnormal[train], features[validation], abnormal[validation]
    )
    flagged = 1 / (1 + np.exp(-model.scores(features)))
    return np.stack([1 - flagged, flagged], axis=1).astype(np.float32)


def standardised(features: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Scale features to mean 0 and deviation 1 over the training rows; constant ones become 0."""
    mean, deviation = features[train].mean(axis=0), features[train].std(axis=0)
    scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 1e-6)
    return (features - mean) * scale


def rotated(features: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Rotate the rows into coordinates of the span of the training rows.

    The weights of a penalised logistic regression lie in that span, so this changes no probability:
    1 000 training rows need 1 000 coordinates instead of 8 192. No component is left out. Rows that
    are all zero, as those of a network that puts out nothing but zeros, keep one value.
    """
    rows = features[train]
    if len(rows) >= features.shape[1]:
        return features
    values, vectors = np.linalg.eigh((rows @ rows.T).astype(np.float64))
    if values[-1] <= 0:
        return features[:, :1]
    kept = values > values[-1] * 1e-7  # below that, rounding of float32
    return features @ (rows.T @ (vectors[:, kept] / np.sqrt(values[kept])).astype(np.float32))


def logistic(features, classes, train, validation, class_count: int) -> np.ndarray:
    """Fit regressions of several strengths; return the probabilities of the best one.

    Best is the lowest mean negative log-likelihood of the validation rows. Raises NotEnoughData
    when the training rows hold fewer than two classes or there are no validation rows.
    """
    train, validation = train & (classes >= 0), validation & (classes >= 0)
    require_enough(len(np.unique(classes[train])), validation)
    best, least = None, np.inf
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, class_weight="balanced", max_iter=1000)
        # Its products are too small for several threads: one thread took 0.6 s instead of 3.3 s
        # for 250 rows of 1024 features on two busy cores.
        with threadpool_limits(1):
            model.fit(features[train], classes[train])
        found = np.zeros((len(features), class_count), np.float32)
        found[:, model.classes_] = model.predict_proba(features)
        truth = found[validation, classes[validation]]
        loss = -np.log(np.maximum(truth, 1e-7)).mean()
        if loss < least:
            best, least = found, loss
    return best


def require_enough(kinds: int, validation: np.ndarray) -> None:
    """Raise NotEnoughData without two classes to learn or without validation rows."""
    if kinds < 2 or not validation.any():
        raise NotEnoughData(
            f"Training rows hold {kinds} classes and there are {validation.sum()} validation rows; "
            "two classes and one row are needed. Label more."
        )
