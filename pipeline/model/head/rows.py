"""Embeddings to train on: read block by block, shuffled in a pool of bounded size, standardised.

Embeddings are float16 (rows, width) and stay so until a batch is needed as float32. The memory in
use does not grow with the number of rows; labels, sides and other small facts are arrays in memory,
one value per row, and rows are identified by their number in those.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pipeline.model.float16 import as_float32

BLOCK = 1024  # rows of a block of `InMemoryEmbeddings`
# Rows among which a batch is drawn: 128 MiB of embeddings of 8192 values.
POOL = 8192
# A feature that hardly varied in training must not dominate when it does later: deviations below
# this share of the mean deviation count as that share.
LEAST_DEVIATION = 0.1

Grid = tuple[int, int, int]  # (row, column, channel) of an embedding before it is flattened
Block = tuple[np.ndarray, np.ndarray]  # row numbers (n,) and their embeddings float16 (n, width)


class Embeddings(Protocol):
    """Embeddings of N rows, in memory or in Parquet."""

    width: int

    def blocks(
        self, mask: np.ndarray, random: np.random.Generator | None = None
    ) -> Iterator[Block]:
        """Yield every row of `mask` (N,) once; in random order when `random` is given."""


@dataclass(frozen=True)
class InMemoryEmbeddings:
    """Embeddings in memory, float16 (N, width)."""

    array: np.ndarray

    @property
    def width(self) -> int:
        return self.array.shape[1]

    def blocks(
        self, mask: np.ndarray, random: np.random.Generator | None = None
    ) -> Iterator[Block]:
        """See `Embeddings`; with `random`, all orders of the rows are equally likely."""
        numbers = np.flatnonzero(mask)
        if random:
            numbers = random.permutation(numbers)
        for start in range(0, len(numbers), BLOCK):
            some = numbers[start : start + BLOCK]
            yield some, self.array[some]


@dataclass(frozen=True)
class ConcatenatedEmbeddings:
    """Two sources as one: the `count` rows of the first, then those of the second."""

    first: Embeddings
    count: int
    second: Embeddings

    @property
    def width(self) -> int:
        return self.first.width

    def blocks(
        self, mask: np.ndarray, random: np.random.Generator | None = None
    ) -> Iterator[Block]:
        """See `Embeddings`; with `random`, blocks of both alternate at random."""
        masks = [mask[: self.count], mask[self.count :]]
        remaining = np.array([each.sum() for each in masks], float)
        streams = [self.first.blocks(masks[0], random), self.second.blocks(masks[1], random)]
        while remaining.any():
            source = (
                random.choice(2, p=remaining / remaining.sum())
                if random
                else int(remaining[0] == 0)
            )
            numbers, rows = next(streams[source])
            remaining[source] -= len(numbers)
            yield numbers + source * self.count, rows


@dataclass(frozen=True)
class Background:
    """Embeddings of N places without a tooth, and the mask (N,) of those to learn from."""

    embeddings: Embeddings
    learn: np.ndarray


@dataclass(frozen=True)
class HeadData:
    """What a head is trained on: N labelled embeddings, and background if there is any."""

    embeddings: Embeddings
    classes: np.ndarray  # numbers into `class_names` (N,)
    class_names: tuple[str, ...]  # the normal class first
    train: np.ndarray  # boolean (N,)
    validation: np.ndarray  # boolean (N,)
    grid: Grid | None = None  # None for embeddings that are no map
    background: Background | None = None


def shuffled_batches(
    source: Embeddings, mask: np.ndarray, size: int, random: np.random.Generator
) -> Iterator[Block]:
    """Yield one epoch in batches of `size`, all full but the last: every row of `mask` once.

    Blocks come in random order into a pool of `POOL` rows or a block more, and batches are drawn
    from the pool, so a batch mixes rows that are stored far apart without reading all of them.
    """
    pool: list[Block] = []
    for block in source.blocks(mask, random):
        pool.append(block)
        if sum(len(numbers) for numbers, _ in pool) >= POOL:
            pool = [(yield from _drawn(pool, size, random))]
    numbers, rows = yield from _drawn(pool, size, random)
    if len(numbers):
        yield numbers, rows


def over_rows(
    source: Embeddings, mask: np.ndarray, function: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Apply `function` to the rows of `mask` block by block; the results in order of the rows.

    `function` takes embeddings (n, width) and returns an array of n rows.
    """
    numbers, results = [], []
    for some, rows in source.blocks(mask):
        numbers.append(some)
        results.append(function(rows))
    return np.concatenate(results)[np.argsort(np.concatenate(numbers))]


def _drawn(pool: list[Block], size: int, random: np.random.Generator):
    """Yield full batches from the pool; return the remaining rows, fewer than `size`."""
    numbers = np.concatenate([numbers for numbers, _ in pool] or [np.zeros(0, int)])
    rows = np.concatenate([rows for _, rows in pool]) if pool else np.zeros((0, 0), np.float16)
    pool.clear()
    order = random.permutation(len(numbers))
    full = len(numbers) - len(numbers) % size
    for start in range(0, full, size):
        some = order[start : start + size]
        yield numbers[some], rows[some]
    return numbers[order[full:]], rows[order[full:]]


@dataclass(frozen=True)
class Standardisation:
    """Scaling of features to mean 0 and deviation 1 over the training rows."""

    mean: np.ndarray  # (width,) float64
    scale: np.ndarray  # (width,) float64, one over the deviation

    @classmethod
    def of(
        cls, source: Embeddings, learn: np.ndarray, channels: int | None = None
    ) -> "Standardisation":
        """Measure the rows of the mask `learn` (N,) in one pass.

        With `channels`, the last axis of the map, all cells of a channel share one mean and
        deviation; without, every value has its own.
        """
        group = channels or source.width
        total, squares, count = np.zeros(group), np.zeros(group), 0
        for _, rows in source.blocks(learn):
            values = rows.astype(np.float64).reshape(-1, group)
            total += values.sum(axis=0)
            squares += (values**2).sum(axis=0)
            count += len(values)
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
        least = LEAST_DEVIATION * deviation.mean()
        cells = source.width // group
        return cls(np.tile(mean, cells), np.tile(1 / np.maximum(deviation, least or 1), cells))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Standardise embeddings (n, width) to float32."""
        found = as_float32(rows)
        # In place, since new memory took more time than the arithmetic.
        found -= self.mean.astype(np.float32)
        found *= self.scale.astype(np.float32)
        return found

    def folded_into(self, weights: list[np.ndarray]) -> list[np.ndarray]:
        """Return weights that do to raw embeddings what `weights` do to standardised ones.

        ((x - m)·s)·W + b = x·(s·W) + (b - (m·s)·W), with s along the rows of W.
        """
        kernel, bias, *others = weights
        kernel = kernel * self.scale[:, np.newaxis]
        return [kernel.astype(np.float32), (bias - self.mean @ kernel).astype(np.float32), *others]
