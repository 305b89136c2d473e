"""Bar 5: receiving a batch against decoding its files only.

Ours reads, hashes, decodes, crops and stores; the reference reads and decodes in as many processes
and returns nothing. Both pools are warmed up.
"""

import multiprocessing
import os
from collections.abc import Iterator
from multiprocessing.pool import Pool
from pathlib import Path

import cv2
import numpy as np

from benchmarks.bars.inputs import REPEATS, Inputs, panoramics, real
from benchmarks.comparison import Comparison, rates, seconds_of
from benchmarks.sample_scans import real_panoramics
from benchmarks.temporary_stores import BATCH, fresh_store, planned_parts
from pipeline.ingest.delivery_lists import DeliveryLists
from pipeline.ingest.list_files import list_batch
from pipeline.ingest.workers.pool import WorkerPool
from pipeline.stages.duplicates import AcceptedInStore
from pipeline.stages.receive import Receiver
from pipeline.store.open_store import OpenStore
from pipeline.store.registry import choose_models

SCANS = 60


def received_against_decoded(inputs: Inputs) -> Iterator[Comparison]:
    """Bar 5."""
    batches = {f"phantoms as {form.upper()}": panoramics(SCANS, form) for form in ("png", "jpeg")}
    if real_panoramics():
        batches["real panoramics as PNG"] = real(SCANS)
    # spawn, as the pipeline's own workers: forking with threads may hang.
    with multiprocessing.get_context("spawn").Pool(inputs.workers.count, one_thread) as pool:
        for what, folder in batches.items():
            bar = 0.35 if "JPEG" in what else 0.6
            yield compare(f"receive, {SCANS} {what}", folder, inputs, pool, bar)


def compare(what: str, folder: Path, inputs: Inputs, pool: Pool, bar: float) -> Comparison:
    """Scans of the batch in `folder` received per second."""
    files = [os.path.join(os.fsencode(folder), scan.path) for scan in list_batch(folder).scans]

    def ours() -> float:
        return received(folder, inputs.root, inputs.workers)

    def reference() -> float:
        return seconds_of(lambda: pool.map(bare_decode, files, chunksize=1))

    ours(), reference()  # warms up both pools and the page cache
    against = "cv2.imdecode alone", reference
    return rates(what, (len(files), "scans"), ours, against, bar, REPEATS)


def received(folder: Path, root: Path, workers: WorkerPool, part_size: int = 128) -> float:
    """Seconds to receive every part of the batch, without planning."""
    with fresh_store(root, folder, part_size=part_size) as opened:
        parts = planned_parts(opened)
        receive = receiver(opened, workers)
        return seconds_of(lambda: [receive.receive_part(number) for number in parts])


def receiver(opened: OpenStore, workers: WorkerPool) -> Receiver:
    """What receives the parts of the planned batch."""
    accepted = AcceptedInStore(opened.store, DeliveryLists(opened.private, BATCH).file_sizes())
    chosen = choose_models(opened.settings, opened.store)
    return Receiver(opened, BATCH, chosen, workers, accepted, lambda _: None)


def one_thread() -> None:
    """Do as the pipeline's workers do, so that both pools use the cores in the same way."""
    cv2.setNumThreads(1)


def bare_decode(path: bytes) -> None:
    with open(path, "rb") as file:
        data = file.read()
    cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYDEPTH)
