"""Queries that people and the pipeline make, each timed in a process of its own.

A query is a function that takes the folder that `large_store_data` made, imports and prepares what
it needs, and returns the work to time. Imports are inside, so that no query is charged with the
memory of another's.
"""

import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

NIGHT, AGAIN = "20240101", "again"  # a batch with embeddings, and the batch that is delivered again
Query = Callable[[Path], Callable[[], object]]


@dataclass(frozen=True)
class Measurement:
    """What one query took."""

    seconds: float
    peak_mb: float  # peak resident memory of the process, with its imports


def measure(query: Query, root: Path) -> Measurement:
    """Measure a query of the store in `root` in a process of its own."""
    return in_new_process(_measure_here, query, root)


def in_new_process(work: Callable, *arguments):
    """The result of `work` in a process of its own, which may start others."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def _measure_here(query: Query, root: Path) -> Measurement:
    work = query(root)
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Measurement(seconds, peak / (2**20 if sys.platform == "darwin" else 2**10))


def store_of(root: Path) -> str:
    return f"{root}/store"


def trunk_of(root: Path) -> str:
    return next(Path(root, "store", "features").iterdir()).name


def ledger_of_batch(root: Path):
    """The ledger of one batch, read by pandas from its folder."""
    import pandas as pd

    return lambda: pd.read_parquet(f"{store_of(root)}/scans/{NIGHT}")


def ledger_filtered(root: Path):
    """The same from the whole table: pandas opens every part for its statistics."""
    import pandas as pd

    filters = [("batch", "==", NIGHT)]
    return lambda: pd.read_parquet(f"{store_of(root)}/scans", filters=filters)


def ledger_filtered_by_folder(root: Path):
    """The same with the folders declared as batches, so that no other part is opened."""
    import pandas as pd
    import pyarrow as pa
    from pyarrow.dataset import partitioning

    folders, filters = partitioning(pa.schema([("batch", pa.string())])), [("batch", "==", NIGHT)]
    table = f"{store_of(root)}/scans"
    return lambda: pd.read_parquet(table, filters=filters, partitioning=folders)


def crops_filtered(root: Path):
    """Facts about one batch's crops from all features, filtered by statistics."""
    import pandas as pd

    folder, filters = f"{store_of(root)}/features/{trunk_of(root)}", [("batch", "==", NIGHT)]
    columns = ["crop_id", "patient_key", "region_kind", "tooth", "label"]
    return lambda: pd.read_parquet(folder, filters=filters, columns=columns)


def redeliver(root: Path):
    """Plan and receive the folder of 10,000 files, none of them new."""
    from benchmarks.temporary_stores import default_settings
    from pipeline.ingest.delivery_lists import DeliveryLists
    from pipeline.stages.duplicates import AcceptedInStore
    from pipeline.stages.plan import plan_batch
    from pipeline.stages.receive import Receiver
    from pipeline.store.open_store import open_for_writing
    from pipeline.store.registry import choose_models

    def work():
        opened = open_for_writing(default_settings(root))
        assert plan_batch(AGAIN, opened).new == 0
        deliveries = DeliveryLists(opened.private, AGAIN)
        chosen, lengths = choose_models(opened.settings, opened.store), deliveries.file_sizes()
        receiver = Receiver(
            opened, AGAIN, chosen, None, AcceptedInStore(opened.store, lengths), None
        )
        for number in deliveries.parts():
            receiver.receive_part(number)

    return work


def find_duplicates(root: Path):
    """Look up every scan of one batch, as a run does that receives them again."""
    import pandas as pd

    from pipeline.stages.duplicates import AcceptedInStore
    from pipeline.store.store import Store

    night = pd.read_parquet(f"{store_of(root)}/scans/{NIGHT}", columns=["scan_id", "bytes"])

    def work():
        accepted = AcceptedInStore(Store(store_of(root)), set(night["bytes"]))
        accepted.refresh()
        assert {accepted.batch_of(scan_id) for scan_id in night["scan_id"]} == {NIGHT}

    return work


def load_with_pandas(root: Path):
    """All embeddings, read by a simple script."""
    import numpy as np
    import pandas as pd

    folder = f"{store_of(root)}/features/{trunk_of(root)}"
    return lambda: np.stack(pd.read_parquet(folder)["embedding"])


def load_float16(root: Path):
    from pipeline.store.features import load_features

    return lambda: load_features(store_of(root))


def load_float32(root: Path):
    from pipeline.store.features import load_features

    return lambda: load_features(store_of(root), dtype="float32")


def load_batch(root: Path):
    from pipeline.store.features import load_features

    return lambda: load_features(store_of(root), batch=NIGHT)


def read_crop(root: Path):
    """The pixels of one crop, by its id and batch."""
    import pyarrow.parquet as pq

    from pipeline.report.crop_pixels import read_crops
    from pipeline.store.store import Store

    store = Store(store_of(root))
    name = store.names("crops")[-1]
    crop_id = pq.read_table(store.local_path(name), columns=["crop_id"])["crop_id"][-1].as_py()
    recipe, batch = name.split("/")[1:3]

    def work():
        assert read_crops(store, recipe, batch, {crop_id})

    return work


def a_crop(root: Path) -> str:
    import pyarrow.parquet as pq

    folder = Path(root, "store", "features", trunk_of(root), NIGHT)
    return pq.read_table(folder / "part-00000.parquet", columns=["crop_id"])["crop_id"][7].as_py()


def nearest_query(root: Path):
    """The named query, as `dental query nearest` runs it."""
    from pipeline.store import catalog

    crop_id = a_crop(root)

    def work():
        with catalog.open_store(store_of(root)) as con:
            assert len(catalog.query(con, "nearest", crop_id=crop_id)) == 10

    return work


def nearest_first(root: Path):
    """Among all embeddings, as the first search of a process."""
    from pipeline.store.neighbours import Neighbours

    crop_id = a_crop(root)
    return lambda: Neighbours(store_of(root)).of(crop_id)


def nearest_again(root: Path):
    """As a later search of the same process."""
    from pipeline.store.neighbours import Neighbours

    neighbours = Neighbours(store_of(root))
    found = neighbours.of(a_crop(root))
    return lambda: neighbours.of(found["crop_id"].iloc[-1])


def nearest_streamed(root: Path):
    """The same with nothing kept in memory between searches."""
    from pipeline.store.neighbours import Neighbours

    neighbours = Neighbours(store_of(root), memory=0)
    found = neighbours.of(a_crop(root))
    return lambda: neighbours.of(found["crop_id"].iloc[-1])


def iterate_embeddings(root: Path):
    """All embeddings, read part by part."""
    from pipeline.store.features import iter_features

    return lambda: sum(len(embeddings) for _, embeddings in iter_features(store_of(root)))


def list_ledger(root: Path):
    """List all ledger parts, as a run does before and after it receives a part."""
    from pipeline.store.store import Store

    return lambda: Store(store_of(root)).names("scans")


def open_catalog(root: Path):
    from pipeline.store import catalog

    return lambda: catalog.open_store(store_of(root))


def batches_query(root: Path):
    from pipeline.store import catalog

    con = catalog.open_store(store_of(root))
    return lambda: catalog.query(con, "batches")


def misfiled_query(root: Path):
    """Films of one batch that may be filed under the wrong patient; part of every run."""
    from pipeline.store import catalog

    con = catalog.open_store(store_of(root))
    return lambda: catalog.query(con, "misfiled", batch=NIGHT)


def all_checks(root: Path):
    from pipeline.store import catalog

    con = catalog.open_store(store_of(root))

    def work():
        assert not catalog.check(con)

    return work
