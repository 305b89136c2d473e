"""Receiving a batch against decoding its files and doing nothing else.

Ours reads, hashes, decodes, cuts the crops and stores all of it; the reference reads the bytes and
decodes them in as many processes, and returns nothing. Both pools are warm.
"""

import os
from multiprocessing.pool import Pool
from pathlib import Path

import cv2
import numpy as np

from benchmarks.comparison import Comparison, clocked, rates
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
    """Scans received per second, of the batch in `folder`."""
    workers, pool = pools
    files = [os.path.join(os.fsencode(folder), scan.path) for scan in list_batch(folder).scans]

    def ours() -> float:
        return received(folder, root, workers)

    def reference() -> float:
        return clocked(lambda: pool.map(bare_decode, files, chunksize=1))

    ours(), reference()  # warms both pools and the disk's cache
    return rates(what, (len(files), "scans"), ours, (AGAINST, reference), BAR, repeats)


def received(folder: Path, root: Path, workers: WorkerPool) -> float:
    """Seconds to receive every part of the batch; planning is left out."""
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
        return clocked(lambda: [receiver.receive_part(number) for number in parts])


def one_thread() -> None:
    """What the pipeline's own workers do, so that both pools use the cores alike."""
    cv2.setNumThreads(1)


def bare_decode(path: bytes) -> None:
    with open(path, "rb") as file:
        data = file.read()
    cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYDEPTH)
