"""Sides of patients: training, validation or test, by a hash of the keyed patient.

Nothing is drawn at random. So a patient who comes again next year is on the same side, and every
trunk, head and comparison shares the sides. Sides that came with a delivery replace those of the
hash (`store/patient_sides.py`).
"""

import hashlib
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from pipeline.errors import ArtifactError

SIDES = ("train", "validation", "test")
TRAIN, VALIDATION = 70, 15  # of 100 patients; the rest are for the test
CONFLICT_RULE = (
    "each counts for the test side if any scan is given for it, else for the validation side"
)


def side_of(patient_key: str) -> str:
    """`train`, `validation` or `test` for one keyed patient, by its hash.

    The view patient_sides computes the same.
    """
    place = int(hashlib.sha256(patient_key.encode()).hexdigest(), 16) % 100
    if place < TRAIN:
        return "train"
    return "validation" if place < TRAIN + VALIDATION else "test"


def sides(patient_keys: Sequence[str], given: Mapping[str, str] | None = None) -> np.ndarray:
    """The side of every row, an array of texts (N,): as `given` by patient, else by the hash."""
    given = given or {}
    side = {key: given.get(key) or side_of(key) for key in set(patient_keys)}
    return np.array([side[key] for key in patient_keys], dtype="<U10")


def prove_disjoint(patient_keys: Sequence[str], sides: Sequence[str]) -> str:
    """Check that no patient is on two sides; return the counts as text to print.

    Both arguments have one text per row. Raises ArtifactError when a patient is on two sides.
    """
    keys, sides = np.asarray(patient_keys), np.asarray(sides)
    patients = {side: set(keys[sides == side]) for side in SIDES}
    lines = [
        f"{side:<10} {len(patients[side]):>6} patients {np.sum(sides == side):>7} rows"
        for side in SIDES
    ]
    shared = {(a, b): len(patients[a] & patients[b]) for a, b in combinations(SIDES, 2)}
    lines += [f"{a} and {b} share {count} patients" for (a, b), count in shared.items()]
    if any(shared.values()):
        raise ArtifactError(
            "Patients are on two sides, so scores of the test side mean nothing:\n"
            + "\n".join(lines)
            + "\nEvery patient must be on one side; take the sides from `patient_sides`."
        )
    return "\n".join(lines)
