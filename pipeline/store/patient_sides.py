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
    return splits.sides(list(patient_keys), given_sides(con))


def given_sides(con: catalog.Connection) -> dict[str, str]:
    """Sides by patient_key, of the patients whose side is given."""
    rows = catalog.query_rows(con, "given_sides")
    return {row["patient_key"]: row["side"] for row in rows}


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
