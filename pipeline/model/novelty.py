"""Novelty scores of embeddings: how far they are from normal ones, and the cell that differs most.

Embeddings are taken as the trunk's map, float16 (N, row, column, channel). Of every cell only the
direction counts, the share that each channel has in it: exposure and density change its length. By
length too, a dark finding made a crop look less novel in 4 of 5 planted ones; by direction alone,
more novel in 4 of 5. Channels are then put on one scale. Both methods give a map of distances,
whose largest cell is the score:

- gaussian: a mean and a covariance of the channels for every cell, and the Mahalanobis distance
  from it, so that each cell has its own model of normal. Source: PaDiM, Defard et al.,
  arXiv:2011.08785; the covariance is shrunk as Chen et al. (OAS), arXiv:0907.4698, propose, which
  takes no more than the moments.
- neighbour: the distance to the nearest of a few hundred patches that represent all normal ones,
  of any cell. A patch is the mean over a cell and its neighbours. Source: PatchCore, Roth et al.,
  arXiv:2106.08265. Its random projection is left out: 32 channels are few enough.

Fitting reads every row once, in one pass, and keeps moments and a sample of bounded size.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

# Squared distances count at least this much variance in every direction, in units of a channel's
# mean variance over the map: a corner that was always black must not dominate when it is not.
LEAST_VARIANCE = 0.05
LEAST_DEVIATION = 0.1  # of a channel, as a share of the mean over the channels
LEAST_LENGTH = 0.05  # of a cell, as a share of the mean over its map
MIDDLE = 5 / 8  # of a map's edge
# Patches that represent all normal ones. More find no more: over five grouped folds of 601 real
# crops on the default trunk, the neighbour's AUROC is 0.46 with 500 and 1000, 0.45 with 2000.
CORESET = 500
SAMPLE = 20_000  # patches from which the coreset is chosen; 2.6 MB for 32 channels
# Scored at a time: the 4 MB of distances to 1000 patches stay in the processor's cache, which takes
# half the time of 32 rows.
ROWS = 4


@dataclass(frozen=True)
class Novelty:
    """A fitted model of normal embeddings. All arrays are float32."""

    scale: np.ndarray  # (channel,): factor that puts a channel on the common scale
    mean: np.ndarray  # (row, column, channel), scaled
    whitening: np.ndarray  # (row, column, channel, channel): its squares are squared distances
    coreset: np.ndarray  # (patches, channel), scaled

    def score(self, maps: np.ndarray) -> "Scores":
        """Score maps (N, row, column, channel)."""
        parts = [self._score(maps[start : start + ROWS]) for start in range(0, len(maps), ROWS)]
        empty = np.zeros((0, *maps.shape[1:3]), np.float32)
        return Scores(
            np.concatenate([empty, *(gaussian for gaussian, _ in parts)]),
            np.concatenate([empty, *(neighbour for _, neighbour in parts)]),
        )

    def _score(self, maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scaled = directions(maps) * self.scale
        # One small product per cell: (cell, N, channel) @ (cell, channel, channel).
        whitened = np.moveaxis(scaled - self.mean, 0, -2) @ self.whitening
        gaussian = np.moveaxis(np.sqrt((whitened**2).sum(axis=-1)), -1, 0)
        return gaussian, nearest(patches(scaled), self.coreset)


@dataclass(frozen=True)
class Scores:
    """Maps of distances, float32 (N, row, column)."""

    gaussian_map: np.ndarray
    neighbour_map: np.ndarray

    def only(self, mask: np.ndarray) -> "Scores":
        """Return the same with distance 0 outside of the boolean `mask` (N, row, column)."""
        return Scores(self.gaussian_map * mask, self.neighbour_map * mask)

    @property
    def gaussian(self) -> np.ndarray:
        """The score (N,): the map's largest cell."""
        return self.gaussian_map.max(axis=(1, 2))

    @property
    def neighbour(self) -> np.ndarray:
        return self.neighbour_map.max(axis=(1, 2))

    @property
    def peaks(self) -> tuple[np.ndarray, np.ndarray]:
        """Row and column (N,) of the gaussian's largest cell."""
        flat = self.gaussian_map.reshape(len(self.gaussian_map), -1).argmax(axis=1)
        return np.unravel_index(flat, self.gaussian_map.shape[1:])


def directions(maps: np.ndarray) -> np.ndarray:
    """Divide cells by their length, float32; near-empty ones stay short instead of random."""
    maps = maps.astype(np.float32)
    lengths = np.linalg.norm(maps, axis=-1, keepdims=True)
    floor = LEAST_LENGTH * lengths.mean(axis=(1, 2), keepdims=True)
    return maps / np.maximum(lengths + floor, np.finfo(np.float32).tiny)


def middle(rows: int, columns: int) -> np.ndarray:
    """Mask (row, column) of the cells that show the box or tooth itself, not its surroundings.

    A fixed share, since the size of an annotated box reveals its label. On 601 real crops the
    middle alone gave the gaussian an AUROC of 0.65 instead of 0.60.
    """
    down, across = (
        np.abs(np.arange(count) + 0.5 - count / 2) < MIDDLE * count / 2 for count in (rows, columns)
    )
    return np.outer(down, across)


def patches(maps: np.ndarray) -> np.ndarray:
    """Average every cell with its eight neighbours; beyond an edge its own cells are repeated."""
    rows, columns = maps.shape[1:3]
    padded = np.pad(maps, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="edge")
    shifts = ((row, column) for row in range(3) for column in range(3))
    return sum(padded[:, r : r + rows, c : c + columns] for r, c in shifts) / 9


def nearest(maps: np.ndarray, coreset: np.ndarray) -> np.ndarray:
    """Distance of every patch (N, row, column, channel) to the nearest in (patches, channel)."""
    flat = maps.reshape(-1, maps.shape[-1])
    # Squared lengths of the coreset are one more channel, which saves a pass over the distances.
    extended = np.column_stack([flat, np.ones(len(flat), flat.dtype)])
    squared = extended @ np.column_stack([-2 * coreset, (coreset**2).sum(axis=1)]).T
    least = squared.min(axis=1) + (flat**2).sum(axis=1)
    return np.sqrt(np.maximum(least, 0)).reshape(maps.shape[:-1])


class Moments:
    """Running mean and scatter of the channels of every cell.

    Source: Chan, Golub & LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances" (1979); sums of squares would lose digits.
    """

    def __init__(self, grid: tuple[int, int, int]):
        rows, columns, channels = grid
        self.count = 0
        self.mean = np.zeros((rows * columns, channels))
        self.scatter = np.zeros((rows * columns, channels, channels))

    def add(self, maps: np.ndarray) -> None:
        """Add maps (n, row, column, channel)."""
        cells = maps.reshape(len(maps), *self.mean.shape).swapaxes(0, 1).astype(np.float64)
        mean = cells.mean(axis=1)
        centred, step = cells - mean[:, np.newaxis], mean - self.mean
        total = self.count + len(maps)
        self.scatter += centred.swapaxes(1, 2) @ centred
        between = step[:, :, np.newaxis] * step[:, np.newaxis]
        self.scatter += between * (self.count * len(maps) / total)
        self.mean += step * (len(maps) / total)
        self.count = total


class Reservoir:
    """A uniform sample of at most `size` rows from a stream of any length."""

    def __init__(self, size: int, seed: int):
        self.size, self._random = size, np.random.default_rng(seed)
        self._keys, self._rows = np.zeros(0), None

    def add(self, rows: np.ndarray) -> None:
        """Add rows (n, values); each gets a random key, and those with the smallest keys stay."""
        keys = np.concatenate([self._keys, self._random.random(len(rows))])
        every = rows if self._rows is None else np.concatenate([self._rows, rows])
        kept = np.sort(np.argsort(keys, kind="stable")[: self.size])
        self._keys, self._rows = keys[kept], every[kept]

    @property
    def rows(self) -> np.ndarray:
        return self._rows


def fit(maps: Iterator[np.ndarray], grid: tuple[int, int, int], size: int, seed: int) -> Novelty:
    """Fit a model on maps (n, row, column, channel) that come in portions.

    The coreset has at most `size` patches. The same rows in the same order and the same seed give
    the same result, whatever the portions.
    """
    moments, sample = Moments(grid), Reservoir(SAMPLE, seed)
    for some in maps:
        some = directions(some)
        moments.add(some)
        sample.add(patches(some).reshape(-1, grid[2]))
    covariance = moments.scatter / moments.count
    deviation = np.sqrt(np.einsum("kcc->kc", covariance).mean(axis=0))
    scale = 1 / np.maximum(deviation, LEAST_DEVIATION * deviation.mean() or 1)
    shrunk = shrink(covariance * np.outer(scale, scale), moments.count)
    whitening = np.linalg.inv(np.linalg.cholesky(shrunk)).swapaxes(1, 2)
    rows, columns, channels = grid
    return Novelty(
        scale.astype(np.float32),
        (moments.mean * scale).reshape(grid).astype(np.float32),
        whitening.reshape(rows, columns, channels, channels).astype(np.float32),
        spread((sample.rows * scale).astype(np.float32), size),
    )


def shrink(covariance: np.ndarray, count: int) -> np.ndarray:
    """Shrink covariances (cells, channel, channel) of `count` rows towards the identity.

    By the oracle approximating shrinkage, as scikit-learn's OAS computes it.
    """
    channels = covariance.shape[-1]
    level = np.einsum("kcc->k", covariance) / channels
    power, squared = (covariance**2).mean(axis=(1, 2)), level**2
    below = (count + 1) * (power - squared / channels)
    share = np.divide(power + squared, below, out=np.ones_like(below), where=below > 0)
    share = np.minimum(share, 1)[:, np.newaxis, np.newaxis]
    target = level[:, np.newaxis, np.newaxis] * np.eye(channels)
    return (1 - share) * covariance + share * target + LEAST_VARIANCE * np.eye(channels)


def spread(rows: np.ndarray, size: int) -> np.ndarray:
    """Choose at most `size` of the rows (n, values), so that none is far from a chosen one.

    The next one is always the farthest from those chosen; the largest distance is at most twice
    that of the best choice. Source: Gonzalez, "Clustering to minimize the maximum intercluster
    distance" (1985).
    """
    chosen, least = [0], np.full(len(rows), np.inf, np.float32)
    squares, distances = (rows**2).sum(axis=1), np.empty_like(least)
    while True:
        latest = rows[chosen[-1]]
        # In place, and doubling the one row instead of all: a fifth of the time.
        np.matmul(rows, -2 * latest, out=distances)
        distances += squares
        distances += latest @ latest
        np.minimum(least, distances, out=least)
        farthest = int(least.argmax())
        if len(chosen) == size or least[farthest] <= 0:
            return rows[chosen]
        chosen.append(farthest)
