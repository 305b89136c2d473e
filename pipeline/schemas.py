"""Arrow schemas of all Parquet tables and what each table is; columns: `table_columns.py`."""

from typing import NamedTuple

import pyarrow as pa

from pipeline import table_columns
from pipeline.table_columns import DRIFT_FILE_WORDS, DRIFT_NUMBERS, DRIFT_WORDS, Column

__all__ = [
    "DRIFT_FILE_WORDS",
    "DRIFT_NUMBERS",
    "DRIFT_WORDS",
    "TABLES",
    "Column",
    "TableDescription",
]

VERSION = 2  # of the store's layout and columns, kept in store.json
DEFAULT_SIDE, DEFAULT_WIDTH = 256, 8192  # of the default recipe and trunk


class TableDescription(NamedTuple):
    """What one table holds; documentation is made from this."""

    path: str  # of its parts, below the store; upper-case steps are the variable ones
    meaning: str
    columns: tuple[Column, ...]


# Each after those that it is made from.
TABLES = {
    "scans": TableDescription(
        "scans/BATCH/part-NNNNN.parquet",
        "The ledger: one row per delivered file and attempt.",
        table_columns.SCANS,
    ),
    "labels": TableDescription(
        "labels/part-BATCH-NNNNN.parquet",
        "Every label ever given and every decision of a reviewer; rows are only appended.",
        table_columns.LABELS,
    ),
    "regions": TableDescription(
        "regions/BATCH/part-NNNNN.parquet",
        "Boxes that reviewers drew, moved or withdrew, a part for each decision; only appended.",
        table_columns.REGIONS,
    ),
    "background_crops": TableDescription(
        "background_crops/RECIPE/BATCH/part-NNNNN.parquet",
        "Crops without a finding, from scans that came with boxes, for training.",
        table_columns.crop_columns(DEFAULT_SIDE),
    ),
    "crops": TableDescription(
        "crops/RECIPE/BATCH/part-NNNNN.parquet",
        "One row per crop with its pixels; a cache that may be deleted.",
        table_columns.crop_columns(DEFAULT_SIDE),
    ),
    "background_features": TableDescription(
        "background_features/TRUNK/BATCH/part-NNNNN.parquet",
        "The embeddings of the background crops.",
        table_columns.feature_columns(DEFAULT_WIDTH),
    ),
    "features": TableDescription(
        "features/TRUNK/BATCH/part-NNNNN.parquet",
        "One row per crop with its embedding.",
        table_columns.feature_columns(DEFAULT_WIDTH),
    ),
    "predictions": TableDescription(
        "predictions/HEAD/BATCH/part-NNNNN.parquet",
        "One row per crop with the probabilities of one head.",
        table_columns.PREDICTIONS,
    ),
    "novelty": TableDescription(
        "novelty/NOVELTY/BATCH/part-NNNNN.parquet",
        "One row per crop with its distance from normal by one novelty model.",
        table_columns.NOVELTY,
    ),
    "out_of_fold": TableDescription(
        "out_of_fold/HEAD/part-NNNNN.parquet",
        "Labelled crops judged by models that were trained without them, to find label errors.",
        table_columns.OUT_OF_FOLD,
    ),
    "audits": TableDescription(
        "audits/BATCH/part-NNNNN.parquet",
        "Crops drawn by a hash for a person to label, whatever their score.",
        table_columns.AUDITS,
    ),
    "drift": TableDescription(
        "drift/REFERENCE/BATCH/part-NNNNN.parquet",
        "How a batch compares with the reference: one row per modality and fact.",
        table_columns.DRIFT,
    ),
    "reference": TableDescription(
        "models/drift/REFERENCE/MODALITY/sample.parquet",
        "The scans that batches are compared with, one row per scan or, for `files`, per file; "
        "columns that are not compared are null.",
        table_columns.REFERENCE,
    ),
}


def schema_of(described: tuple[Column, ...]) -> pa.Schema:
    """The Arrow schema of some columns, without metadata: descriptions never enter a file."""
    return pa.schema([(column.name, column.type) for column in described])


SCANS = schema_of(table_columns.SCANS)
CROP_FACTS = [(column.name, column.type) for column in table_columns.CROPS]
PREDICTIONS = schema_of(table_columns.PREDICTIONS)
NOVELTY = schema_of(table_columns.NOVELTY)
OUT_OF_FOLD = schema_of(table_columns.OUT_OF_FOLD)
REFERENCE = schema_of(table_columns.REFERENCE)
DRIFT = schema_of(table_columns.DRIFT)
AUDITS = schema_of(table_columns.AUDITS)
LABELS = schema_of(table_columns.LABELS)
REGIONS = schema_of(table_columns.REGIONS)

# Columns that parts of earlier versions lack; they are read as null.
LATER = pa.schema(
    [
        *(field for field in CROP_FACTS if field[0].startswith("tooth_")),
        SCANS.field("box_problems"),
        SCANS.field("likeness_turned"),
        SCANS.field("bits_used"),
        LABELS.field("decision"),
        SCANS.field("given_side"),
    ]
)


def crops(side: int) -> pa.Schema:
    """Crops of `side` × `side` grey pixels, row by row, brighter meaning denser."""
    return schema_of(table_columns.crop_columns(side))


def features(width: int) -> pa.Schema:
    """Crops without pixels, with the trunk and an embedding of `width` float16 values."""
    return schema_of(table_columns.feature_columns(width))


def require(found: pa.Schema, expected: pa.Schema) -> list[str]:
    """Names of the expected columns that `found` lacks or has with another type.

    Columns of `LATER` may be missing.
    """
    wrong = []
    for field in expected:
        index = found.get_field_index(field.name)
        if index < 0 and field.name in LATER.names:
            continue
        if index < 0 or found.field(index).type != field.type:
            wrong.append(field.name)
    return wrong
