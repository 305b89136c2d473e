"""Overlap of the sides: pictures that are on two of them, as the same bytes or a near-duplicate.

The same bytes are one scan on two sides; near-duplicates have perceptual hashes of 64 bits that
differ in few bits. Patients on two sides are found by `splits.prove_disjoint`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.model.scores.splits import SIDES

PAIRS = (("validation", "train"), ("test", "train"), ("test", "validation"))
ROWS = 256  # hashes compared at a time with all of another side: 256 × 100 000 are 200 MB


@dataclass(frozen=True)
class Overlap:
    """Scans that resemble one on another side."""

    lines: tuple[str, ...]  # counts, to be printed
    left_out: frozenset[str]  # scans of the test side that resemble one that models learn from


def find_overlap(
    scan_ids: Sequence[str], sides: Sequence[str], hashes: Sequence[str | None], distance: int
) -> Overlap:
    """Compare all scans of each side with those of the others; one text per scan and side.

    `hashes` are 16 hex digits, None where a scan has none. Near-duplicates are those at most
    `distance` bits apart.
    """
    scan_ids, sides = np.asarray(scan_ids, str), np.asarray(sides, str)
    hashed = np.array([each is not None for each in hashes], bool)
    bits = np.array([int(each, 16) if each else 0 for each in hashes], np.uint64)
    on = {side: sides == side for side in SIDES}
    exact = {(a, b): on[a] & np.isin(scan_ids, scan_ids[on[b]]) for a, b in PAIRS}
    near = {(a, b): _near(bits, on[a] & hashed, on[b] & hashed, distance) for a, b in PAIRS}
    lines = []
    for (a, b), same in exact.items():
        similar = near[a, b] & ~same
        lines.append(f"{a} and {b} share {same.sum()} scans, {similar.sum()} more look alike")
    lines.append(f"alike: hashes of 64 bits that differ in at most {distance}")
    if missing := len(set(scan_ids[~hashed])):
        lines.append(f"{missing} scans have no hash, so near-duplicates of them cannot be found")
    overlapping = [found[pair] for found in (exact, near) for pair in PAIRS if pair[0] == "test"]
    return Overlap(tuple(lines), frozenset(scan_ids[np.logical_or.reduce(overlapping)]))


def _near(bits: np.ndarray, ours: np.ndarray, theirs: np.ndarray, distance: int) -> np.ndarray:
    """Mask of the scans of `ours` that are at most `distance` bits from one of `theirs`."""
    found = np.zeros(len(bits), bool)
    others = np.unique(bits[theirs])
    rows = np.flatnonzero(ours)
    for start in range(0, len(rows), ROWS):
        some = rows[start : start + ROWS]
        different = np.bitwise_count(bits[some, np.newaxis] ^ others)
        found[some] = (different <= distance).any(axis=1)
    return found
