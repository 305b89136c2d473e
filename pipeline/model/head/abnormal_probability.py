"""Background, the class of places without a tooth, and how it enters the predictions of a head.

A head that has seen annotated boxes alone takes the gap between two teeth for a finding. So it
learns the background as one more class, the last one, which no label names. Around a delivered box
there is a tooth, so the background is ruled out there; at a found place it is not.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

NAME = "(background)"  # among class names; delivered labels have no parentheses
FOUND = "tooth"  # region kind of a place that the finder chose, where there may be no tooth


class Predictions(NamedTuple):
    """Predictions of a head for N crops."""

    probabilities: np.ndarray  # (N, classes), given that there is a tooth; rows sum to 1
    p_abnormal: np.ndarray  # (N,), of any class but the normal one


def to_predictions(
    outputs: np.ndarray, class_count: int, normal: int, region_kinds: Sequence[str]
) -> Predictions:
    """Predictions from the softmax outputs of a head; of the same float type.

    `outputs` are (N, class_count), or one column more for the background; `normal` is the number
    of the normal class, `region_kinds` has one text per row. Everything that ranks, flags or
    measures crops takes `p_abnormal` from here: at a found place it includes the probability that
    there is a tooth at all.
    """
    probabilities, background = split_background(outputs, class_count)
    found = np.asarray(region_kinds, object) == FOUND
    tooth = np.where(found, 1 - background, 1).astype(outputs.dtype)
    return Predictions(probabilities, (1 - probabilities[:, normal]) * tooth)


def split_background(outputs: np.ndarray, class_count: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (N, class_count) given that it is not background, and that it is (N,).

    `outputs` are (N, class_count) of a head that learned no background, or have one column more.
    Where the softmax leaves nothing to the classes in float32, each gets the same probability.
    """
    if outputs.shape[1] == class_count:
        return outputs, np.zeros(len(outputs), outputs.dtype)
    classes = outputs[:, :class_count]
    share = classes.sum(axis=1, keepdims=True)
    # Not a larger bound: a head is certain of the background to 1e-9 at many found places.
    nothing = share < np.finfo(outputs.dtype).tiny
    probabilities = np.where(nothing, 1 / class_count, classes / np.where(nothing, 1, share))
    return probabilities.astype(outputs.dtype), outputs[:, class_count]
