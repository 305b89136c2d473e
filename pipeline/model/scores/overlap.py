"""Whether a picture stands on two sides: the same bytes, or nearly the same to look at.

The first show as one scan on two sides, the others by a perceptual hash of 64 bits: pictures
whose hashes differ in few bits look alike. Patients are the business of `splits.proof`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.model.scores.splits import SIDES

PAIRS = (("validation", "train"), ("test", "train"), ("test", "validation"))
ROWS = 256  # hashes compared at a time with all of another side: 256 × 100 000 are 200 MB


@dataclass(frozen=True)
class Overlap:
    """Which scans resemble one on another side."""

    lines: tuple[str, ...]  # counts, to be printed
    left_out: frozenset[str]  # scans on the test side that a model may have learned by their likes


def find_overlap(
    scan_ids: Sequence[str], sides: Sequence[str], hashes: Sequence[str | None], distance: int
) -> Overlap:
    """Compare all scans of each side with those of the others; one text per scan and side.

    `hashes` are 16 hex digits, None where a scan has none. Near-duplicates are those at most
    `distance` bits apart.
    """
    scan_ids, sides = np.asarray(scan_ids, str), np.asarray(sides, str)
    known = np.array([each is not None for each in hashes], bool)
    bits = np.array([int(each, 16) if each else 0 for each in hashes], np.uint64)
    on = {side: sides == side for side in SIDES}
    exact = {(a, b): on[a] & np.isin(scan_ids, scan_ids[on[b]]) for a, b in PAIRS}
    near = {(a, b): _near(bits, on[a] & known, on[b] & known, distance) for a, b in PAIRS}
    lines = []
    for (a, b), same in exact.items():
        alike = near[a, b] & ~same
        lines.append(f"{a} and {b} share {same.sum()} scans, {alike.sum()} more look alike")
    lines.append(f"alike: hashes of 64 bits that differ in at most {distance}")
    if missing := len(set(scan_ids[~known])):
        lines.append(f"{missing} scans have no hash, so near-duplicates of them cannot be told")
    tainted = [found[pair] for found in (exact, near) for pair in PAIRS if pair[0] == "test"]
    return Overlap(tuple(lines), frozenset(scan_ids[np.logical_or.reduce(tainted)]))


def _near(bits: np.ndarray, ours: np.ndarray, theirs: np.ndarray, distance: int) -> np.ndarray:
    """Which of all scans are ours and at most `distance` bits from one of theirs."""
    found = np.zeros(len(bits), bool)
    others = np.unique(bits[theirs])
    places = np.flatnonzero(ours)
    for start in range(0, len(places), ROWS):
        some = places[start : start + ROWS]
        apart = np.bitwise_count(bits[some, np.newaxis] ^ others)
        found[some] = (apart <= distance).any(axis=1)
    return found
