"""Rows of the store's tables, made up and written without scans and networks.

`scan_row`, `crop_row`, … give a row that is valid as it is; facts by keyword replace or add.
"""

import json
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from pipeline import schemas
from pipeline.store import parts, tables
from pipeline.store.registry import choose_models

CROP_KEYS = ("crop_id", "scan_id", "batch", "recipe", "patient_key")


def scan_row(row, scan_id, status="accepted", **facts):
    """A row of the ledger; two rows of one number are attempts of one file."""
    given = {"batch": "b", "part": 0, "row": row, "attempt": 1, "file_key": f"file{row}"}
    if status == "rejected":
        given |= {"reason": "undecodable", "detail": "13 bytes that are no picture"}
    return given | {"scan_id": scan_id, "status": status} | facts


def crop_facts(scan_id, **facts):
    """What a row of crops and one of features have in common."""
    given = {"crop_id": f"{scan_id}:whole", "scan_id": scan_id, "batch": "b", "recipe": "r0"}
    given |= {"patient_key": f"p-{scan_id[0]}", "region": "whole", "region_kind": "whole"}
    return given | {"box_x": 3, "region_x": 5} | facts


def crop_row(scan_id, **facts):
    return crop_facts(scan_id) | {"pixels": bytes(4)} | facts


def feature_row(scan_id, embedding=(1, 0, 0, 0), **facts):
    given = {"trunk": "t0", "embedding": np.array(embedding, np.float16)}
    return crop_facts(scan_id) | given | facts


def prediction_row(scan_id, p_abnormal=0.25, **facts):
    """A prediction of the classes healthy and abnormal."""
    given = {key: crop_facts(scan_id)[key] for key in CROP_KEYS}
    given |= {"trunk": "t0", "head": "h0", "predicted": "healthy", "flagged": p_abnormal > 0.5}
    shares = [1 - p_abnormal, p_abnormal]
    return given | {"probabilities": shares, "p_abnormal": p_abnormal, "seen": False} | facts


def novelty_row(scan_id, **facts):
    given = {key: crop_facts(scan_id)[key] for key in ("crop_id", "scan_id", "batch", "recipe")}
    given |= {"trunk": "t0", "novelty": "n0", "patient_key": None, "learned": False}
    peak = {"peak_row": 0, "peak_column": 0}
    return given | {"gaussian": 1.0, "neighbour": 1.0} | peak | facts


def label_row(crop_id, label, source="delivered", day=1, batch="b"):
    given = {"crop_id": crop_id, "scan_id": crop_id.split(":")[0], "batch": batch, "label": label}
    return given | {"source": source, "labelled_at": datetime(2026, 11, day, tzinfo=UTC)}


def region_row(scan_id, **facts):
    """A finding that a reviewer drew."""
    given = {"scan_id": scan_id, "batch": "b", "region": "drawn-1-2-3-4", "kind": "missed"}
    given |= {"x": 1, "y": 2, "w": 3, "h": 4, "source": "ab", "withdrawn": False, "new": True}
    return given | facts


def write_rows(store, name, rows, schema):
    """Write one part."""
    parts.write_part(store, name, pa.Table.from_pylist(rows, schema), schema)


def write_table(store, table, rows, number=0, batch="b"):
    """Write one part of the table of this name; trunk, head and recipe are those of its rows."""
    first = rows[0]
    made = {
        "scans": lambda: tables.SCANS,
        "crops": lambda: tables.crops(first["recipe"], round(len(first["pixels"]) ** 0.5)),
        "features": lambda: tables.features(first["trunk"], len(first["embedding"])),
        "predictions": lambda: tables.predictions(first["head"]),
        "novelty": lambda: tables.novelty(first["novelty"]),
        "labels": lambda: tables.LABELS,
        "regions": lambda: tables.REGIONS,
        "out_of_fold": lambda: tables.out_of_fold("h0"),
    }[table]()
    write_rows(store, made.part(batch, number), rows, made.schema)


def write_labels(store, labels, source="delivered", day=None, batch="b"):
    """Append labels by crop id; a reviewer's are a day younger than delivered ones."""
    day = day or (2 if source == "delivered" else 3)
    rows = [label_row(crop_id, label, source, day, batch) for crop_id, label in labels.items()]
    write_table(store, "labels", rows, len(store.names("labels")), batch)


def features_table(embeddings, **columns):
    """A table of features (N, width) with these columns; one value stands for N, the rest is null.

    Embeddings are float16 arrays of two dimensions or what becomes one.
    """
    embeddings = np.asarray(embeddings, np.float16)
    count, width = embeddings.shape
    schema = schemas.features(width)
    made = {}
    for field in schema:
        values = columns.get(field.name)
        many = isinstance(values, list | tuple | np.ndarray | range)
        made[field.name] = pa.array(values if many else [values] * count, field.type)
    values = pa.array(embeddings.ravel())
    made["embedding"] = pa.FixedSizeListArray.from_arrays(
        values, type=schema.field("embedding").type
    )
    return pa.table(made, schema=schema)


def write_features(store, embeddings, number=0, **columns):
    """Write one part of features; `columns` name one batch and one trunk."""
    table = features_table(embeddings, **columns)
    width = table.schema.field("embedding").type.list_size
    tables.features(columns["trunk"], width).write(store, columns["batch"], number, table)


def write_embeddings(opened, embeddings, labels, patients, batch="night", number=0):
    """Write features of the trunk of an open store, and delivered labels; the ids of the crops."""
    chosen, count = choose_models(opened.settings, opened.store), len(embeddings)
    scans = [f"{row:06d}-{number}-{batch}".ljust(32, "0") for row in range(count)]
    ids = [f"{scan}:whole" for scan in scans]
    write_features(
        opened.store,
        np.reshape(embeddings, (count, chosen.width)),
        number,
        crop_id=ids,
        scan_id=scans,
        batch=batch,
        recipe=chosen.recipe_id,
        trunk=chosen.trunk_id,
        patient_key=list(patients),
        region="whole",
        region_kind="whole",
        label=list(labels),
        **{f"box_{side}": 0 if side in "xy" else 32 for side in "xywh"},
    )
    known = {crop_id: label for crop_id, label in zip(ids, labels, strict=True) if label}
    rows = [label_row(crop_id, label, batch=batch) for crop_id, label in known.items()]
    write_rows(opened.store, tables.LABELS.part(batch, number), rows, schemas.LABELS)
    return ids


def write_card(store, folder, card):
    """Write the card of a trunk or a head, such as `models/heads/h0`."""
    store.write_bytes(f"{folder}/card.json", json.dumps(card).encode())


def promote(store, number=1, head="h0", trunk="t0", recipe="r0"):
    """Make a head the champion; the highest number counts."""
    record = {"recipe": recipe, "trunk": trunk, "head": head, "reason": "first"}
    store.create(f"models/promotions/{number:05d}.json", json.dumps(record).encode())
