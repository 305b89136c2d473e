"""Bar 6: embedding a stored part against calling the trunk only; and the size of stored rows.

Ours reads the crops part, embeds, checks, packs and writes the features part; the reference calls
a traced trunk on the same crops in memory and discards the result: the trunk of the threads script,
as Keras computes it, and then ours, with its wide convolutions.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.bars.inputs import REPEATS, Inputs, panoramics
from benchmarks.bars.receiving import receiver
from benchmarks.comparison import Comparison, rates, seconds_of, sizes
from benchmarks.scripts.threads import load_trunk
from benchmarks.temporary_stores import BATCH, fresh_store, planned_parts
from pipeline import schemas
from pipeline.ingest.workers.pool import WorkerPool
from pipeline.model.network import BATCH as ROWS
from pipeline.model.network import in_batches
from pipeline.model.trunk_weights import PHANTOMS
from pipeline.stages.embed import embed_part
from pipeline.store.open_store import OpenStore
from pipeline.store.parts import read_part
from pipeline.store.registry import ModelChoice, choose_models, embedder

SCANS, PART = 60, 0
EMBEDDING_BAR, BYTES_BAR = 0.92, 12_000


def embedded_against_trunk(inputs: Inputs) -> Iterator[Comparison]:
    """Bar 6, and the bytes of a row."""
    with stored_crops(inputs.root, panoramics(SCANS), inputs.workers) as (opened, chosen):
        yield from compare(opened, chosen)
        yield compare_sizes(opened, chosen, inputs.root)


@contextmanager
def stored_crops(
    root: Path, folder: Path, workers: WorkerPool
) -> Iterator[tuple[OpenStore, ModelChoice]]:
    """A store in which the batch in `folder` was received as one part and not embedded."""
    with fresh_store(root, folder) as opened:
        chosen = choose_models(opened.settings, opened.store)
        planned_parts(opened)
        receiver(opened, workers).receive_part(PART)
        yield opened, chosen


def compare(opened: OpenStore, chosen: ModelChoice) -> Iterator[Comparison]:
    """Crops embedded per second; the features of the last repeat remain in the store."""
    store, ready = opened.store, embedder(opened.store, chosen)
    crops = pixels_of(opened, chosen)
    # Padded before timing: another batch size would be traced again.
    padded = np.pad(crops, [(0, -len(crops) % ROWS), (0, 0), (0, 0), (0, 0)])

    def ours() -> float:
        store.remove(chosen.features.part(BATCH, PART))
        return seconds_of(
            lambda: embed_part(store, BATCH, PART, chosen, ready.embed, lambda _: None)
        )

    def compare_with(name: str, trunk: Callable, bar: float | None) -> Comparison:
        def call_trunk() -> None:
            for start in range(0, len(padded), ROWS):
                trunk(padded[start : start + ROWS])

        def reference() -> float:
            return seconds_of(call_trunk)

        ours(), reference()
        what = "embed: crops part to features part"
        return rates(what, (len(crops), "crops"), ours, (name, reference), bar, REPEATS)

    as_keras_computes_it = load_trunk(str(PHANTOMS))
    yield compare_with(
        "traced trunk alone", lambda batch: as_keras_computes_it(batch).numpy(), EMBEDDING_BAR
    )
    yield compare_with("our network alone", ready.model.predict_on_batch, None)


def pixels_of(opened: OpenStore, chosen: ModelChoice) -> np.ndarray:
    """The stored crops, uint8 (N, side, side, 1)."""
    side = chosen.recipe.side
    name = chosen.crops.part(BATCH, PART)
    table = read_part(opened.store, name, schemas.crops(side), ["pixels"])
    pixels = b"".join(table["pixels"].to_pylist())
    return np.frombuffer(pixels, np.uint8).reshape(-1, side, side, 1)


def compare_sizes(opened: OpenStore, chosen: ModelChoice, root: Path) -> Comparison:
    """Bytes of a stored features row, and of the same vectors written by pandas as float32."""
    name = chosen.features.part(BATCH, PART)
    ids = read_part(opened.store, name, schemas.features(chosen.width), ["crop_id"])["crop_id"]
    # Embedded again: values read back from float16 compress better than those of a script.
    model, crops = embedder(opened.store, chosen).model, pixels_of(opened, chosen)
    vectors = np.concatenate(list(in_batches(model, crops)))
    plain = pd.DataFrame({"crop_id": ids.to_pylist(), "embedding": list(vectors)})
    file = root / "plain.parquet"
    plain.to_parquet(file)
    ours = opened.store.local_path(name).stat().st_size / len(plain)
    reference = "pandas, float32 lists", [file.stat().st_size / len(plain)]
    return sizes("features row on disk", "bytes", ours, reference, BYTES_BAR)
