"""Stored embeddings for tests that need rows but neither scans nor Keras."""

import numpy as np
import pyarrow as pa

from pipeline import schemas
from pipeline.store.part_names import features_name, labels_name
from pipeline.store.parts import write_part
from pipeline.store.registry import choose_models

GRID = (8, 8, 8)  # of the trunk in tests.batches


def put_rows(opened, embeddings, labels, patients, batch="night", number=0):
    """Write a part of features (N, 512) with delivered labels; the ids of its crops."""
    chosen, count = choose_models(opened.settings, opened.store), len(embeddings)
    scans = [f"{row:06d}-{number}-{batch}".ljust(32, "0") for row in range(count)]
    ids = [f"{scan}:whole" for scan in scans]
    facts = {
        "crop_id": ids,
        "scan_id": scans,
        "batch": [batch] * count,
        "recipe": [chosen.recipe_id] * count,
        "patient_key": list(patients),
        "region": ["whole"] * count,
        "region_kind": ["whole"] * count,
        "label": list(labels),
        **{f"box_{side}": [0 if side in "xy" else 32] * count for side in "xywh"},
    }
    schema = schemas.features(chosen.width)
    columns = {
        field.name: pa.array(facts.get(field.name, [None] * count), field.type)
        for field in schema
        if field.name not in ("trunk", "embedding")
    }
    columns["trunk"] = pa.array([chosen.trunk_id] * count)
    values = pa.array(np.asarray(embeddings, np.float16).reshape(-1))
    item = schema.field("embedding").type
    columns["embedding"] = pa.FixedSizeListArray.from_arrays(values, type=item)
    name = features_name(chosen.trunk_id, batch, number)
    write_part(opened.store, name, pa.table(columns, schema=schema), schema)
    write_labels(opened.store, ids, scans, labels, batch, number)
    return ids


def write_labels(store, ids, scans, labels, batch, number):
    said = [row for row, label in enumerate(labels) if label]
    table = pa.table(
        {
            "crop_id": [ids[row] for row in said],
            "scan_id": [scans[row] for row in said],
            "batch": [batch] * len(said),
            "label": [labels[row] for row in said],
            "source": ["delivered"] * len(said),
            "labelled_at": pa.array([0] * len(said), pa.timestamp("us", tz="UTC")),
        },
        schema=schemas.LABELS,
    )
    write_part(store, labels_name(batch, number), table, schemas.LABELS)
