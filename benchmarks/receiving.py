"""Compare receiving a batch with decoding its files only.

Ours reads, hashes, decodes, crops and stores; the reference reads and decodes in as many processes
and returns nothing. Both pools are warmed up.
"""

import os
from multiprocessing.pool import Pool
from pathlib import Path

import cv2
import numpy as np

from benchmarks.comparison import Comparison, rates, seconds_of
from benchmarks.temporary_stores import BATCH, fresh_store, planned_parts
from pipeline.ingest.delivery_lists import DeliveryLists
from pipeline.ingest.list_files import list_batch
from pipeline.ingest.workers.pool import WorkerPool
from pipeline.stages.duplicates import AcceptedInStore
from pipeline.stages.receive import Receiver
from pipeline.store.registry import choose_models

AGAINST = "cv2.imdecode alone"
BAR = 0.75


def compare(
    what: str, folder: Path, root: Path, pools: tuple[WorkerPool, Pool], repeats: int
) -> Comparison:
    """Scans of the batch in `folder` received per second."""
    workers, pool = pools
    files = [os.path.join(os.fsencode(folder), scan.path) for scan in list_batch(folder).scans]

    def ours() -> float:
        return received(folder, root, workers)

    def reference() -> float:
        return seconds_of(lambda: pool.map(bare_decode, files, chunksize=1))

    ours(), reference()  # warms up both pools and the page cache
    return rates(what, (len(files), "scans"), ours, (AGAINST, reference), BAR, repeats)


def received(folder: Path, root: Path, workers: WorkerPool) -> float:
    """Seconds to receive every part of the batch, without planning."""
    with fresh_store(root, folder) as opened:
        parts = planned_parts(opened)
        receiver = Receiver(
            opened,
            BATCH,
            choose_models(opened.settings, opened.store),
            workers,
            AcceptedInStore(opened.store, DeliveryLists(opened.private, BATCH).file_sizes()),
            lambda _: None,
        )
        return seconds_of(lambda: [receiver.receive_part(number) for number in parts])


def one_thread() -> None:
    """Do as the pipeline's workers do, so that both pools use the cores in the same way."""
    cv2.setNumThreads(1)


def bare_decode(path: bytes) -> None:
    with open(path, "rb") as file:
        data = file.read()
    cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYDEPTH)
