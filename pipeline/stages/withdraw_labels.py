"""Withdraw delivered labels that are no findings, such as tooth numbers.

Earlier versions stored them. When their scans are delivered again, a null label is appended where
such a label is the newest that was delivered; a reviewer's label is not changed.
"""

from collections.abc import Collection, Iterator, Mapping

import pyarrow.compute as pc

from pipeline.ingest.delivery_lists import ListedFile
from pipeline.stages.ledger_rows import DUPLICATE, RowMaker
from pipeline.stages.read_scan import Read
from pipeline.store.parts import open_part
from pipeline.store.store import Store
from pipeline.store.tables import LABELS

COLUMNS = ["crop_id", "label", "source", "labelled_at", "batch"]


def withdrawn_labels(
    store: Store, maker: RowMaker, scans: Collection[tuple[dict, ListedFile, Read]]
) -> Iterator[dict]:
    """Rows of labels that withdraw, for the scans of one part with their ledger rows."""
    crops: dict[str, tuple[dict, Collection[str]]] = {}
    for scan, listed, read in scans:
        # Only a scan that was received before can have labels.
        if scan["status"] == DUPLICATE and listed.annotation.no_findings:
            for region in maker.unlabelled(listed, read):
                crops[f"{scan['scan_id']}:{region}"] = scan, listed.annotation.no_findings
    if not crops:
        return
    # Not from this part, which an interrupted run may have written already.
    own = LABELS.part(maker.batch, maker.part)
    newest = _newest_delivered(store, crops, own)
    for crop_id, (scan, no_findings) in crops.items():
        if newest.get(crop_id) in no_findings:
            yield maker.label(scan, crop_id, None)


def _newest_delivered(
    store: Store, crops: Mapping[str, object], own_part: str
) -> dict[str, str | None]:
    """The newest delivered label of these crops, where there is one."""
    found: dict[str, dict] = {}
    for name in LABELS.names(store):
        if name == own_part:
            continue
        with open_part(store, name, LABELS.schema, COLUMNS) as part:
            for rows in part.iter_batches(columns=COLUMNS):
                for row in rows.filter(pc.field("source") == "delivered").to_pylist():
                    crop_id = row["crop_id"]
                    if crop_id in crops and _order(row) >= _order(found.get(crop_id, row)):
                        found[crop_id] = row
    return {crop_id: row["label"] for crop_id, row in found.items()}


def _order(row: dict) -> tuple:
    return row["labelled_at"], row["batch"]
