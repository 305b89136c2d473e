"""Measure receiving, worker processes, embedding and the whole flow, one after the other."""

import multiprocessing
import os
import tempfile
import time
from multiprocessing.pool import Pool
from pathlib import Path

from benchmarks import receiving, result_table, sample_scans, worker_processes
from benchmarks.comparison import Comparison
from benchmarks.progress import log_step
from pipeline import config
from pipeline.ingest.workers.pool import WorkerPool

PANORAMICS, PERIAPICALS = 48, 200  # enough that a repeat takes a second or more on two cores
REPEATS = 5


def main() -> None:
    """Measure, and print the table. Takes some minutes on two cores."""
    started = time.monotonic()
    count = os.cpu_count() or 1
    fields = config.Settings.model_fields
    workers = WorkerPool(count, fields["scan_seconds"].default, fields["scan_memory_mb"].default)
    # spawn, as the pipeline's own workers: forking with TensorFlow's threads may hang.
    pool = multiprocessing.get_context("spawn").Pool(count, receiving.one_thread)
    try:
        with pool, tempfile.TemporaryDirectory(prefix="dental-bench-") as root:
            measure(Path(root), workers, pool)
    finally:
        workers.close()
    print(result_table.describe_machine(count))
    print(f"Measured in {time.monotonic() - started:.0f} s. Phantoms are synthetic images.")


def measure(root: Path, workers: WorkerPool, pool: Pool) -> None:
    """Print all rows, in the order of the pipeline."""
    log_step("drawing phantoms")
    folders = sample_scans.panoramics(root, pool, PANORAMICS)
    periapicals = sample_scans.periapicals(root, pool, PERIAPICALS)
    rows = receive(root, folders, workers, pool)

    # Imported this late because TensorFlow's threads would disturb what is measured before.
    log_step("importing TensorFlow")
    from benchmarks import embedding
    from benchmarks.whole_flow import Flow

    log_step("embedding")
    with embedding.stored_crops(root, folders["png"], workers) as (opened, chosen):
        rows.append(embedding.compare(opened, chosen, REPEATS))
        size = embedding.compare_sizes(opened, chosen, root)
    log_step("whole flow")
    flow = Flow(periapicals, root, workers)
    rows += [flow.compare(REPEATS), size]
    result_table.show(rows)
    result_table.show_stages(flow.seconds_by_stage())


def receive(
    root: Path, folders: dict[str, Path], workers: WorkerPool, pool: Pool
) -> list[Comparison]:
    """The rows about receiving: phantoms, and real scans if available."""
    batches = [(f"receive: phantoms as {form}", folder) for form, folder in folders.items()]
    if real := sample_scans.real_panoramics():
        batches.append(("receive: real panoramics with boxes", real))
    else:
        log_step(f"no real scans: set {sample_scans.REAL} to a folder with a sub-folder opg")
    rows = []
    for what, folder in batches:
        log_step(what)
        rows.append(receiving.compare(what, folder, root, (workers, pool), REPEATS))
    for form, folder in folders.items():
        what = f"worker processes: phantoms as {form}"
        log_step(what)
        rows.append(worker_processes.compare(what, folder, workers, REPEATS))
    return rows
