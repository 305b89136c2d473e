"""The side of every patient of a store: training, validation or test.

Everything that learns, chooses a threshold or measures takes the sides from here. A given side
(setting `given_splits`) is read from the ledger; other patients have the side of their hash.
"""

from collections.abc import Container, Sequence

import numpy as np

from pipeline.model.scores import splits
from pipeline.store import catalog


def patient_sides(con: catalog.Connection, patient_keys: Sequence[str]) -> np.ndarray:
    """The side of the patient of every row, an array of texts (N,)."""
    given = catalog.query(con, "given_sides")
    by_patient = dict(zip(given["patient_key"], given["side"], strict=True))
    return splits.sides(list(patient_keys), by_patient)


def sides_for(
    sides: np.ndarray, patient_keys: Sequence[str], learned_from: Container[str]
) -> np.ndarray:
    """The sides (N,) on which a model that learned from some patients may be measured.

    `sides` are those of `patient_sides`. A patient who moved to the test side afterwards stays on
    the training side for that model: later deliveries can give other sides, and what was learned
    cannot be tested.
    """
    learned = np.array([key in learned_from for key in patient_keys], bool)
    return np.where((sides == "test") & learned, "train", sides)
