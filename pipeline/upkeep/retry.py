"""List again what was rejected, for the next run to try once more.

A file whose bytes changed comes again by itself. This is for files that are as they were while
something else has changed: a decoder was updated, a limit raised, a permission given, the disk
was slow.
"""

from dataclasses import dataclass

from pipeline.ingest.delivery_lists import FORGOTTEN, DeliveryLists
from pipeline.stages.ledger_rows import REJECTED
from pipeline.stages.plan import plan_batch
from pipeline.store.base import Store
from pipeline.store.locks import batch_lock
from pipeline.store.open_store import OpenStore
from pipeline.store.tables import SCANS

COLUMNS = ["part", "row", "status", "reason"]


@dataclass(frozen=True)
class RetryResult:
    """What became of the rejected files of a batch, in counts."""

    batch: str
    listed: int  # for another attempt
    gone: int  # no longer in the batch's folder
    waiting: int  # parts that were listed and not received, these files' and others'


def retry(opened: OpenStore, batch: str) -> RetryResult:
    """List the batch's rejected files again; the next run takes them.

    Raises BatchBusy when a run works on the batch, ConfigError when its folder is gone.
    """
    with batch_lock(opened.store, batch):
        deliveries = DeliveryLists(opened.private, batch)
        before = deliveries.known()
        again = rejected_now(opened, batch)
        plan_batch(batch, opened, again)
        after = deliveries.known()
        listed = sum(after[path].attempt > before[path].attempt for path in again)
        waiting = len(SCANS.missing(opened.store, batch, deliveries.parts()))
    return RetryResult(batch, listed, len(again) - listed, waiting)


def rejected_now(opened: OpenStore, batch: str) -> frozenset[bytes]:
    """Paths whose last attempt was rejected, unless because they were forgotten."""
    last: dict[bytes, dict | None] = {}
    ledger = _ledger(opened.store, batch)
    for file in DeliveryLists(opened.private, batch).everything():
        last[file.entry.path] = ledger.get((file.part, file.row))  # None: not received yet
    return frozenset(
        path
        for path, row in last.items()
        if row and row["status"] == REJECTED and row["reason"] != FORGOTTEN
    )


def _ledger(store: Store, batch: str) -> dict[tuple[int, int], dict]:
    return {(row["part"], row["row"]): row for row in SCANS.rows(store, COLUMNS, batch)}
