"""Labelled crops with what a head says about them, from Parquet alone.

Stored predictions are used where they are; the rest is predicted from stored embeddings, in
memory. Nothing is written.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline import schemas
from pipeline.model.scores import splits
from pipeline.progress import progress
from pipeline.stages.predict import ROWS, Head
from pipeline.store import catalog
from pipeline.store.base import Store
from pipeline.store.part_names import features_name, predictions_name
from pipeline.store.parts import iter_part, part_numbers
from pipeline.store.registry import stored_choice

PREDICTED = ["crop_id", "probabilities"]


@dataclass(frozen=True)
class ScoredRows:
    """Labelled crops and a head's probabilities: row i of everything belongs to one crop."""

    facts: pd.DataFrame  # the columns of the query labelled_facts
    probabilities: np.ndarray  # float32 (N, classes), in the order of the head's card
    sides: np.ndarray  # train, validation or test (N,)
    card: dict

    @property
    def abnormal(self) -> np.ndarray:
        """Boolean (N,); a class that the head never learned is abnormal too."""
        return (self.facts["label"] != self.card["normal_class"]).to_numpy(bool)

    @property
    def p_abnormal(self) -> np.ndarray:
        return 1 - self.of_class(self.card["normal_class"])

    @property
    def patients(self) -> np.ndarray:
        return self.facts["patient_key"].to_numpy(str)

    def of_class(self, name: str) -> np.ndarray:
        """Probability of one class, float64 (N,)."""
        return self.probabilities[:, self.card["classes"].index(name)].astype(np.float64)

    def only(self, rows: np.ndarray) -> "ScoredRows":
        """The rows of a boolean mask."""
        facts = self.facts[rows].reset_index(drop=True)
        return ScoredRows(facts, self.probabilities[rows], self.sides[rows], self.card)


def scored_rows(store: Store, head: Head) -> ScoredRows:
    """Validation and test rows with a label in force, in the order of their ids."""
    trunk = head.card["trunk"]
    with catalog.open_store(store) as con:
        facts = catalog.query(con, "labelled_facts", trunk=trunk)
    sides = splits.sides(list(facts["patient_key"]))
    kept = sides != "train"
    facts, sides = facts[kept].reset_index(drop=True), sides[kept]
    place = {crop_id: row for row, crop_id in enumerate(facts["crop_id"])}
    probabilities = np.full((len(facts), len(head.card["classes"])), np.nan, np.float32)
    parts = [
        (batch, number)
        for batch in sorted(set(facts["batch"]))
        for number in part_numbers(store, f"features/{trunk}/{batch}")
    ]
    with progress("read", len(parts)) as advance:
        for batch, number in parts:
            _fill(probabilities, place, store, head, batch, number)
            advance(1)
    return ScoredRows(facts, probabilities, sides, head.card)


def _fill(
    probabilities: np.ndarray, place: dict, store: Store, head: Head, batch: str, number: int
) -> None:
    """Put what the head says about the wanted crops of one part where it belongs."""
    name = predictions_name(head.head_id, batch, number)
    stored = store.has(name)
    if stored:
        slices = iter_part(store, name, schemas.PREDICTIONS, ROWS, PREDICTED)
    else:
        chosen = stored_choice(store, head.card["trunk"])
        name, schema = features_name(chosen.trunk_id, batch, number), schemas.features(chosen.width)
        slices = iter_part(store, name, schema, ROWS, ["crop_id", "embedding"])
    for some in slices:
        rows = np.array([place.get(crop_id, -1) for crop_id in some.column("crop_id").to_pylist()])
        wanted = np.flatnonzero(rows >= 0)
        if len(wanted):
            values = _values(some.column(1).take(pa.array(wanted)), len(wanted))
            found = values if stored else head.probabilities(values)
            probabilities[rows[wanted]] = found


def _values(column: pa.Array, rows: int) -> np.ndarray:
    """Lists of equal length as an array (rows, length)."""
    return column.flatten().to_numpy(zero_copy_only=False).reshape(rows, -1)
