"""What is no finding: one more class of a network, that no label ever names.

A head that has seen annotated boxes alone takes the gap between two teeth for a finding. It learns
the background as a class of its own, the last one. Around a delivered box there surely is a tooth,
so the background is out of the question there; at a found place it is not.
"""

import numpy as np

NAME = "(background)"  # among class names; delivered labels have no parentheses of their own
SMALLEST = 1e-7  # probability that is divided by instead of zero


def split_background(probabilities: np.ndarray, class_count: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (N, class_count) given that it is no background, and that it is some (N,).

    `probabilities` are (N, class_count), then no background was learned, or one column more.
    """
    if probabilities.shape[1] == class_count:
        return probabilities, np.zeros(len(probabilities), probabilities.dtype)
    known = probabilities[:, :class_count]
    share = known.sum(axis=1, keepdims=True)
    return known / np.maximum(share, SMALLEST), probabilities[:, class_count]


def p_abnormal(
    known: np.ndarray, background: np.ndarray, normal: int, found: np.ndarray
) -> np.ndarray:
    """Probability of any class but the normal one (N,), from what `apart` gives.

    At found places (boolean, N) it counts that there may be nothing at all.
    """
    return (1 - known[:, normal]) * np.where(found, 1 - background, 1).astype(known.dtype)
