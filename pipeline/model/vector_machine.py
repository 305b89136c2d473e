"""A support-vector machine with a Gaussian kernel that tells abnormal from normal features."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.svm import SVC

STRENGTHS = (0.3, 1, 3, 10)  # scikit-learn's C
CONSTANT = 1e-6  # a deviation below it is that of a constant feature


@dataclass(frozen=True)
class Standard:
    """What makes each of the features have mean 0 and deviation 1; constant ones become 0."""

    mean: np.ndarray  # (width,)
    scale: np.ndarray  # (width,)

    @classmethod
    def of(cls, features: np.ndarray) -> "Standard":
        """Measure features (n, width)."""
        mean, deviation = features.mean(axis=0), features.std(axis=0)
        return cls(
            mean, np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > CONSTANT)
        )

    def __call__(self, features: np.ndarray) -> np.ndarray:
        return (features - self.mean) * self.scale


@dataclass(frozen=True)
class Machine:
    """A fitted machine."""

    standard: Standard
    known: np.ndarray  # standardised rows that it learned from, float32 (n, width)
    weights: np.ndarray  # of the known rows, float64 (n,); most are 0
    offset: float

    def scores(self, features: np.ndarray) -> np.ndarray:
        """How abnormal features (N, width) are, float64 (N,): above 0 more likely so than not."""
        return gaussian(self.standard(features), self.known) @ self.weights + self.offset


def fitted(
    features: np.ndarray, abnormal: np.ndarray, judged: np.ndarray, judged_abnormal: np.ndarray
) -> Machine:
    """Learn from float32 features (n, width) and whether each is abnormal, boolean (n,).

    Classes are balanced. Of the penalties, the one with the highest AUROC on the judged rows
    counts, of equal ones the strongest; with one kind only among those, the strongest.
    """
    standard = Standard.of(features)
    known = standard(features)
    similar, theirs = gaussian(known, known), gaussian(standard(judged), known)
    both, best, most = len(np.unique(judged_abnormal)) == 2, None, -np.inf
    for strength in STRENGTHS:
        # Without a seed it would draw from NumPy's global one.
        model = SVC(C=strength, kernel="precomputed", class_weight="balanced", random_state=0)
        model.fit(similar, abnormal)
        weights = np.zeros(len(known))
        weights[model.support_] = model.dual_coef_[0]
        found = Machine(standard, known, weights, float(model.intercept_[0]))
        scores = theirs @ weights + found.offset
        right = roc_auc_score(judged_abnormal, scores) if both else 0.0
        if right > most:
            best, most = found, right
    return best


def gaussian(features: np.ndarray, known: np.ndarray) -> np.ndarray:
    """exp(-d²/s) of the distances d to the `known` rows, float64 (N, known).

    s is the number of features times their variance, scikit-learn's `gamma="scale"`. Computed
    here because libsvm would take a minute where a product of matrices takes a second.
    """
    spread = features.shape[1] * known.var()
    lengths, theirs = (np.einsum("ij,ij->i", rows, rows) for rows in (features, known))
    distances = lengths[:, np.newaxis] + theirs - 2 * (features @ known.T)
    return np.exp(-np.maximum(distances, 0).astype(np.float64) / (spread or 1))
