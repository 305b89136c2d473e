"""Labelled crops of the validation and test side with a head's predictions, from Parquet alone.

Stored predictions are used where there are any; the rest is predicted from stored embeddings, in
memory. Nothing is written.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.model.head.abnormal_probability import Predictions
from pipeline.progress import progress
from pipeline.stages.predict import Head
from pipeline.store import catalog, tables
from pipeline.store.parts import embedding_values
from pipeline.store.patient_sides import patient_sides, sides_for
from pipeline.store.registry import ModelChoice, stored_choice
from pipeline.store.store import Store


@dataclass(frozen=True)
class ScoredRows:
    """Labelled crops and a head's predictions: row i of everything belongs to one crop."""

    facts: pd.DataFrame  # the columns of the query labelled_facts
    probabilities: np.ndarray  # float32 (N, classes), in the order of the head's card
    p_abnormal: np.ndarray  # float64 (N,), what the work-list ranks by and flags are set by
    sides: np.ndarray  # train, validation or test (N,)
    card: dict

    @property
    def abnormal(self) -> np.ndarray:
        """Boolean (N,); a class that the head never learned is abnormal too."""
        return (self.facts["label"] != self.card["normal_class"]).to_numpy(bool)

    @property
    def patients(self) -> np.ndarray:
        return self.facts["patient_key"].to_numpy(str)

    def of_class(self, name: str) -> np.ndarray:
        """Probability of one class, float64 (N,)."""
        return self.probabilities[:, self.card["classes"].index(name)].astype(np.float64)

    def only(self, rows: np.ndarray) -> "ScoredRows":
        """The rows of a boolean mask."""
        facts = self.facts[rows].reset_index(drop=True)
        columns = (each[rows] for each in (self.probabilities, self.p_abnormal, self.sides))
        return ScoredRows(facts, *columns, self.card)


def scored_rows(store: Store, head: Head) -> ScoredRows:
    """Validation and test rows with a label in force, in the order of their ids."""
    trunk = head.card["trunk"]
    with catalog.open_store(store, "labelled_facts", "given_sides") as con:
        facts = catalog.query(con, "labelled_facts", trunk=trunk)
        sides = patient_sides(con, facts["patient_key"])
    sides = sides_for(sides, facts["patient_key"], head.with_trunk_learned_from)
    kept = sides != "train"
    facts, sides = facts[kept].reset_index(drop=True), sides[kept]
    positions = {crop_id: row for row, crop_id in enumerate(facts["crop_id"])}
    probabilities = np.full((len(facts), len(head.card["classes"])), np.nan, np.float32)
    p_abnormal = np.full(len(facts), np.nan)
    chosen, batches = stored_choice(store, trunk), set(facts["batch"])
    parts = [part for part in chosen.features.parts(store) if part[0] in batches]
    with progress("read", len(facts)) as advance:
        for batch, number in parts:
            for rows, found in _predictions(store, chosen, head, (batch, number), positions):
                probabilities[rows], p_abnormal[rows] = found
                advance(len(rows))
    return ScoredRows(facts, probabilities, p_abnormal, sides, head.card)


def _predictions(
    store: Store, chosen: ModelChoice, head: Head, part: tuple[str, int], positions: dict[str, int]
) -> Iterator[tuple[np.ndarray, Predictions]]:
    """Yield positions (n,) and predictions of the crops of one part that have a position."""
    predictions = tables.predictions(head.head_id)
    if predictions.has(store, *part):
        columns = ["probabilities", "p_abnormal"]
        for numbers, rows in predictions.select(store, *part, positions, columns):
            values = rows.column("probabilities").flatten().to_numpy(zero_copy_only=False)
            probabilities = values.reshape(len(numbers), -1)
            yield numbers, Predictions(probabilities, rows.column("p_abnormal").to_numpy())
    else:
        columns = ["embedding", "region_kind"]
        for numbers, rows in chosen.features.select(store, *part, positions, columns):
            kinds = rows.column("region_kind").to_pylist()
            yield numbers, head.predict(embedding_values(rows), kinds)
