"""Another attempt for rejected files: they are listed again for the next run.

A file whose bytes changed is taken again without this. It is for files that are unchanged while
something else has changed: a decoder was updated, a limit raised, a permission granted, or the disk
was slow.
"""

from dataclasses import dataclass

from pipeline.ingest.delivery_lists import FORGOTTEN, DeliveryLists
from pipeline.ingest.list_files import MASK
from pipeline.stages.ledger_rows import REJECTED
from pipeline.stages.plan import plan_batch
from pipeline.store.locks import batch_lock
from pipeline.store.open_store import OpenStore
from pipeline.store.store import Store
from pipeline.store.tables import SCANS

COLUMNS = ["part", "row", "status", "reason"]


@dataclass(frozen=True)
class RetryResult:
    """Counts of the rejected files of a batch."""

    batch: str
    listed: int  # for another attempt
    gone: int  # no longer in the batch's folder
    waiting: int  # parts that are listed and not received, of these files and others


def retry(opened: OpenStore, batch: str) -> RetryResult:
    """List the batch's rejected files for another attempt by the next run.

    Raises BatchBusy if a run is active on the batch, ConfigError if its folder is gone.
    """
    with batch_lock(opened.store, batch):
        deliveries = DeliveryLists(opened.private, batch)
        before = deliveries.latest()
        again = rejected_now(opened, batch)
        plan_batch(batch, opened, again)
        after = deliveries.latest()
        listed = sum(after[path].attempt > before[path].attempt for path in again)
        waiting = len(SCANS.missing(opened.store, batch, deliveries.parts()))
    return RetryResult(batch, listed, len(again) - listed, waiting)


def rejected_now(opened: OpenStore, batch: str) -> frozenset[bytes]:
    """Return the paths whose last attempt was rejected, except forgotten ones and masks."""
    last: dict[bytes, dict | None] = {}
    ledger = _ledger(opened.store, batch)
    for file in DeliveryLists(opened.private, batch).all_files():
        last[file.entry.path] = ledger.get((file.part, file.row))  # None: not received yet
    return frozenset(
        path
        for path, row in last.items()
        if row and row["status"] == REJECTED and row["reason"] not in (FORGOTTEN, MASK)
    )


def _ledger(store: Store, batch: str) -> dict[tuple[int, int], dict]:
    return {(row["part"], row["row"]): row for row in SCANS.rows(store, COLUMNS, batch)}
