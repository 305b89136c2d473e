"""Stored background, the places without a tooth, as rows for heads and trunks to learn from.

It was cut from panoramics that came with boxes, and only the background of patients whose labelled
crops are learned from is learned from too.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.model.fingerprints import rows_digest
from pipeline.model.head.rows import Background, Embeddings
from pipeline.store.embeddings import StoredEmbeddings, held_if_small
from pipeline.store.parts import read_part
from pipeline.store.registry import ModelChoice
from pipeline.store.store import Store

SEED = 0  # of which rows are left out where there are more background rows than labelled ones
COLUMNS = ["crop_id", "batch", "patient_key"]


@dataclass(frozen=True)
class BackgroundRows:
    """Embedded background: row i of everything belongs to one place."""

    facts: pd.DataFrame  # crop_id, batch, patient_key
    embeddings: Embeddings

    @property
    def digest(self) -> str:
        """SHA-256 over the ids in their order."""
        ids = self.facts["crop_id"]
        return rows_digest(ids, ids, ids)

    def for_training(self, patients: np.ndarray, sides: np.ndarray) -> Background | None:
        """Background to learn from with labelled rows of these patients and sides (N,).

        At most as many rows as are labelled on the training side; None when there is none.
        """
        training = sides == "train"
        of_patients = self.facts["patient_key"].isin(set(patients[training])).to_numpy()
        rows = np.flatnonzero(of_patients)
        if not len(rows):
            return None
        learn = np.zeros(len(of_patients), bool)
        learn[np.random.default_rng(SEED).permutation(rows)[: int(training.sum())]] = True
        return Background(self.embeddings, learn)


def background_rows(store: Store, chosen: ModelChoice) -> BackgroundRows | None:
    """Read all background that the trunk has embedded, by crop_id; None when there is none."""
    table = chosen.background_features
    names = table.names(store)
    frames = [read_part(store, name, table.schema, COLUMNS).to_pandas() for name in names]
    if not frames:
        return None
    facts = pd.concat(frames, ignore_index=True)
    order = np.argsort(facts["crop_id"].to_numpy(str), kind="stable")
    numbers = np.empty(len(order), int)
    numbers[order] = np.arange(len(order))
    ends = np.cumsum([len(frame) for frame in frames])[:-1]
    places = dict(zip(names, np.split(numbers, ends), strict=True))
    embeddings = StoredEmbeddings.of(store, table, places)
    facts = facts.iloc[order].reset_index(drop=True)
    return BackgroundRows(facts, held_if_small(embeddings, len(facts)))
