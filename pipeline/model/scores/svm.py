"""Support-vector machine with a Gaussian kernel that separates abnormal from normal features.

Features are float32 (n, width), standardised by the caller. Nothing here imports Keras or changes a
global seed.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.svm import SVC

STRENGTHS = (0.3, 1, 3, 10)  # scikit-learn's C
MOST_ROWS = 4000  # to learn from, so that large stores do not take hours


@dataclass(frozen=True)
class Kernel:
    """Gaussian kernel to the training rows (n, width): exp(-d²/s) of the distance d.

    s is the number of features times their variance, scikit-learn's `gamma="scale"`. Computed
    here because libsvm takes a minute where a product of matrices takes a second, and
    scikit-learn's `rbf_kernel`, which converts float32 to float64, 0.9 CPU seconds instead of 0.16
    for 128 rows to 444.
    """

    rows: np.ndarray  # float32 (n, width)
    lengths: np.ndarray  # squared, float32 (n,)
    spread: float

    @classmethod
    def of(cls, rows: np.ndarray) -> "Kernel":
        """The kernel to these rows."""
        return cls(rows, squared_lengths(rows), float(rows.shape[1] * rows.var()) or 1.0)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Evaluate at features (N, width), float64 (N, n)."""
        products = features @ self.rows.T
        distances = squared_lengths(features)[:, np.newaxis] + self.lengths - 2 * products
        return np.exp(-np.maximum(distances, 0).astype(np.float64) / self.spread)


@dataclass(frozen=True)
class Svm:
    """A fitted support-vector machine."""

    kernel: Kernel
    weights: np.ndarray  # of the training rows, float64 (n,)
    offset: float

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Decision function of features (N, width), float64 (N,): above 0 is abnormal."""
        return self.kernel(features) @ self.weights + self.offset


def fit_svm(
    features: np.ndarray,
    abnormal: np.ndarray,
    validation: np.ndarray,
    validation_abnormal: np.ndarray,
) -> Svm:
    """Fit on features (n, width) and whether each is abnormal, boolean (n,).

    Classes are balanced, and both must occur. Of the penalties, the one with the highest AUROC on
    the validation rows is chosen, of equal ones the strongest; with one kind only among those, the
    strongest.
    """
    kernel = Kernel.of(features)
    of_training, of_validation = kernel(features), kernel(validation)
    both, best, highest = len(np.unique(validation_abnormal)) == 2, None, -np.inf
    for strength in STRENGTHS:
        # Without a seed it draws from NumPy's global one.
        model = SVC(C=strength, kernel="precomputed", class_weight="balanced", random_state=0)
        model.fit(of_training, abnormal)
        weights = np.zeros(len(features))
        weights[model.support_] = model.dual_coef_[0]
        fitted = Svm(kernel, weights, float(model.intercept_[0]))
        scores = of_validation @ weights + fitted.offset
        auroc = roc_auc_score(validation_abnormal, scores) if both else 0.0
        if auroc > highest:
            best, highest = fitted, auroc
    return best


def squared_lengths(rows: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", rows, rows)
