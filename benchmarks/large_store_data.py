"""Make a store of any size by repeating the rows of a few phantoms under new ids.

Phantoms go through the pipeline; their ledger rows, crops and embeddings are then repeated, each
embedding with its own noise and gain, and written by the pipeline's writers: batches of 1,000 scans
in parts of 128, every sixth scan a panoramic of 48 crops. The last batch is a folder of 10,000
small files that exists and was planned, so that it can be delivered again unchanged.
"""

import datetime
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks import sample_scans
from benchmarks.bars import embedding
from benchmarks.temporary_stores import BATCH, default_settings
from pipeline import schemas
from pipeline.ingest.workers.pool import WorkerPool
from pipeline.stages.embed import embed_part
from pipeline.stages.plan import deliver, plan_batch
from pipeline.store import tables
from pipeline.store.open_store import OpenStore, open_for_writing
from pipeline.store.parts import read_part, write_part
from pipeline.store.registry import ModelChoice, embedder

PART, NIGHT, BIG = 128, 1000, 10_000  # scans of a part, of a batch, of the last batch
AGAIN = "again"  # the name of the last batch
WITH_CROPS = 1  # batches that have their crops, too
PANORAMICS, PERIAPICALS, EVERY_SIXTH = 16, 64, 6
FIRST = datetime.date(2024, 1, 1)
LABEL_EVERY = 5  # crops


@dataclass(frozen=True)
class Templates:
    """What the pipeline made of the phantoms; row i of `embeddings` is that of row i of `crops`."""

    scans: pa.Table
    crops: pa.Table
    embeddings: np.ndarray  # float32 (crops, width)
    crops_of: tuple[np.ndarray, ...]  # for every scan: the rows of its crops


def make(root: Path, scan_count: int, embedding_count: int) -> float:
    """Make a store of `scan_count` scans and at least `embedding_count` embeddings; the seconds."""
    started = time.monotonic()
    opened = open_for_writing(default_settings(root))
    templates, chosen = process_phantoms(root, opened)
    deliver_last_batch(root, opened)
    random, made = np.random.default_rng(0), 0
    for number, (batch, sizes) in enumerate(batches(scan_count)):
        for part, size in enumerate(sizes):
            maker = PartMaker(opened, chosen, templates, random, (batch, part, size))
            maker.scans()
            if made < embedding_count:
                made += maker.features()
            if number < WITH_CROPS:
                maker.crops()
    return time.monotonic() - started


def batches(scan_count: int) -> Iterator[tuple[str, list[int]]]:
    """Names of the batches and the sizes of their parts."""
    for number in range((scan_count - BIG) // NIGHT):
        yield f"{FIRST + datetime.timedelta(days=number):%Y%m%d}", sizes_of(NIGHT)
    yield AGAIN, sizes_of(BIG)


def sizes_of(scan_count: int) -> list[int]:
    """Scans in every part of a batch."""
    return [min(PART, scan_count - start) for start in range(0, scan_count, PART)]


def process_phantoms(root: Path, opened: OpenStore) -> tuple[Templates, ModelChoice]:
    """Receive and embed phantoms in a temporary store; copy its trunk to `opened`."""
    with get_context("spawn").Pool() as pool:
        folder = sample_scans.panoramics(root / "phantoms", pool, PANORAMICS)["jpeg"]
        for path in sample_scans.periapicals(root / "phantoms", pool, PERIAPICALS).iterdir():
            path.rename(folder / f"whole-{path.name}")
    workers = WorkerPool(os.cpu_count() or 1, 60, 4096)
    with embedding.stored_crops(root, folder, workers) as (small, chosen):
        workers.close()
        store = small.store
        embed_part(store, BATCH, 0, chosen, embedder(store, chosen).embed, lambda _: None)
        for name in store.names("models"):
            opened.store.write_bytes(name, store.read_bytes(name))
        ledger = read_part(store, tables.SCANS.part(BATCH, 0), schemas.SCANS)
        crops = read_part(store, chosen.crops.part(BATCH, 0), schemas.crops(chosen.recipe.side))
        features = read_part(store, chosen.features.part(BATCH, 0), schemas.features(chosen.width))
    owner = np.array(crops["scan_id"].to_pylist())
    crops_of = tuple(np.flatnonzero(owner == scan) for scan in ledger["scan_id"].to_pylist())
    values = features["embedding"].combine_chunks().flatten().to_numpy()
    embeddings = values.reshape(len(features), -1).astype(np.float32)
    return Templates(ledger, crops, embeddings, crops_of), chosen


class PartMaker:
    """The rows of one part: templates under new ids."""

    def __init__(
        self,
        opened: OpenStore,
        chosen: ModelChoice,
        templates: Templates,
        random: np.random.Generator,
        place: tuple[str, int, int],
    ):
        self.store, self.chosen, self.templates, self.random = (
            opened.store,
            chosen,
            templates,
            random,
        )
        self.batch, self.part, self.size = place
        panoramic = templates.scans["panoramic"].to_numpy(zero_copy_only=False).astype(bool)
        wide, narrow = np.flatnonzero(panoramic), np.flatnonzero(~panoramic)
        self.like = random.choice(narrow, self.size)  # the template of every scan
        self.like[::EVERY_SIXTH] = random.choice(wide, len(self.like[::EVERY_SIXTH]))
        self.ids, self.patients = self._hashes(), self._hashes()
        crops_of = [templates.crops_of[template] for template in self.like]
        self.rows = np.concatenate(crops_of)  # the template of every crop
        self.owners = np.repeat(np.arange(self.size), list(map(len, crops_of)))

    def scans(self) -> None:
        """Write the ledger."""
        count = self.size
        columns = {
            "batch": [self.batch] * count,
            "part": np.full(count, self.part, np.int32),
            "row": np.arange(count, dtype=np.int32),
            "file_key": self._hashes(),
            "scan_id": self.ids,
            "bytes": self.random.integers(100_000, 2_000_000, count),
            "likeness": pc.utf8_slice_codeunits(self._hashes(), 0, 16),
            "likeness_turned": self._views(),
            "patient_key": self.patients,
            **{
                name: self.random.random(count, np.float32) * 100
                for name in ("brightness", "contrast", "sharpness", "dark_share", "bright_share")
            },
        }
        table = with_columns(self.templates.scans.take(self.like), columns)
        write_part(self.store, tables.SCANS.part(self.batch, self.part), table, schemas.SCANS)

    def features(self) -> int:
        """Write embeddings and labels; how many embeddings."""
        count, width = len(self.rows), self.chosen.width
        values = self.random.standard_normal((count, width), np.float32) * 0.1 + 1
        values *= self.templates.embeddings[self.rows]
        values *= self.random.uniform(0.8, 1.2, (count, 1)).astype(np.float32)
        facts = self._facts().drop_columns("pixels")
        schema = schemas.features(width)
        vectors = pa.FixedSizeListArray.from_arrays(
            pa.array(values.astype(np.float16).ravel()), type=schema.field("embedding").type
        )
        table = facts.append_column("trunk", pa.array([self.chosen.trunk_id] * count))
        table = table.append_column(schema.field("embedding"), vectors)
        name = self.chosen.features.part(self.batch, self.part)
        write_part(self.store, name, table, schema)
        self._labels(facts)
        return count

    def crops(self) -> None:
        """Write the crops, with the pixels of the templates."""
        name = self.chosen.crops.part(self.batch, self.part)
        write_part(self.store, name, self._facts(), schemas.crops(self.chosen.recipe.side))

    def _labels(self, facts: pa.Table) -> None:
        rows = facts.select(["crop_id", "scan_id", "batch"])
        rows = rows.take(np.arange(0, len(facts), LABEL_EVERY))
        labels = self.random.choice(["healthy", "caries"], len(rows))
        rows = rows.append_column("label", pa.array(labels, pa.string()))
        rows = rows.append_column("source", pa.array(["delivered"] * len(rows)))
        rows = rows.append_column("labelled_at", pa.array(np.zeros(len(rows), "M8[us]")))
        rows = rows.append_column("decision", pa.nulls(len(rows), pa.string()))
        write_part(self.store, tables.LABELS.part(self.batch, self.part), rows, schemas.LABELS)

    def _facts(self) -> pa.Table:
        facts = self.templates.crops.take(self.rows)
        scan_ids = self.ids.take(pa.array(self.owners))
        regions = facts["region"].combine_chunks()
        columns = {
            "crop_id": pc.binary_join_element_wise(scan_ids, regions, ":"),
            "scan_id": scan_ids,
            "batch": [self.batch] * len(facts),
            "patient_key": self.patients.take(pa.array(self.owners)),
        }
        return with_columns(facts, columns)

    def _views(self) -> pa.Array:
        """Perceptual hashes of the views of every scan, so that no two scans look alike."""
        views = pc.list_value_length(self.templates.scans["likeness_turned"]).to_numpy().max()
        bits = self.random.integers(2**64, size=self.size * views, dtype=np.uint64)
        return pa.FixedSizeListArray.from_arrays(bits, views).cast(pa.list_(pa.uint64()))

    def _hashes(self) -> pa.Array:
        digits = self.random.bytes(16 * self.size).hex()
        return pa.array([digits[start : start + 32] for start in range(0, len(digits), 32)])


def with_columns(table: pa.Table, columns: dict) -> pa.Table:
    """`table` with some of its columns replaced."""
    for name, values in columns.items():
        place = table.schema.get_field_index(name)
        column = pa.array(values, table.schema.field(name).type)
        table = table.set_column(place, table.schema.field(name), column)
    return table


def deliver_last_batch(root: Path, opened: OpenStore) -> None:
    """Make the folder of the last batch, of old files so that none is waited for, and list it."""
    folder = root / AGAIN
    folder.mkdir()
    for number in range(BIG):
        path = folder / f"{number:05d}.png"
        path.write_bytes(b"%d" % number)
        os.utime(path, (sample_scans.LONG_AGO, sample_scans.LONG_AGO))
    deliver(folder, AGAIN, opened)
    plan_batch(AGAIN, opened)
