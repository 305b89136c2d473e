"""Compare reading scans in worker processes with the same work in as many threads.

Processes pay for copying crops from one memory to another. Threads do not, but one that crashes or
hangs ends the run.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2

from benchmarks.comparison import Comparison, rates, seconds_of
from pipeline.config import Quality, Recipe, Settings
from pipeline.ingest.labels.annotations import Annotation
from pipeline.ingest.list_files import list_batch
from pipeline.ingest.workers.pool import WorkerPool
from pipeline.stages.read_scan import Order, Read, read_scan

AGAINST = "read_scan in threads"
BAR = 0.9


def compare(what: str, folder: Path, workers: WorkerPool, repeats: int) -> Comparison:
    """Scans of the batch in `folder` read and cropped per second; nothing is stored."""
    orders, threads = orders_for(folder), ThreadPoolExecutor(workers.count)
    cv2.setNumThreads(1)  # as in the workers, so that both use the cores in the same way

    def ours() -> float:
        return seconds_of(lambda: count_crops(workers.map(read_scan, orders)))

    def reference() -> float:
        return seconds_of(lambda: count_crops(threads.map(read_scan, orders)))

    # Reading captures standard error by redirecting it, and parallel threads leave it redirected.
    terminal = os.dup(2)
    with threads:
        ours(), reference()
        row = rates(what, (len(orders), "scans"), ours, (AGAINST, reference), BAR, repeats)
    os.dup2(terminal, 2)
    os.close(terminal)
    return row


def orders_for(folder: Path) -> list[Order]:
    """What to read: every scan of a batch, with the default settings."""
    settings = Settings()
    limits = settings.pixel_limit, settings.scan_memory_mb * 2**20 // 4, False
    scans = list_batch(folder).scans
    return [Order(folder, entry, Annotation(), Recipe(), Quality(), *limits) for entry in scans]


def count_crops(reads) -> int:
    """Consume results one by one without keeping them, as a stage does."""
    return sum(len(read.crops) for read in reads if isinstance(read, Read))
