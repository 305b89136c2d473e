"""Exact heat map of a head's prediction for one embedding, from the stored row alone.

It explains a finding against the normal class: the difference of their two logits, which is the
logarithm of their odds. A head with ReLU is linear around one embedding, so with g the gradient of
that difference there,

    difference = Σ g·x over all values  +  one constant of that row, made of the biases

and summing g·x over the channels of a cell gives one number per cell of the trunk's map. The
equality is exact, but for the rounding of float64. Positive cells are evidence for the finding,
negative ones for normal. Source: "gradient × input", Shrikumar et al., arXiv:1605.01713; for
networks with ReLU it equals layer-wise relevance propagation (Ancona et al., arXiv:1711.06104).
"""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import ArtifactError
from pipeline.model.head.dense import DenseNetwork


@dataclass(frozen=True)
class Explanation:
    """A difference of two logits as a sum over the cells of a map."""

    finding: int  # class number; against the normal class
    cells: np.ndarray  # float64 (row, column)
    constant: float  # of this row: the contribution of the biases

    @property
    def difference(self) -> float:
        """The finding's logit minus the normal one's, as the sum of the map."""
        return float(self.cells.sum() + self.constant)


def explain(
    head: DenseNetwork, embedding: np.ndarray, normal: int, grid: tuple[int, int, int]
) -> Explanation:
    """Explain the most probable finding against class `normal`, for one embedding (width,).

    `grid` is the shape of the trunk's map, (row, column, channel). Raises ArtifactError when the
    head expects another width.
    """
    if not head.width == len(embedding) == np.prod(grid):
        raise ArtifactError(
            f"The head takes embeddings of {head.width} values, this one has {len(embedding)} and "
            f"the trunk's map is {' × '.join(map(str, grid))}. Use a head and trunk that were "
            "promoted together."
        )
    logits = head.logits(embedding)
    finding = int(np.argmax(np.where(np.arange(len(logits)) == normal, -np.inf, logits)))
    gradient, constant = linearise(head, embedding, finding, normal)
    cells = (gradient * embedding.astype(np.float64)).reshape(grid).sum(axis=2)
    return Explanation(finding, cells, constant)


def linearise(
    head: DenseNetwork, embedding: np.ndarray, finding: int, normal: int
) -> tuple[np.ndarray, float]:
    """Gradient (width,) and constant of the difference of two logits around one embedding."""
    value, active = embedding.astype(np.float64), []
    for kernel, bias in zip(head.kernels[:-1], head.biases[:-1], strict=True):
        before = value @ kernel + bias
        active.append(before > 0)
        value = np.maximum(before, 0)
    gradient = head.kernels[-1][:, finding] - head.kernels[-1][:, normal]
    constant = head.biases[-1][finding] - head.biases[-1][normal]
    for kernel, bias, alive in zip(
        head.kernels[-2::-1], head.biases[-2::-1], reversed(active), strict=True
    ):
        gradient = np.where(alive, gradient, 0)
        constant += bias @ gradient
        gradient = kernel @ gradient
    return gradient, float(constant)
