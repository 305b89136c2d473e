"""Labelled crops with what a head says about them, from Parquet alone.

Stored predictions are used where they are; the rest is predicted from stored embeddings, in
memory. Nothing is written.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.model.scores import splits
from pipeline.progress import progress
from pipeline.stages.predict import Head
from pipeline.store import catalog, tables
from pipeline.store.base import Store
from pipeline.store.parts import embedding_values
from pipeline.store.registry import ModelChoice, stored_choice


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
    positions = {crop_id: row for row, crop_id in enumerate(facts["crop_id"])}
    probabilities = np.full((len(facts), len(head.card["classes"])), np.nan, np.float32)
    chosen, batches = stored_choice(store, trunk), set(facts["batch"])
    parts = [part for part in chosen.features.parts(store) if part[0] in batches]
    with progress("read", len(facts)) as advance:
        for batch, number in parts:
            for rows, found in _probabilities(store, chosen, head, (batch, number), positions):
                probabilities[rows] = found
                advance(len(rows))
    return ScoredRows(facts, probabilities, sides, head.card)


def _probabilities(
    store: Store, chosen: ModelChoice, head: Head, part: tuple[str, int], positions: dict[str, int]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Positions (n,) and probabilities (n, classes) of the crops of one part."""
    predictions = tables.predictions(head.head_id)
    if predictions.has(store, *part):
        for numbers, rows in predictions.select(store, *part, positions, ["probabilities"]):
            values = rows.column("probabilities").flatten().to_numpy(zero_copy_only=False)
            yield numbers, values.reshape(len(numbers), -1)
    else:
        for numbers, rows in chosen.features.select(store, *part, positions, ["embedding"]):
            yield numbers, head.probabilities(embedding_values(rows))
