"""What a head has to beat: logistic regressions on the embeddings and on the bare pixels.

Both learn on training rows, choose the strength of their penalty on validation rows and give
float32 probabilities (N, classes) for all rows. `classes` is the class number of every row, -1
where nobody knows it; the masks are boolean (N,).
"""

import numpy as np
from sklearn.linear_model import LogisticRegression

from pipeline.errors import NotEnoughData

STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)  # scikit-learn's C, on standardised features
THUMBNAIL = 32  # pixels


def probe(embeddings, classes, train, validation, class_count: int) -> np.ndarray:
    """Logistic regression on embeddings (N, width) of any float type."""
    features = standardised(np.asarray(embeddings, np.float32), train)
    return logistic(rotated(features, train), classes, train, validation, class_count)


def pixels(small, classes, train, validation, class_count: int) -> np.ndarray:
    """Logistic regression on what `thumbnails` made of the crops, float32 (N, 1024)."""
    features = standardised(small, train)
    return logistic(rotated(features, train), classes, train, validation, class_count)


def thumbnails(crops: np.ndarray) -> np.ndarray:
    """Block means of crops (N, side, side), float32 (N, 1024).

    Blocks differ by a pixel when 32 does not divide the side; a smaller side keeps its pixels.
    """
    edges = np.linspace(0, crops.shape[1], min(THUMBNAIL, crops.shape[1]) + 1).astype(int)
    sums = np.add.reduceat(crops, edges[:-1], axis=1, dtype=np.float32)
    sums = np.add.reduceat(sums, edges[:-1], axis=2)
    lengths = np.diff(edges)
    return (sums / np.outer(lengths, lengths)).reshape(len(crops), -1)


def standardised(features: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Features with mean 0 and deviation 1 over the training rows; constant ones become 0."""
    mean, deviation = features[train].mean(axis=0), features[train].std(axis=0)
    scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 1e-6)
    return (features - mean) * scale


def rotated(features: np.ndarray, train: np.ndarray) -> np.ndarray:
    """The same rows in the coordinates that the training rows span.

    A penalised logistic regression stays inside that span, so this changes no probability: 1 000
    training rows need 1 000 coordinates instead of 8 192. It is not a selection of components.
    """
    known = features[train]
    if len(known) >= features.shape[1]:
        return features
    values, vectors = np.linalg.eigh((known @ known.T).astype(np.float64))
    kept = values > values[-1] * 1e-7  # below that, rounding of float32
    return features @ (known.T @ (vectors[:, kept] / np.sqrt(values[kept])).astype(np.float32))


def logistic(features, classes, train, validation, class_count: int) -> np.ndarray:
    """Probabilities of the regression that does best on the validation rows.

    Best is the lowest mean negative log-probability of the true class. Raises NotEnoughData when
    the training rows hold fewer than two classes or there are no validation rows.
    """
    train, validation = train & (classes >= 0), validation & (classes >= 0)
    if len(np.unique(classes[train])) < 2 or not validation.any():
        raise NotEnoughData(
            f"Training rows hold {len(np.unique(classes[train]))} classes and there are "
            f"{validation.sum()} validation rows; two classes and one row are needed. Label more."
        )
    best, least = None, np.inf
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, class_weight="balanced", max_iter=1000)
        model.fit(features[train], classes[train])
        found = np.zeros((len(features), class_count), np.float32)
        found[:, model.classes_] = model.predict_proba(features)
        truth = found[validation, classes[validation]]
        loss = -np.log(np.maximum(truth, 1e-7)).mean()
        if loss < least:
            best, least = found, loss
    return best
