"""Convolutions that unroll into dense layers, and are found again in them.

The kernel of a dense layer connects every value of a map (row, column, channel) with every value of
the next map. Where a convolution of 3 × 3 and stride 2 was unrolled into it, the same weights stand
at every place, and all others are zero. Found again, they predict a crop with 0.9 instead of 18.9
million multiply-adds (default head).
"""

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from pipeline.model.head.dense import DenseNetwork
from pipeline.model.head.rows import Grid

SIZE, STRIDE = 3, 2  # of every convolution; its padding is "same"


def halved(grid: Grid, filters: int) -> Grid:
    """The map after a convolution."""
    return -(-grid[0] // STRIDE), -(-grid[1] // STRIDE), filters


def filters_of(grid: Grid, units: Sequence[int]) -> list[int] | None:
    """Filters of the convolutions that give layers of `units` values; None when none do."""
    found = []
    for size in units:
        rows, columns, _ = grid = halved(grid, 0)
        if size % (rows * columns):
            return None
        found.append(size // (rows * columns))
    return found or None


def unroll_kernel(tied: np.ndarray, grid: Grid) -> np.ndarray:
    """The dense kernel (in, out) that does to flattened maps of `grid` what a convolution does.

    `tied` is the kernel of the convolution, (3, 3, channel, filter).
    """
    after = halved(grid, tied.shape[-1])
    dense = np.zeros((*grid, *after), tied.dtype)
    for tap, places in _connections(grid):
        dense[places] = tied[tap]
    return dense.reshape(np.prod(grid), np.prod(after))


def tied_kernels(head: DenseNetwork, grid: Grid) -> list[np.ndarray]:
    """Kernels (3, 3, channel, filter) of the first layers that are unrolled convolutions.

    Empty for a head whose first layer is none.
    """
    found: list[np.ndarray] = []
    if np.prod(grid) != head.width:
        return found  # a head of another trunk, which is refused where it predicts
    for kernel in head.kernels[:-1]:
        filters = filters_of(grid, kernel.shape[1:])
        tied = _tied(kernel, grid, filters[0]) if filters else None
        if tied is None:
            break
        found.append(tied)
        grid = halved(grid, filters[0])
    return found


def _tied(kernel: np.ndarray, grid: Grid, filters: int) -> np.ndarray | None:
    """The kernel of the convolution that `kernel` was unrolled from, if it was and has fewer."""
    dense = kernel.reshape(*grid, *halved(grid, filters))
    tied, connected = np.zeros((SIZE, SIZE, grid[-1], filters), kernel.dtype), 0
    if tied.size >= kernel.size:
        return None
    for tap, places in _connections(grid):
        found = dense[places]
        if not found.size:
            continue
        tied[tap] = found[0, 0]
        if (found != tied[tap]).any():
            return None
        connected += np.count_nonzero(found)
    return tied if connected == np.count_nonzero(kernel) else None


def _connections(grid: Grid) -> Iterator[tuple[tuple[int, int], tuple]]:
    """Every tap of a kernel, and the index of what it connects in (*map before, *map after).

    The index gives (row after, column after, channel, filter).
    """
    rows, columns = ([_connected(size, tap) for tap in range(SIZE)] for size in grid[:2])
    for down, across in product(range(SIZE), repeat=2):
        (row, row_after), (column, column_after) = rows[down], columns[across]
        before = row[:, np.newaxis], column, slice(None)
        yield (down, across), (*before, row_after[:, np.newaxis], column_after)


def _connected(size: int, tap: int) -> tuple[np.ndarray, np.ndarray]:
    """Places before and after, along one side of a map, that one tap of a kernel connects."""
    after = np.arange(-(-size // STRIDE))
    padding = max(0, (len(after) - 1) * STRIDE + SIZE - size) // 2
    before = after * STRIDE + tap - padding
    inside = (before >= 0) & (before < size)
    return before[inside], after[inside]
