"""Embeddings as learning reads them: block by block, shuffled within bounds, standardised.

Embeddings are float16 (rows, width) and stay so until a batch is needed as float32. What is held
at a time does not grow with the number of rows; labels, sides and other small facts are arrays in
memory, one value per row, and rows are known by their number in those.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

BLOCK = 1024  # rows that `Held` gives at a time
# Rows among which a batch is drawn: 128 MiB of embeddings of 8192 values.
POOL = 8192
# A feature that hardly varied in training must not shout when it does later: deviations below
# this share of the mean deviation count as that share.
LEAST_DEVIATION = 0.1

Block = tuple[np.ndarray, np.ndarray]  # row numbers (n,) and their embeddings float16 (n, width)


class Embeddings(Protocol):
    """Embeddings of many rows, wherever they lie."""

    width: int

    def blocks(
        self, wanted: np.ndarray, random: np.random.Generator | None = None
    ) -> Iterator[Block]:
        """Every row of the mask `wanted` (N,) once; in another order when `random` is given."""


@dataclass(frozen=True)
class InMemoryEmbeddings:
    """Embeddings that are in memory, float16 (N, width)."""

    array: np.ndarray

    @property
    def width(self) -> int:
        return self.array.shape[1]

    def blocks(
        self, wanted: np.ndarray, random: np.random.Generator | None = None
    ) -> Iterator[Block]:
        """See `Embeddings`; with `random`, any order of the rows is as likely as any other."""
        numbers = np.flatnonzero(wanted)
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
        self, wanted: np.ndarray, random: np.random.Generator | None = None
    ) -> Iterator[Block]:
        """See `Embeddings`; with `random`, blocks of both take turns by chance."""
        parts = [wanted[: self.count], wanted[self.count :]]
        left = np.array([part.sum() for part in parts], float)
        streams = [self.first.blocks(parts[0], random), self.second.blocks(parts[1], random)]
        while left.any():
            at = random.choice(2, p=left / left.sum()) if random else int(left[0] == 0)
            numbers, rows = next(streams[at])
            left[at] -= len(numbers)
            yield numbers + at * self.count, rows


@dataclass(frozen=True)
class Background:
    """Rows without a finding, and which of them (N,) a head learns from."""

    embeddings: Embeddings
    learn: np.ndarray


def shuffled_batches(
    source: Embeddings, wanted: np.ndarray, size: int, random: np.random.Generator
) -> Iterator[Block]:
    """One epoch in batches of `size`, all full but the last: every wanted row once.

    Blocks come in random order into a pool of `POOL` rows or a block more, and batches are drawn
    from the pool, so a batch mixes rows that lie far apart without all being held.
    """
    pool: list[Block] = []
    for block in source.blocks(wanted, random):
        pool.append(block)
        if sum(len(numbers) for numbers, _ in pool) >= POOL:
            pool = [(yield from _drawn(pool, size, random))]
    numbers, rows = yield from _drawn(pool, size, random)
    if len(numbers):
        yield numbers, rows


def over_rows(
    source: Embeddings, wanted: np.ndarray, work: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """What `work` makes of the wanted rows, in their order, block by block.

    `work` takes embeddings (n, width) and gives an array of n rows.
    """
    numbers, results = [], []
    for some, rows in source.blocks(wanted):
        numbers.append(some)
        results.append(work(rows))
    return np.concatenate(results)[np.argsort(np.concatenate(numbers))]


def _drawn(pool: list[Block], size: int, random: np.random.Generator):
    """Full batches from the pool; returns the rows that are left, fewer than `size`."""
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
    """What makes features of mean 0 and deviation 1 over the training rows."""

    mean: np.ndarray  # (width,) float64
    scale: np.ndarray  # (width,) float64, one over the deviation

    @classmethod
    def of(
        cls, source: Embeddings, learn: np.ndarray, channels: int | None = None
    ) -> "Standardisation":
        """Measure the rows of the mask `learn` in one pass.

        With `channels`, the last axis of the map, every cell of a channel gets the same mean and
        deviation; else every value its own.
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
        """Standardised embeddings, float32."""
        mean, scale = self.mean.astype(np.float32), self.scale.astype(np.float32)
        return (rows.astype(np.float32) - mean) * scale

    def inverse(self, rows: np.ndarray) -> np.ndarray:
        """Raw embeddings of standardised rows, float32."""
        return (rows / self.scale + self.mean).astype(np.float32)

    def folded_into(self, weights: list[np.ndarray]) -> list[np.ndarray]:
        """Weights that do to raw embeddings what `weights` did to standardised ones.

        ((x - m)·s)·W + b = x·(s·W) + (b - (m·s)·W), with s along the rows of W.
        """
        kernel, bias, *others = weights
        kernel = kernel * self.scale[:, np.newaxis]
        return [kernel.astype(np.float32), (bias - self.mean @ kernel).astype(np.float32), *others]

    def folded_out_of(self, weights: list[np.ndarray]) -> list[np.ndarray]:
        """Weights that do to standardised rows what `weights` do to raw embeddings."""
        kernel, bias, *others = weights
        free = kernel / self.scale[:, np.newaxis]
        return [free.astype(np.float32), (bias + self.mean @ kernel).astype(np.float32), *others]
