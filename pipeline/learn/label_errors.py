"""Labelled rows in, what models without them say about their labels out, as one part."""

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.errors import NotEnoughData
from pipeline.model.architecture import grid
from pipeline.model.scores.label_errors import compare_with_labels, mean_probabilities
from pipeline.store import catalog, tables
from pipeline.store.base import Store
from pipeline.store.parts import embedding_values
from pipeline.store.registry import ModelChoice


def write_label_errors(store: Store, chosen: ModelChoice, head_id: str) -> str | None:
    """Judge every label in force, unless that was done for this head; the name of the part.

    Returns None when there are too few labels to judge one by the others.
    """
    out_of_fold = tables.out_of_fold(head_id)
    if store.has(out_of_fold.part()):
        return out_of_fold.part()
    with catalog.open_store(store) as con:
        known = catalog.query(con, "embedded", trunk=chosen.trunk_id)
    known = known[known["label"].notna()].reset_index(drop=True)
    classes, truth = np.unique(known["label"].to_numpy().astype(str), return_inverse=True)
    features = _features(store, chosen, known)
    patients = known["patient_key"].to_numpy().astype(str)
    try:
        found = compare_with_labels(features, truth, patients, len(classes))
    except NotEnoughData:
        return None
    rows = np.arange(len(truth))
    best = found.probabilities.argmax(axis=1)
    columns = {
        "head": [head_id] * len(truth),
        "trunk": [chosen.trunk_id] * len(truth),
        "crop_id": known["crop_id"],
        "patient_key": known["patient_key"],
        "fold": found.folds,
        "label": known["label"],
        "self_confidence": found.probabilities[rows, truth],
        "suggested": classes[best].tolist(),
        "confidence": found.probabilities[rows, best],
    }
    schema = out_of_fold.schema
    table = pa.table({field.name: columns[field.name] for field in schema}, schema=schema)
    return out_of_fold.write(store, "", 0, table)


def _features(store: Store, chosen: ModelChoice, known: pd.DataFrame) -> np.ndarray:
    """Averaged maps of the known crops, float32 (N, values), row for row."""
    positions = {crop_id: row for row, crop_id in enumerate(known["crop_id"])}
    shape = grid(chosen.trunk, chosen.recipe.side)
    features: np.ndarray | None = None
    for part in sorted(set(zip(known["batch"], known["part"], strict=True))):
        for numbers, rows in chosen.features.select(store, *part, positions, ["embedding"]):
            small = mean_probabilities(embedding_values(rows).reshape(-1, *shape))
            if features is None:
                features = np.zeros((len(known), small.shape[1]), np.float32)
            features[numbers] = small
    return features if features is not None else np.zeros((0, 1), np.float32)
