"""Drift: permutation tests of whether a batch differs from a reference by more than chance.

The unit is the patient: crops and scans of one patient resemble each other, so counting them would
raise an alarm for every patient with many. A patient is the mean of the known values of their
scans, and whoever is in both samples counts in the batch alone.

Every fact has one distance between batch and reference:

- embeddings: the squared maximum mean discrepancy with a Gaussian kernel, whose width is the median
  distance. Source: Gretton et al., "A kernel two-sample test", JMLR 13 (2012).
- numbers: half the difference of mean ranks, as in Mann and Whitney's test, so that outliers do not
  dominate.
- categories (format, bits, rejected or not): the total variation, half the sum of the
  differences of shares.

The distances that occur by chance are found by permuting whole patients between batch and
reference, with the same permutations for all facts. A finding's p-value is the share of
permutations in which *any* fact is as surprising: so the rate of false alarms is bounded over all
facts together, however they depend on each other, and exact for small samples, ties and rare
categories. Source: Westfall & Young, "Resampling-based multiple testing" (1993), the single-step
minimum of p. For two categories and one file per patient this is Fisher's exact test, sampled.

It assumes that patients of an unchanged clinic are exchangeable. Nights that differ from each other
(one ward, one device) are differences too, and are found.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cache

import numpy as np

from pipeline.model.float16 import as_float32

DIRECTIONS = 64  # that an embedding is projected on
PERMUTATIONS = 9_999  # so that the smallest p-value is 0.0001
CHUNK = 1_000  # permutations in memory at a time; 4 MB for 1000 patients
LEAST_DEVIATION = 1e-6  # below it a direction is constant


@dataclass(frozen=True)
class Sample:
    """Scans: row i of every array is one scan; dictionaries are by fact, alike in all samples."""

    patients: np.ndarray  # texts (n,)
    numbers: dict[str, np.ndarray]  # float (n,), NaN where unknown
    words: dict[str, np.ndarray]  # texts (n,)
    embeddings: dict[str, np.ndarray]  # float (n, k)

    def only(self, mask: np.ndarray) -> "Sample":
        """Return the scans of `mask` (n,)."""
        facts = {field.name: getattr(self, field.name) for field in fields(self)}
        patients = facts.pop("patients")
        cut = {kind: {f: rows[mask] for f, rows in facts[kind].items()} for kind in facts}
        return replace(self, patients=patients[mask], **cut)

    @property
    def count(self) -> int:
        """Number of patients."""
        return len(np.unique(self.patients))


@dataclass(frozen=True)
class Finding:
    """The comparison of one fact of a batch with the reference."""

    fact: str
    distance: float
    by_chance: float  # the distance that one permutation in a hundred exceeds
    p_value: float  # of all facts together
    word: str | None = None  # the category whose share changed the most
    was: float | None = None  # median of numbers over patients, or share of the category; else None
    now: float | None = None


def describe(maps: np.ndarray) -> dict[str, np.ndarray]:
    """Facts of the trunk's maps (n, row, column, channel) that are compared, float32 by fact.

    `embeddings` (n, 64) is the projection on fixed random directions, which depend on no patient.
    `channels` (n, 2 · channel) is the mean and the deviation of every channel over the map. On
    phantoms the first was more sensitive to findings, the second to contrast.
    """
    maps = as_float32(maps)
    flat = maps.reshape(len(maps), -1)
    channels = [maps.mean(axis=(1, 2)), maps.std(axis=(1, 2))]
    return {
        "embeddings": flat @ _directions(flat.shape[1]) / np.sqrt(np.float32(flat.shape[1])),
        "channels": np.concatenate(channels, axis=1),
    }


@cache
def _directions(width: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((width, DIRECTIONS), np.float32)


def compare(
    reference: Sample, batch: Sample, permutations: int = PERMUTATIONS, seed: int = 0
) -> list[Finding]:
    """Compare every fact of both samples; return the findings with the smallest p-value first.

    Each must have patients that the other does not have.
    """
    reference = reference.only(~np.isin(reference.patients, batch.patients))
    facts = list(_facts(batch, reference))
    count = facts[0].patients
    distances = [
        np.stack([fact.distances(members) for fact in facts])
        for members in _permute(batch.count, count, permutations, np.random.default_rng(seed))
    ]
    # Equal permutations must not differ by the rounding of a sum.
    found = np.round(np.concatenate(distances, axis=1), 9)
    surprise = np.stack([_share_as_far(each) for each in found])
    least = surprise.min(axis=0)
    p_values = [(least <= own).mean() for own in surprise[:, 0]]
    limits = np.quantile(found, 0.99, axis=1)
    findings = [
        Finding(fact.name, float(each[0]), float(limit), float(p), *fact.change(batch.count))
        for fact, each, limit, p in zip(facts, found, limits, p_values, strict=True)
    ]
    return sorted(findings, key=lambda finding: finding.p_value)


def _permute(
    batch: int, patients: int, permutations: int, random: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield members of the batch, float32 (n, patients) of 0 and 1, the observed ones first."""
    observed = np.zeros((1, patients), np.float32)
    observed[0, :batch] = 1
    yield observed
    for start in range(0, permutations, CHUNK):
        some = np.repeat(observed, min(CHUNK, permutations - start), axis=0)
        yield random.permuted(some, axis=1)


def _share_as_far(distances: np.ndarray) -> np.ndarray:
    """For every permutation the share of permutations with at least its distance."""
    below = np.searchsorted(np.sort(distances), distances, side="left")
    return 1 - below / len(distances)


def _facts(batch: Sample, reference: Sample) -> Iterator["_Means | _Kernel"]:
    """Yield every fact over the patients of both, those of the batch first."""
    of_patients = _PerPatient(batch.patients, reference.patients)
    for name in batch.numbers:
        values = np.concatenate([batch.numbers[name], reference.numbers[name]])
        if np.isfinite(values).any():
            yield _Numbers(name, of_patients.means(values[:, np.newaxis])[:, 0])
    for name in batch.words:
        categories, index = np.unique(
            np.concatenate([batch.words[name], reference.words[name]]), return_inverse=True
        )
        yield _Categories(name, categories, of_patients.means(np.eye(len(categories))[index]))
    for name in batch.embeddings:
        rows = np.concatenate([batch.embeddings[name], reference.embeddings[name]])
        yield _Kernel(name, of_patients.means(rows))


class _PerPatient:
    """Aggregates rows of scans to rows of patients, those of the first sample first."""

    def __init__(self, *samples: np.ndarray):
        numbers, self.count = [], 0
        for patients in samples:
            unique, index = np.unique(patients, return_inverse=True)
            numbers.append(index + self.count)
            self.count += len(unique)
        self._number = np.concatenate(numbers)

    def means(self, rows: np.ndarray) -> np.ndarray:
        """Average (scans, k) to (patients, k) over the known values; NaN where there are none."""
        known = np.isfinite(rows)
        sums, counts = np.zeros((2, self.count, rows.shape[1]))
        np.add.at(sums, self._number, np.where(known, rows, 0))
        np.add.at(counts, self._number, known)
        with np.errstate(invalid="ignore"):
            return sums / counts


class _Means:
    """A fact whose distance is the difference of means over patients."""

    def __init__(self, name: str, rows: np.ndarray, known: np.ndarray):
        self.name, self.patients = name, len(rows)
        self._rows, self._known = rows * known[:, np.newaxis], known

    def distances(self, members: np.ndarray) -> np.ndarray:
        """For members (n, patients): half the sum of differences between means, (n,)."""
        sums, counts = members @ self._rows, members @ self._known
        others = self._known.sum() - counts
        with np.errstate(invalid="ignore", divide="ignore"):
            means = sums / counts[:, np.newaxis]
            rest = (self._rows.sum(axis=0) - sums) / others[:, np.newaxis]
        # Where no value of one of them is known, the difference counts as zero.
        return np.nan_to_num(np.abs(means - rest).sum(axis=1) / 2)


class _Numbers(_Means):
    def __init__(self, name: str, values: np.ndarray):
        known = np.isfinite(values)
        self._values, ranks = values, np.zeros((len(values), 1))
        _, place, times = np.unique(values[known], return_inverse=True, return_counts=True)
        # From 0 to 1; equal values share the mean of their ranks.
        ranks[known, 0] = (np.cumsum(times) - times / 2)[place] / known.sum()
        super().__init__(name, ranks, known.astype(float))

    def change(self, batch: int) -> tuple[None, float | None, float | None]:
        """Medians of the reference and of the batch, whose patients come first."""
        parts = self._values[batch:], self._values[:batch]
        known = [each[np.isfinite(each)] for each in parts]
        return None, *(float(np.median(each)) if len(each) else None for each in known)


class _Categories(_Means):
    def __init__(self, name: str, categories: np.ndarray, shares: np.ndarray):
        super().__init__(name, shares, np.ones(len(shares)))
        self._categories = categories

    def change(self, batch: int) -> tuple[str, float, float]:
        """The category whose share changed the most, and its shares before and now."""
        was, now = self._rows[batch:].mean(axis=0), self._rows[:batch].mean(axis=0)
        most = int(np.abs(now - was).argmax())
        return str(self._categories[most]), float(was[most]), float(now[most])


class _Kernel:
    """Embeddings, whose distance is the squared maximum mean discrepancy."""

    def __init__(self, name: str, rows: np.ndarray):
        self.name, self.patients = name, len(rows)
        # Over both samples together, so that it is the same for all permutations.
        scaled = (rows - rows.mean(axis=0)) / np.maximum(rows.std(axis=0), LEAST_DEVIATION)
        squares = (scaled**2).sum(axis=1)
        distances = np.maximum(squares[:, np.newaxis] + squares - 2 * scaled @ scaled.T, 0)
        width = np.median(distances[np.triu_indices(len(distances), 1)])
        self._kernel = np.exp(-distances / max(width, LEAST_DEVIATION)).astype(np.float32)

    def distances(self, members: np.ndarray) -> np.ndarray:
        """For members (n, patients): the squared discrepancy, (n,)."""
        counts = members.sum(axis=1, keepdims=True)
        weights = members / counts - (1 - members) / (self.patients - counts)
        return ((weights @ self._kernel) * weights).sum(axis=1)

    def change(self, batch: int) -> tuple[None, None, None]:
        """No single number describes the change."""
        return None, None, None
