"""What people and the pipeline ask of a store, each as something to clock in a fresh process.

A question takes the folder that `synthetic` made, imports and finds what it needs, and returns the
work to be clocked. Imports stand inside, so that no question pays for another's in memory.
"""

import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

NIGHT, AGAIN = "20240101", "again"  # a batch with embeddings, and the folder that comes again
Question = Callable[[Path], Callable[[], object]]


@dataclass(frozen=True)
class Answer:
    """What one question took."""

    seconds: float
    peak_mb: float  # the greatest resident memory of the process, imports and all


def ask(question: Question, root: Path) -> Answer:
    """Ask in a fresh process of the store in `root`."""
    return freshly(answer, question, root)


def freshly(work: Callable, *arguments):
    """The result of `work` in a process of its own, which may start others."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def answer(question: Question, root: Path) -> Answer:
    """Ask in this process."""
    work = question(root)
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Answer(seconds, peak / (2**20 if sys.platform == "darwin" else 2**10))


def store_of(root: Path) -> str:
    return f"{root}/store"


def trunk_of(root: Path) -> str:
    return next(Path(root, "store", "features").iterdir()).name


def facts_of_night(root: Path):
    """The ledger of one batch in plain pandas: its folder."""
    import pandas as pd

    return lambda: pd.read_parquet(f"{store_of(root)}/scans/{NIGHT}")


def facts_by_filter(root: Path):
    """The same out of the whole table: pandas opens every part for its statistics."""
    import pandas as pd

    wanted = [("batch", "==", NIGHT)]
    return lambda: pd.read_parquet(f"{store_of(root)}/scans", filters=wanted)


def facts_by_folder(root: Path):
    """The same with folders named as what they are, so that no other part is opened."""
    import pandas as pd
    import pyarrow as pa
    from pyarrow.dataset import partitioning

    folders, wanted = partitioning(pa.schema([("batch", pa.string())])), [("batch", "==", NIGHT)]
    table = f"{store_of(root)}/scans"
    return lambda: pd.read_parquet(table, filters=wanted, partitioning=folders)


def crops_by_filter(root: Path):
    """Facts of one batch's crops out of all embeddings, by statistics."""
    import pandas as pd

    folder, wanted = f"{store_of(root)}/features/{trunk_of(root)}", [("batch", "==", NIGHT)]
    columns = ["crop_id", "patient_key", "region_kind", "tooth", "label"]
    return lambda: pd.read_parquet(folder, filters=wanted, columns=columns)


def delivered_again(root: Path):
    """Plan and receive the folder of 10,000 files, of which none is new."""
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


def duplicates(root: Path):
    """Look up every scan of one night, as a run does that receives them again."""
    import pandas as pd

    from pipeline.stages.duplicates import AcceptedInStore
    from pipeline.store.base import Store

    night = pd.read_parquet(f"{store_of(root)}/scans/{NIGHT}", columns=["scan_id", "bytes"])

    def work():
        accepted = AcceptedInStore(Store(store_of(root)), set(night["bytes"]))
        accepted.refresh()
        assert {accepted.batch_of(scan_id) for scan_id in night["scan_id"]} == {NIGHT}

    return work


def pandas_embeddings(root: Path):
    """All embeddings as a plain script has them."""
    import numpy as np
    import pandas as pd

    folder = f"{store_of(root)}/features/{trunk_of(root)}"
    return lambda: np.stack(pd.read_parquet(folder)["embedding"])


def embeddings16(root: Path):
    from pipeline.store.features import load_features

    return lambda: load_features(store_of(root))


def embeddings32(root: Path):
    from pipeline.store.features import load_features

    return lambda: load_features(store_of(root), dtype="float32")


def embeddings_of_night(root: Path):
    from pipeline.store.features import load_features

    return lambda: load_features(store_of(root), batch=NIGHT)


def one_crop(root: Path):
    """The pixels of one crop, by its id and batch."""
    import pyarrow.parquet as pq

    from pipeline.report.crop_pixels import read_crops
    from pipeline.store.base import Store

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
    """The named query, as `dental query nearest` asks it."""
    from pipeline.store import catalog

    crop_id = a_crop(root)

    def work():
        with catalog.open_store(store_of(root)) as con:
            assert len(catalog.query(con, "nearest", crop_id=crop_id)) == 10

    return work


def nearest_first(root: Path):
    """Among all embeddings, in a process that asks for the first time."""
    from pipeline.store.neighbours import Neighbours

    crop_id = a_crop(root)
    return lambda: Neighbours(store_of(root)).of(crop_id)


def nearest_again(root: Path):
    """Another crop, in the same process."""
    from pipeline.store.neighbours import Neighbours

    like = Neighbours(store_of(root))
    found = like.of(a_crop(root))
    return lambda: like.of(found["crop_id"].iloc[-1])


def nearest_streamed(root: Path):
    """The same with nothing kept between questions."""
    from pipeline.store.neighbours import Neighbours

    like = Neighbours(store_of(root), memory=0)
    found = like.of(a_crop(root))
    return lambda: like.of(found["crop_id"].iloc[-1])


def streamed(root: Path):
    """All embeddings, part by part."""
    from pipeline.store.features import iter_features

    return lambda: sum(len(embeddings) for _, embeddings in iter_features(store_of(root)))


def ledger_listed(root: Path):
    """Names of all ledger parts: before every part that is received, and again to commit it."""
    from pipeline.store.base import Store

    return lambda: Store(store_of(root)).names("scans")


def catalog_opened(root: Path):
    from pipeline.store import catalog

    return lambda: catalog.open_store(store_of(root))


def batches_query(root: Path):
    from pipeline.store import catalog

    con = catalog.open_store(store_of(root))
    return lambda: catalog.query(con, "batches")


def look_alikes(root: Path):
    """Films of one batch that may be filed under the wrong patient; every run asks this."""
    from pipeline.store import catalog

    con = catalog.open_store(store_of(root))
    return lambda: catalog.query(con, "misfiled", batch=NIGHT)


def all_checks(root: Path):
    from pipeline.store import catalog

    con = catalog.open_store(store_of(root))

    def work():
        assert not catalog.check(con)

    return work
