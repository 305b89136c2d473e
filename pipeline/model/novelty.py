"""Novelty scores of embeddings: how far they are from normal ones, and the cell that differs most.

Embeddings are taken as the trunk's map, float16 (N, row, column, channel). Of every cell only the
direction counts, the share that each channel has in it: exposure and density change its length. By
length too, a dark finding made a crop look less novel in 4 of 5 planted ones; by direction alone,
more novel in 4 of 5. Channels are then put on one scale. Both methods give a map of distances:

- gaussian: a mean and a covariance of the channels for every cell, and the Mahalanobis distance
  from it, so that each cell has its own model of normal. Source: PaDiM, Defard et al.,
  arXiv:2011.08785; the covariance is shrunk as Chen et al. (OAS), arXiv:0907.4698, propose, which
  takes no more than the moments.
- neighbour: the distance to the nearest of a few hundred patches that represent all normal ones,
  of any cell. A patch is the mean over a cell and its neighbours. Source: PatchCore, Roth et al.,
  arXiv:2106.08265. Its random projection is left out: it saves little for tens of channels.

The score is the largest cell of such a map, its peak, or the mean over its cells. A vector is a map
of one cell. AUROC over five grouped folds of 601 real crops, fitted to the healthy ones of the
others:

    trunk                                   gaussian: peak, mean    neighbour: peak, mean
    phantoms, 16×16×32                                0.64  0.56                0.46  0.38
    EfficientNet-lite0 block11, 16×16×112             0.86  0.88                0.64  0.73
    EfficientNet-lite0 block15, 8×8×192               0.84  0.87                0.71  0.71
    the same as mean+max+middle                       0.77                      0.72

By length as well as direction, the gaussian's means are 0.80 after block11 and 0.82 after block15.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from threadpoolctl import ThreadpoolController

from pipeline.model.float16 import as_float32

# For many small products: their threads wait for each other longer than they compute once another
# process is busy. On such a machine the distances of 2,880 crops to 500 patches took 0.5 CPU
# seconds in one thread and 4.7 in two.
one_thread = ThreadpoolController().wrap(limits=1, user_api="blas")
LEAST_LENGTH = 0.05  # of a cell, as a share of the mean over its map
MIDDLE = 5 / 8  # of a map's edge
# Scored at a time, whatever their number, so that a row's scores do not depend on the others:
# products of other sizes differ in their last bits. The distances of so few stay in the processor's
# cache, which takes half the time of 32 rows.
ROWS = 4
Window = tuple[slice, slice]  # rows and columns of a map
Summary = Literal["peak", "mean"]


@dataclass(frozen=True)
class Novelty:
    """A fitted model of normal embeddings. All arrays but the last two are float32."""

    scale: np.ndarray  # (channel,): factor that puts a channel on the common scale
    mean: np.ndarray  # (row, column, channel), scaled
    whitening: np.ndarray  # (row, column, channel, channel): its squares are squared distances
    coreset: np.ndarray  # (patches, channel), scaled
    channels: np.ndarray | None = None  # (channel,): indices of those that are kept; None: all
    summary: np.ndarray | None = None  # a Summary as an array without axes; None: peak

    @one_thread
    def score(self, maps: np.ndarray, whole: np.ndarray | None = None) -> "Scores":
        """Score maps (N, row, column, channel).

        Where `whole` (N,) is False only the middle of the map counts; other cells have distance 0.
        """
        count, rows, columns, _ = maps.shape
        whole = np.ones(count, bool) if whole is None else whole
        gaussian, neighbour = np.zeros((2, count, rows, columns), np.float32)
        inner = middle(rows), middle(columns)
        for window, chosen in (((slice(0, rows), slice(0, columns)), whole), (inner, ~whole)):
            numbers = np.flatnonzero(chosen)
            for start in range(0, len(numbers), ROWS):
                some = numbers[start : start + ROWS]
                found = self._score(np.resize(maps[some], (ROWS, *maps.shape[1:])), window)
                for target, distances in zip((gaussian, neighbour), found, strict=True):
                    target[some, *window] = distances[: len(some)]
        return Scores(gaussian, neighbour, whole, str(self.summary or "peak"))

    def _score(self, maps: np.ndarray, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Distances of the cells in the window, (N, row, column), of ROWS maps."""
        maps = maps if self.channels is None else maps[..., self.channels]
        # The cells of the window and those around it, which patches take too.
        scaled = directions(maps, widened(window, maps.shape[1:3])) * self.scale
        # One small product per cell: (cell, N, channel) @ (cell, channel, channel).
        centred = np.moveaxis(scaled[:, 1:-1, 1:-1] - self.mean[window], 0, -2)
        whitened = centred @ self.whitening[window]
        gaussian = np.moveaxis(np.sqrt((whitened**2).sum(axis=-1)), -1, 0)
        return gaussian, nearest(patches(scaled), self.coreset)


@dataclass(frozen=True)
class Scores:
    """Maps of distances, float32 (N, row, column)."""

    gaussian_map: np.ndarray
    neighbour_map: np.ndarray
    whole: np.ndarray  # (N,): whether all cells count, or those of the middle
    summary: Summary

    @property
    def gaussian(self) -> np.ndarray:
        """The score (N,) that summarises the map."""
        return self._summarise(self.gaussian_map)

    @property
    def neighbour(self) -> np.ndarray:
        return self._summarise(self.neighbour_map)

    def _summarise(self, distances: np.ndarray) -> np.ndarray:
        if self.summary == "peak":
            return distances.max(axis=(1, 2))
        _, rows, columns = distances.shape
        inner = distances[:, middle(rows), middle(columns)].mean(axis=(1, 2))
        return np.where(self.whole, distances.mean(axis=(1, 2)), inner)

    @property
    def peaks(self) -> tuple[np.ndarray, np.ndarray]:
        """Row and column (N,) of the gaussian's largest cell."""
        flat = self.gaussian_map.reshape(len(self.gaussian_map), -1).argmax(axis=1)
        return np.unravel_index(flat, self.gaussian_map.shape[1:])


def directions(maps: np.ndarray, cells: tuple = ()) -> np.ndarray:
    """Divide cells by their length, float32; near-empty ones stay short instead of random.

    `cells` indexes rows and columns of those that are returned; what is near-empty depends on the
    whole map.
    """
    maps = as_float32(maps)
    lengths = np.linalg.norm(maps, axis=-1, keepdims=True)
    floor = LEAST_LENGTH * lengths.mean(axis=(1, 2), keepdims=True)
    lengths = np.maximum(lengths + floor, np.finfo(np.float32).tiny)
    return maps[:, *cells] / lengths[:, *cells]


def middle(count: int) -> slice:
    """Rows or columns, of `count`, that show the box or tooth itself, not its surroundings.

    A fixed share, since the size of an annotated box reveals its label. On 601 real crops the
    middle alone gave the gaussian an AUROC of 0.65 instead of 0.60.
    """
    inside = np.flatnonzero(np.abs(np.arange(count) + 0.5 - count / 2) < MIDDLE * count / 2)
    return slice(int(inside[0]), int(inside[-1]) + 1)


def widened(window: Window, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Index the cells of a window and one more on all sides; beyond an edge its own cells again."""
    return np.ix_(
        *(
            np.clip(np.arange(each.start - 1, each.stop + 1), 0, count - 1)
            for each, count in zip(window, shape, strict=True)
        )
    )


def patches(maps: np.ndarray) -> np.ndarray:
    """Average every cell, except those at the edges, with its eight neighbours."""
    rows, columns = maps.shape[1] - 2, maps.shape[2] - 2
    shifts = ((row, column) for row in range(3) for column in range(3))
    return sum(maps[:, r : r + rows, c : c + columns] for r, c in shifts) / 9


def nearest(maps: np.ndarray, coreset: np.ndarray) -> np.ndarray:
    """Distance of every patch (N, row, column, channel) to the nearest in (patches, channel)."""
    flat = maps.reshape(-1, maps.shape[-1])
    # Squared lengths of the coreset are one more channel, which saves a pass over the distances.
    extended = np.column_stack([flat, np.ones(len(flat), flat.dtype)])
    squared = extended @ np.column_stack([-2 * coreset, (coreset**2).sum(axis=1)]).T
    least = squared.min(axis=1) + (flat**2).sum(axis=1)
    return np.sqrt(np.maximum(least, 0)).reshape(maps.shape[:-1])
