"""Predict one part of features with a head."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pipeline import schemas
from pipeline.model.head import dense
from pipeline.model.head.abnormal_probability import Predictions, to_predictions
from pipeline.store import tables
from pipeline.store.parts import embedding_values
from pipeline.store.registry import (
    ModelChoice,
    head_home,
    read_card,
    read_patients,
    stored_choice,
    trunk_patients,
)
from pipeline.store.store import Store

if TYPE_CHECKING:
    import keras

    from pipeline.model.head.dense import DenseNetwork

ROWS = 1024  # embeddings in memory at a time


@dataclass(frozen=True)
class Head:
    """A stored head; its layers are read when first used, unless it was just `trained`."""

    store: Store
    head_id: str
    trained: "DenseNetwork | None" = None

    @cached_property
    def card(self) -> dict:
        return read_card(self.store, head_home(self.head_id))

    @cached_property
    def layers(self) -> "DenseNetwork":
        """Its dense layers, float32."""
        if self.trained:
            return self.trained
        stored = self.store.read_bytes(f"{head_home(self.head_id)}/model.keras")
        return dense.from_bytes(stored, np.float32)

    @cached_property
    def model(self) -> "keras.Model":
        """The network that predicts, which may have convolutions in the place of its layers."""
        from pipeline.model.head.networks import for_predictions

        grid = stored_choice(self.store, self.card["trunk"]).grid
        return for_predictions(self.layers, grid)

    @cached_property
    def with_trunk_learned_from(self) -> frozenset[str]:
        """Keyed patients that it or its trunk was trained or validated on."""
        return self.learned_from | trunk_patients(self.store, self.card["trunk"])

    @cached_property
    def learned_from(self) -> frozenset[str]:
        """Keyed patients that it was trained or validated on."""
        return read_patients(self.store, head_home(self.head_id))

    def predict(self, embeddings: np.ndarray, region_kinds: Sequence[str]) -> Predictions:
        """Predict embeddings (N, width) of regions of these kinds, float32, row for row.

        Probabilities are in the order of the card's classes.
        """
        from pipeline.model.head.networks import predict

        classes = self.card["classes"]
        normal = classes.index(self.card["normal_class"])
        outputs = predict(self.model, embeddings)
        return to_predictions(outputs, len(classes), normal, region_kinds)


def predict_part(store: Store, batch: str, number: int, chosen: ModelChoice, head: Head) -> str:
    """Predict one part unless it is done already; return the name of its predictions."""
    predictions = tables.predictions(head.head_id)
    if not predictions.has(store, batch, number):
        with predictions.writer(store, batch, number) as part:
            for rows in chosen.features.iterate(store, batch, number, ROWS):
                part.write(_predicted(rows, head))
    return predictions.part(batch, number)


def _predicted(rows: pa.RecordBatch, head: Head) -> pa.Table:
    found = head.predict(embedding_values(rows), rows.column("region_kind").to_pylist())
    classes = head.card["classes"]
    patients = rows.column("patient_key")
    kept = ("crop_id", "scan_id", "batch", "recipe", "trunk", "patient_key")
    columns = {
        **{name: rows.column(name) for name in kept},
        "head": [head.head_id] * rows.num_rows,
        "predicted": [classes[best] for best in found.probabilities.argmax(axis=1)],
        "probabilities": list(found.probabilities),
        "p_abnormal": found.p_abnormal,
        "flagged": found.p_abnormal >= head.card["threshold"],
        "seen": [key in head.learned_from for key in patients.to_pylist()],
    }
    order = schemas.PREDICTIONS
    return pa.table({field.name: columns[field.name] for field in order}, schema=order)
