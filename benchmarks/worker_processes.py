"""Reading scans in worker processes against the same work in as many threads of one process.

What the processes cost is the way of the crops from one memory into another.
Threads cost nothing of the kind, and one crash or hang among them ends everything.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2

from benchmarks.comparison import Comparison, clocked, rates
from pipeline.config import Quality, Recipe, Settings
from pipeline.ingest.labels.annotations import Annotation
from pipeline.ingest.list_files import list_batch
from pipeline.ingest.workers.pool import WorkerPool
from pipeline.stages.read_scan import Order, Read, read_scan

AGAINST = "read_scan in threads"
BAR = 0.9


def compare(what: str, folder: Path, workers: WorkerPool, repeats: int) -> Comparison:
    """Scans read and cut per second, of the batch in `folder`; nothing is stored."""
    orders, threads = orders_for(folder), ThreadPoolExecutor(workers.count)
    cv2.setNumThreads(1)  # as in the workers, so that both use the cores alike

    def ours() -> float:
        return clocked(lambda: count_crops(workers.map(read_scan, orders)))

    def reference() -> float:
        return clocked(lambda: count_crops(threads.map(read_scan, orders)))

    # Decoders are listened to on standard error, which several threads at once leave elsewhere.
    terminal = os.dup(2)
    with threads:
        ours(), reference()
        row = rates(what, (len(orders), "scans"), ours, (AGAINST, reference), BAR, repeats)
    os.dup2(terminal, 2)
    os.close(terminal)
    return row


def orders_for(folder: Path) -> list[Order]:
    """Every scan of a batch, with the default settings."""
    settings = Settings()
    limits = settings.pixel_limit, settings.scan_memory_mb * 2**20 // 4, False
    scans = list_batch(folder).scans
    return [Order(folder, entry, Annotation(), Recipe(), Quality(), *limits) for entry in scans]


def count_crops(reads) -> int:
    """Take in results as they come, keeping none, as a stage does."""
    return sum(len(read.crops) for read in reads if isinstance(read, Read))
