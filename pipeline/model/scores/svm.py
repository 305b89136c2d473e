"""A support-vector machine with a Gaussian kernel that tells abnormal from normal features.

Features are float32 (n, width) and standardised: how is for the caller to say. Nothing here imports
Keras or changes a global seed.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.svm import SVC

STRENGTHS = (0.3, 1, 3, 10)  # scikit-learn's C
MOST_ROWS = 4000  # to learn from, so that large stores do not take hours


@dataclass(frozen=True)
class Kernel:
    """Likeness to known rows (n, width): exp(-d²/s) of the distance d.

    s is the number of features times their variance, scikit-learn's `gamma="scale"`. Computed
    here because libsvm would take a minute where a product of matrices takes a second, and
    scikit-learn's `rbf_kernel`, which makes float64 of float32, 0.9 CPU seconds instead of 0.16 for
    128 rows to 444.
    """

    known: np.ndarray  # float32 (n, width)
    lengths: np.ndarray  # squared, float32 (n,)
    spread: float

    @classmethod
    def of(cls, known: np.ndarray) -> "Kernel":
        """To these rows."""
        return cls(known, squared_lengths(known), float(known.shape[1] * known.var()) or 1.0)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Of features (N, width), float64 (N, n)."""
        products = features @ self.known.T
        distances = squared_lengths(features)[:, np.newaxis] + self.lengths - 2 * products
        return np.exp(-np.maximum(distances, 0).astype(np.float64) / self.spread)


@dataclass(frozen=True)
class Svm:
    """A fitted machine."""

    kernel: Kernel
    weights: np.ndarray  # of the known rows, float64 (n,)
    offset: float

    def scores(self, features: np.ndarray) -> np.ndarray:
        """How abnormal features (N, width) are, float64 (N,): above 0 more likely so than not."""
        return self.kernel(features) @ self.weights + self.offset


def fit_svm(
    features: np.ndarray, abnormal: np.ndarray, judged: np.ndarray, judged_abnormal: np.ndarray
) -> Svm:
    """Learn from features (n, width) and whether each is abnormal, boolean (n,).

    Classes are balanced, and both must be there. Of the penalties, the one with the highest AUROC
    on the judged rows counts, of equal ones the strongest; with one kind only among those, the
    strongest.
    """
    kernel = Kernel.of(features)
    similar, theirs = kernel(features), kernel(judged)
    both, best, most = len(np.unique(judged_abnormal)) == 2, None, -np.inf
    for strength in STRENGTHS:
        # Without a seed it would draw from NumPy's global one.
        model = SVC(C=strength, kernel="precomputed", class_weight="balanced", random_state=0)
        model.fit(similar, abnormal)
        weights = np.zeros(len(features))
        weights[model.support_] = model.dual_coef_[0]
        found = Svm(kernel, weights, float(model.intercept_[0]))
        scores = theirs @ weights + found.offset
        right = roc_auc_score(judged_abnormal, scores) if both else 0.0
        if right > most:
            best, most = found, right
    return best


def squared_lengths(rows: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", rows, rows)
