"""Draw the audit: a few crops of a batch for a person to label, whatever their score.

Labels of flagged crops alone cannot measure what is missed, and hardly how often a flag is right.
So these crops are drawn by a hash of their id, independent of any prediction. A night is the parts
that a run adds to a batch, those since the last draw. A draw is never changed, and a killed run
draws the same crops again.
"""

import hashlib

import pyarrow as pa

from pipeline.store.registry import ModelChoice
from pipeline.store.store import Store
from pipeline.store.tables import AUDITS

COLUMNS = ["batch", "crop_id", "scan_id", "patient_key"]


def draw_audit(store: Store, batch: str, last: int, chosen: ModelChoice, count: int) -> str:
    """Draw `count` crops from the new parts up to `last`, unless done already; return the part."""
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
