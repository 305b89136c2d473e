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
    return explain_rows(head, embedding[np.newaxis], normal, grid)[0]


def explain_rows(
    head: DenseNetwork, embeddings: np.ndarray, normal: int, grid: tuple[int, int, int]
) -> list[Explanation]:
    """Explain the most probable finding of every embedding (N, width), as `explain`.

    Computed in the float type of the head's kernels.
    """
    if not head.width == embeddings.shape[1] == np.prod(grid):
        raise ArtifactError(
            f"The head takes embeddings of {head.width} values, this one has "
            f"{embeddings.shape[1]} and the trunk's map is {' × '.join(map(str, grid))}. Use a "
            "head and trunk that were promoted together."
        )
    values = embeddings.astype(head.kernels[0].dtype)
    findings, gradients, constants = linearise(head, values, normal)
    cells = (gradients * values).reshape(-1, *grid).sum(axis=3, dtype=np.float64)
    return [
        Explanation(int(finding), mine, float(constant))
        for finding, mine, constant in zip(findings, cells, constants, strict=True)
    ]


def linearise(
    head: DenseNetwork, values: np.ndarray, normal: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Linearise the logit of the most probable finding minus the normal one around rows.

    For embeddings (N, width): findings (N,), gradients (N, width) and constants (N,).
    """
    active = []
    for kernel, bias in zip(head.kernels[:-1], head.biases[:-1], strict=True):
        # In this order of factors two threads of OpenBLAS take a third of the time for 48 rows.
        before = (kernel.T @ values.T).T + bias
        active.append(before > 0)
        values = np.maximum(before, 0)
    kernel, bias = head.kernels[-1], head.biases[-1]
    logits = values @ kernel + bias
    findings = np.where(np.arange(len(bias)) == normal, -np.inf, logits).argmax(axis=1)
    gradients = kernel.T[findings] - kernel[:, normal]
    constants = bias[findings] - bias[normal]
    for kernel, bias, alive in zip(
        head.kernels[-2::-1], head.biases[-2::-1], reversed(active), strict=True
    ):
        gradients = np.where(alive, gradients, 0)
        constants = constants + gradients @ bias
        gradients = (kernel @ gradients.T).T
    return findings, gradients, constants
