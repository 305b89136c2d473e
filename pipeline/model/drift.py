"""Does a batch differ from a reference by more than chance? Arrays in, findings out.

The unit is the patient: crops and scans of one patient resemble each other, so counting them would
raise an alarm for every patient with many. A patient is the mean of what is known of their
scans, and whoever stands in both samples counts in the batch alone.

Every fact has one number for how far apart batch and reference are:

- embeddings: the squared maximum mean discrepancy with a Gaussian kernel, whose width is the median
  distance. Source: Gretton et al., "A kernel two-sample test", JMLR 13 (2012).
- numbers: half the difference of mean ranks, as Mann and Whitney's test has it, so that no outlier
  decides.
- words (format, bits, rejected or not): the total variation, half the sum of differences of shares.

How far apart they come by chance is found by dealing whole patients into batch and reference anew,
the same deals for all facts. A finding's p-value is the share of deals in which *any* fact is as
surprising: so the chance of a false alarm is bounded over all facts together, however they hang
together, and exact for small samples, ties and rare words. Source: Westfall & Young,
"Resampling-based multiple testing" (1993), the single-step minimum of p. For two words with a
patient a file this is Fisher's exact test, drawn instead of counted.

What it presumes is that patients of an unchanged clinic come as if dealt. Nights that differ among
themselves (one ward, one device) are differences too, and are found.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

PLACES = 64  # directions that an embedding is projected on
DEALS = 9_999  # so that the smallest p-value is 0.0001
DEALT = 1_000  # deals in memory at a time; 4 MB for 1000 patients
LEAST_DEVIATION = 1e-6  # below it a direction is the same for all, and says nothing


@dataclass(frozen=True)
class Sample:
    """Scans; row i of every array is one scan, dictionaries are by fact, the same in any sample."""

    patients: np.ndarray  # texts (n,)
    numbers: dict[str, np.ndarray]  # float (n,), NaN where nothing is known
    words: dict[str, np.ndarray]  # texts (n,)
    embeddings: dict[str, np.ndarray]  # float (n, k)

    def only(self, kept: np.ndarray) -> "Sample":
        """The scans of the mask `kept` (n,)."""
        facts = {field.name: getattr(self, field.name) for field in fields(self)}
        patients = facts.pop("patients")
        cut = {kind: {f: rows[kept] for f, rows in facts[kind].items()} for kind in facts}
        return replace(self, patients=patients[kept], **cut)

    @property
    def count(self) -> int:
        """How many patients there are."""
        return len(np.unique(self.patients))


@dataclass(frozen=True)
class Finding:
    """How one fact of a batch compares with the reference."""

    fact: str
    distance: float
    by_chance: float  # the distance that one deal in a hundred exceeds
    p_value: float  # of all facts together
    word: str | None = None  # whose share changed the most
    was: float | None = None  # median of numbers over patients, or share of the word; else None
    now: float | None = None


def describe(maps: np.ndarray) -> dict[str, np.ndarray]:
    """What is compared of the trunk's maps (n, row, column, channel), float32 by fact.

    `embeddings` (n, 64) is the map on fixed random directions, so on nothing that was learned from
    anybody. `channels` (n, 2 · channel) is the mean and the deviation of every channel over the
    map. On phantoms the first told more of findings, the second more of contrast.
    """
    maps = maps.astype(np.float32)
    flat = maps.reshape(len(maps), -1)
    directions = np.random.default_rng(0).standard_normal((flat.shape[1], PLACES), np.float32)
    channels = [maps.mean(axis=(1, 2)), maps.std(axis=(1, 2))]
    return {
        "embeddings": flat @ directions / np.sqrt(np.float32(flat.shape[1])),
        "channels": np.concatenate(channels, axis=1),
    }


def compare(reference: Sample, batch: Sample, deals: int = DEALS, seed: int = 0) -> list[Finding]:
    """Every fact of both samples, the most surprising first.

    Both must hold patients, and patients that the other does not.
    """
    reference = reference.only(~np.isin(reference.patients, batch.patients))
    facts = list(_facts(batch, reference))
    count = facts[0].patients
    distances = [
        np.stack([fact.distances(dealt) for fact in facts])
        for dealt in _deals(batch.count, count, deals, np.random.default_rng(seed))
    ]
    # Equal deals must not differ by how a sum was rounded.
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


def _deals(
    batch: int, patients: int, deals: int, random: np.random.Generator
) -> Iterator[np.ndarray]:
    """Who is dealt into the batch, float32 (some, patients) of 0 and 1; the first is the truth."""
    truth = np.zeros((1, patients), np.float32)
    truth[0, :batch] = 1
    yield truth
    for start in range(0, deals, DEALT):
        some = np.repeat(truth, min(DEALT, deals - start), axis=0)
        yield random.permuted(some, axis=1)


def _share_as_far(distances: np.ndarray) -> np.ndarray:
    """For every deal the share of deals that are at least as far apart."""
    below = np.searchsorted(np.sort(distances), distances, side="left")
    return 1 - below / len(distances)


def _facts(batch: Sample, reference: Sample) -> Iterator["_Means | _Kernel"]:
    """Every fact over the patients of both, those of the batch first."""
    of_patients = _PerPatient(batch.patients, reference.patients)
    for name in batch.numbers:
        values = np.concatenate([batch.numbers[name], reference.numbers[name]])
        if np.isfinite(values).any():
            yield _Numbers(name, of_patients.means(values[:, np.newaxis])[:, 0])
    for name in batch.words:
        words, places = np.unique(
            np.concatenate([batch.words[name], reference.words[name]]), return_inverse=True
        )
        yield _Words(name, words, of_patients.means(np.eye(len(words))[places]))
    for name in batch.embeddings:
        rows = np.concatenate([batch.embeddings[name], reference.embeddings[name]])
        yield _Kernel(name, of_patients.means(rows))


class _PerPatient:
    """Makes of rows of scans rows of patients, those of the first sample first."""

    def __init__(self, *samples: np.ndarray):
        places, self.count = [], 0
        for patients in samples:
            known, place = np.unique(patients, return_inverse=True)
            places.append(place + self.count)
            self.count += len(known)
        self._place = np.concatenate(places)

    def means(self, rows: np.ndarray) -> np.ndarray:
        """(scans, k) to (patients, k), over what is known; NaN where nothing is."""
        known = np.isfinite(rows)
        sums, counts = np.zeros((2, self.count, rows.shape[1]))
        np.add.at(sums, self._place, np.where(known, rows, 0))
        np.add.at(counts, self._place, known)
        with np.errstate(invalid="ignore"):
            return sums / counts


class _Means:
    """A fact whose distance is that of means over patients."""

    def __init__(self, name: str, rows: np.ndarray, known: np.ndarray):
        self.name, self.patients = name, len(rows)
        self._rows, self._known = rows * known[:, np.newaxis], known

    def distances(self, dealt: np.ndarray) -> np.ndarray:
        """For deals (n, patients): half the sum of differences between means, (n,)."""
        sums, counts = dealt @ self._rows, dealt @ self._known
        others = self._known.sum() - counts
        with np.errstate(invalid="ignore", divide="ignore"):
            means = sums / counts[:, np.newaxis]
            rest = (self._rows.sum(axis=0) - sums) / others[:, np.newaxis]
        # Where nothing is known of one of them there is no difference to tell.
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


class _Words(_Means):
    def __init__(self, name: str, words: np.ndarray, shares: np.ndarray):
        super().__init__(name, shares, np.ones(len(shares)))
        self._words = words

    def change(self, batch: int) -> tuple[str, float, float]:
        """The word whose share changed the most, and its shares before and now."""
        was, now = self._rows[batch:].mean(axis=0), self._rows[:batch].mean(axis=0)
        most = int(np.abs(now - was).argmax())
        return str(self._words[most]), float(was[most]), float(now[most])


class _Kernel:
    """Embeddings, whose distance is the squared maximum mean discrepancy."""

    def __init__(self, name: str, rows: np.ndarray):
        self.name, self.patients = name, len(rows)
        # Over both samples together, so that a deal changes nothing of it.
        scaled = (rows - rows.mean(axis=0)) / np.maximum(rows.std(axis=0), LEAST_DEVIATION)
        squares = (scaled**2).sum(axis=1)
        apart = np.maximum(squares[:, np.newaxis] + squares - 2 * scaled @ scaled.T, 0)
        width = np.median(apart[np.triu_indices(len(apart), 1)])
        self._kernel = np.exp(-apart / max(width, LEAST_DEVIATION)).astype(np.float32)

    def distances(self, dealt: np.ndarray) -> np.ndarray:
        """For deals (n, patients): the squared discrepancy, (n,)."""
        counts = dealt.sum(axis=1, keepdims=True)
        weights = dealt / counts - (1 - dealt) / (self.patients - counts)
        return ((weights @ self._kernel) * weights).sum(axis=1)

    def change(self, batch: int) -> tuple[None, None, None]:
        """No single number says what changed."""
        return None, None, None
