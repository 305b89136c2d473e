"""Overlap of the sides: pictures that are on two of them, as the same bytes or a near-duplicate.

The same bytes are one scan on two sides; near-duplicates have perceptual hashes of 64 bits that
differ in few bits, of the whole picture, or of its centre when one is mirrored or turned. Patients
on two sides are found by `splits.prove_disjoint`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.model.scores.splits import SIDES

PAIRS = (("validation", "train"), ("test", "train"), ("test", "validation"))
ROWS = (
    256  # hashes compared at a time with all of another side: with 100 000, at most 200 MB a band
)


@dataclass(frozen=True)
class Overlap:
    """Scans that resemble one on another side."""

    lines: tuple[str, ...]  # counts, to be printed
    left_out: frozenset[str]  # scans of the test side that resemble one that models learn from


def find_overlap(
    scan_ids: Sequence[str],
    sides: Sequence[str],
    hashes: Sequence[str | None],
    centres: Sequence[Sequence[int] | None],
    distance: int,
) -> Overlap:
    """Compare all scans of each side with those of the others; one text per scan and side.

    `hashes` are 16 hex digits, `centres` the hashes of the centre in all views, None where a scan
    has none. Near-duplicates are those at most `distance` bits apart.
    """
    scan_ids, sides = np.asarray(scan_ids, str), np.asarray(sides, str)
    hashed = np.array([each is not None for each in hashes], bool)
    on = {side: sides == side for side in SIDES}
    exact = {(a, b): on[a] & np.isin(scan_ids, scan_ids[on[b]]) for a, b in PAIRS}
    whole = [[int(each, 16)] if each else [] for each in hashes]
    views = [each if each is not None else [] for each in centres]
    firsts = [each[:1] for each in views]
    near = {
        (a, b): _near(whole, whole, on[a], on[b], distance)
        | _near(views, firsts, on[a], on[b], distance)
        | _near(firsts, views, on[a], on[b], distance)
        for a, b in PAIRS
    }
    lines = []
    for (a, b), same in exact.items():
        similar = near[a, b] & ~same
        lines.append(f"{a} and {b} share {same.sum()} scans, {similar.sum()} more look alike")
    lines.append(f"alike: hashes of 64 bits that differ in at most {distance}")
    if missing := len(set(scan_ids[~hashed])):
        lines.append(f"{missing} scans have no hash, so near-duplicates of them cannot be found")
    unturned = np.array([not len(each) for each in views], bool) & hashed
    if missing := len(set(scan_ids[unturned])):
        lines.append(f"{missing} scans have no hash of their centre, so mirrored or turned copies ")
        lines[-1] += "of them cannot be found"
    overlapping = [found[pair] for found in (exact, near) for pair in PAIRS if pair[0] == "test"]
    return Overlap(tuple(lines), frozenset(scan_ids[np.logical_or.reduce(overlapping)]))


def _near(
    looking: Sequence[Sequence[int]],
    looked_at: Sequence[Sequence[int]],
    ours: np.ndarray,
    theirs: np.ndarray,
    distance: int,
) -> np.ndarray:
    """Mask of the scans of `ours` that look like one of `theirs`.

    One of the hashes `looking` of the one is at most `distance` bits from one of the hashes
    `looked_at` of the other.

    As in near_pairs.sql: of `distance` + 1 bands, hashes that close agree in one, so only those are
    compared.
    """
    found = np.zeros(len(looking), bool)
    bits, rows = _flat(looking, ours)
    others = np.unique(_flat(looked_at, theirs)[0])
    for band in range(distance + 1):
        start, end = (each * 64 // (distance + 1) for each in (band, band + 1))
        shift, kept = np.uint64(start), np.uint64(2 ** (end - start) - 1)
        keys = (others >> shift) & kept
        order = np.argsort(keys, kind="stable")
        for at in range(0, len(rows), ROWS):
            some = bits[at : at + ROWS]
            mine, place = _equal((some >> shift) & kept, keys[order])
            close = np.bitwise_count(some[mine] ^ others[order[place]]) <= distance
            found[rows[at : at + ROWS][mine[close]]] = True
    return found


def _flat(hashes: Sequence[Sequence[int]], of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All hashes of the scans `of`, and the row of each."""
    rows = np.flatnonzero(of)
    bits = np.array([each for row in rows for each in hashes[row]], np.uint64)
    return bits, np.repeat(rows, [len(hashes[row]) for row in rows])


def _equal(wanted: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places in `wanted` and in the sorted `keys` of every pair of equal values."""
    first = np.searchsorted(keys, wanted, "left")
    counts = np.searchsorted(keys, wanted, "right") - first
    mine = np.repeat(np.arange(len(wanted)), counts)
    within = np.arange(len(mine)) - np.repeat(np.cumsum(counts) - counts, counts)
    return mine, np.repeat(first, counts) + within
