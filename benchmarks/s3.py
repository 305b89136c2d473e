"""`make bench-s3`: receiving and embedding on S3 with 50 ms per request and without.

Inbox and store are on a real S3 API on the loopback, in a process that shares this machine's cores.
A whole part is fetched, processed and written as in a run, with its locks.
"""

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import result_table, sample_scans
from benchmarks.bars.inputs import new_workers
from benchmarks.comparison import Comparison, rates, seconds_of
from benchmarks.temporary_stores import BATCH, planned_parts
from pipeline import config
from pipeline.ingest.batch_folder import folder_at
from pipeline.ingest.workers.pool import WorkerPool
from pipeline.jobs.part_work import Embed, PartWork, Receive
from pipeline.jobs.resources import Resources, job_for, release_resources, resources_for
from pipeline.stages.plan import deliver
from pipeline.store.locks import batch_lock, begin_run
from pipeline.store.open_store import OpenStore, open_for_writing
from pipeline.store.parts import row_count
from pipeline.store.registry import choose_models
from tests.builders.s3_server import BUCKET, S3Server

SCANS, REPEATS, DELAY, BAR = 128, 3, 0.05, 0.9
INBOX = f"s3://{BUCKET}/inbox"


def main() -> None:
    """Measure, and print two rows. Takes some minutes on two cores."""
    workers = new_workers()
    try:
        with tempfile.TemporaryDirectory(prefix="dental-bench-") as root, S3Server() as server:
            os.environ.update(server.environment)
            with multiprocessing.get_context("spawn").Pool() as pool:
                put_on_s3(sample_scans.panoramics(Path(root), pool, SCANS)["png"])
            opened = store_at(Path(root))
            rows = [receiving(opened, workers, server), embedding(opened, workers, server)]
            result_table.show(rows)
    finally:
        workers.close()
    print(result_table.machine())


def put_on_s3(folder: Path) -> None:
    """Copy the scans of a folder to the inbox."""
    objects = folder_at(INBOX).objects
    for path in sorted(folder.iterdir()):
        objects.put(path.name, path.read_bytes())


def store_at(root: Path) -> OpenStore:
    """A store on S3 with the inbox as its batch of one part, with the default settings."""
    groups = {"recipe": config.Recipe(), "trunk": config.Trunk(), "head": config.Head()}
    settings = config.load(store=f"s3://{BUCKET}/store", private=root / "private", **groups)
    opened = open_for_writing(settings)
    deliver(folder_at(INBOX), BATCH, opened)
    assert planned_parts(opened) == [0]
    return opened


def receiving(opened: OpenStore, workers: WorkerPool, server: S3Server) -> Comparison:
    """Scans received per second."""

    def received() -> float:
        for folder in ("scans", "crops", "labels"):
            opened.store.remove_all(folder)
        return of_one_part(Receive, opened, workers)

    received()  # warms up the workers
    return compared("receive: phantom panoramics", (SCANS, "scans"), received, server)


def embedding(opened: OpenStore, workers: WorkerPool, server: S3Server) -> Comparison:
    """Crops embedded per second."""
    chosen = choose_models(opened.settings, opened.store)
    crops = row_count(opened.store, chosen.crops.part(BATCH, 0))

    def embedded() -> float:
        opened.store.remove(chosen.features.part(BATCH, 0))
        return of_one_part(Embed, opened, workers)

    embedded()  # imports TensorFlow
    return compared("embed: crops part to features part", (crops, "crops"), embedded, server)


def compared(
    what: str, count: tuple[int, str], work: Callable[[], float], server: S3Server
) -> Comparison:
    """Compare work with and without the delay, alternately."""

    def delayed() -> float:
        server.control(f"delay/{DELAY}")
        try:
            return work()
        finally:
            server.control("delay/0")

    return rates(what, count, delayed, ("without delay", work), BAR, REPEATS)


def of_one_part(work: type[PartWork], opened: OpenStore, workers: WorkerPool) -> float:
    """Seconds of the work on the only part, without what a run prepares once."""
    with one_run(opened, workers) as tools:
        return seconds_of(lambda: work(tools.job)(0, lambda _: None))


@contextmanager
def one_run(opened: OpenStore, workers: WorkerPool) -> Iterator[Resources]:
    """The resources that a run has prepared when it works on a part."""
    chosen = choose_models(opened.settings, opened.store)
    with batch_lock(opened.store, BATCH):
        job = job_for(begin_run(opened.store, BATCH), BATCH, opened, chosen)
        tools = resources_for(job, opened)
        tools.workers = workers
        if opened.store.names("crops"):
            assert tools.embed  # the trunk, loaded and checked
        yield tools
        del tools.workers  # used by the next run, too
        release_resources(job)


if __name__ == "__main__":
    main()
