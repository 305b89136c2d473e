"""Out-of-fold predictions for every label in force, stored as one part, to find wrong labels."""

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline.errors import NotEnoughData
from pipeline.model.scores.label_errors import compare_with_labels, mean_probabilities
from pipeline.store import catalog, tables
from pipeline.store.parts import embedding_values
from pipeline.store.registry import ModelChoice
from pipeline.store.store import Store


def write_label_errors(store: Store, chosen: ModelChoice, head_id: str) -> str | None:
    """Compare every label in force with models that never saw its patient; return the part's name.

    Nothing is done when the part exists for this head. Returns None when there are too few labels.
    """
    out_of_fold = tables.out_of_fold(head_id)
    if store.has(out_of_fold.part()):
        return out_of_fold.part()
    with catalog.open_store(store, "embedded") as con:
        labelled = catalog.query(con, "embedded", trunk=chosen.trunk_id)
    labelled = labelled[labelled["label"].notna()].reset_index(drop=True)
    classes, truth = np.unique(labelled["label"].to_numpy().astype(str), return_inverse=True)
    features = _features(store, chosen, labelled)
    patients = labelled["patient_key"].to_numpy().astype(str)
    try:
        found = compare_with_labels(features, truth, patients, len(classes))
    except NotEnoughData:
        return None
    rows = np.arange(len(truth))
    best = found.probabilities.argmax(axis=1)
    columns = {
        "head": [head_id] * len(truth),
        "trunk": [chosen.trunk_id] * len(truth),
        "crop_id": labelled["crop_id"],
        "patient_key": labelled["patient_key"],
        "fold": found.folds,
        "label": labelled["label"],
        "self_confidence": found.probabilities[rows, truth],
        "suggested": classes[best].tolist(),
        "confidence": found.probabilities[rows, best],
    }
    schema = out_of_fold.schema
    table = pa.table({field.name: columns[field.name] for field in schema}, schema=schema)
    return out_of_fold.write(store, "", 0, table)


def _features(store: Store, chosen: ModelChoice, labelled: pd.DataFrame) -> np.ndarray:
    """Averaged maps of the labelled crops, float32 (N, values), row for row."""
    positions = {crop_id: row for row, crop_id in enumerate(labelled["crop_id"])}
    shape = chosen.grid
    features: np.ndarray | None = None
    for part in sorted(set(zip(labelled["batch"], labelled["part"], strict=True))):
        for numbers, rows in chosen.features.select(store, *part, positions, ["embedding"]):
            small = mean_probabilities(embedding_values(rows).reshape(-1, *shape))
            if features is None:
                features = np.zeros((len(labelled), small.shape[1]), np.float32)
            features[numbers] = small
    return features if features is not None else np.zeros((0, 1), np.float32)
