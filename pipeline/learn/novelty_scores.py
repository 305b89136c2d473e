"""Novelty as a method of cross-validation: what a trunk ranks first without labels of findings.

See `model.novelty` for the method and its sources.
"""

from dataclasses import replace

import numpy as np

from pipeline.model.fit_novelty import CORESET, fit
from pipeline.model.novelty import Summary

SUMMARIES: tuple[Summary, ...] = ("peak", "mean")


def novelty_scores(
    maps: np.ndarray, normal: np.ndarray, whole: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """The gaussian's scores (N,) of maps, float16 (N, row, column, channel), by each summary.

    It is fitted to the rows of the mask `normal` (N,). Where `whole` (N,) is False only the middle
    of a map counts.
    """
    scores = fit(iter([maps[normal]]), maps.shape[1:], CORESET, seed).score(maps, whole)
    return {
        f"novelty_{summary}": replace(scores, summary=summary).gaussian for summary in SUMMARIES
    }
