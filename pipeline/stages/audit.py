"""Crops of a batch in, a few of them drawn for a person to label: the audit.

Whatever a head flags is looked at, so labels of flagged crops alone tell nothing of what is missed
and little of how often a flag is right. These crops are drawn by a hash of their id, whatever any
head says of them. A night is what a run brings to a batch: the parts since the last draw. What was
drawn stays drawn, whatever comes later, and a kill changes nothing of it.
"""

import hashlib

import pyarrow as pa

from pipeline.store.base import Store
from pipeline.store.registry import ModelChoice
from pipeline.store.tables import AUDITS

COLUMNS = ["batch", "crop_id", "scan_id", "patient_key"]


def draw_audit(store: Store, batch: str, last: int, chosen: ModelChoice, count: int) -> str:
    """Draw `count` crops from the parts up to `last`, unless that is done; return the part."""
    name = AUDITS.part(batch, last)
    if store.has(name):
        return name
    earlier = [night for night in AUDITS.numbers(store, batch) if night < last]
    before = max(earlier, default=-1)
    rows = [
        row
        for number in chosen.features.numbers(store, batch)
        if before < number <= last
        for row in chosen.features.read(store, batch, number, COLUMNS).to_pylist()
    ]
    drawn = sorted(rows, key=lambda row: hashlib.sha256(row["crop_id"].encode()).digest())[:count]
    table = pa.Table.from_pylist([{**row, "night": last} for row in drawn], AUDITS.schema)
    return AUDITS.write(store, batch, last, table)
