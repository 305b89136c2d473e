"""Crops of a batch in, a few of them drawn for a person to label: the audit.

Whatever a head flags is looked at, so labels of flagged crops alone tell nothing of what is missed
and little of how often a flag is right. These crops are drawn by a hash of their id, whatever any
head says of them. A night is what a run brings to a batch: the parts since the last draw. What was
drawn stays drawn, whatever comes later, and a kill changes nothing of it.
"""

import hashlib

import pyarrow as pa

from pipeline import schemas
from pipeline.store.base import Store
from pipeline.store.part_names import audits_name, features_name
from pipeline.store.parts import part_numbers, read_part, write_part
from pipeline.store.registry import ModelChoice

COLUMNS = ["batch", "crop_id", "scan_id", "patient_key"]


def draw_audit(store: Store, batch: str, last: int, chosen: ModelChoice, count: int) -> str:
    """Draw `count` crops from the parts up to `last`, unless that is done; return the part."""
    name = audits_name(batch, last)
    if store.has(name):
        return name
    earlier = [night for night in part_numbers(store, f"audits/{batch}") if night < last]
    before = max(earlier, default=-1)
    rows = [
        row
        for number in part_numbers(store, f"features/{chosen.trunk_id}/{batch}")
        if before < number <= last
        for row in read_part(
            store,
            features_name(chosen.trunk_id, batch, number),
            schemas.features(chosen.width),
            COLUMNS,
        ).to_pylist()
    ]
    drawn = sorted(rows, key=lambda row: hashlib.sha256(row["crop_id"].encode()).digest())[:count]
    table = pa.Table.from_pylist([{**row, "night": last} for row in drawn], schemas.AUDITS)
    return write_part(store, name, table, schemas.AUDITS)
