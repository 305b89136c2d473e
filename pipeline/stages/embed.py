"""One crops part in, one features part out: the trunk's embedding of every crop."""

from collections.abc import Callable, Iterator
from contextlib import closing

import numpy as np
import pyarrow as pa

from pipeline import schemas
from pipeline.progress import Advance
from pipeline.store.base import Store
from pipeline.store.part_names import (
    background_crops_name,
    background_features_name,
    crops_name,
    features_name,
)
from pipeline.store.parts import iter_part, part_writer
from pipeline.store.prefetch import prefetch
from pipeline.store.registry import ModelChoice

# Crops in a slice: 16 MB of pixels, 4 MB of embeddings. Three are in memory: one being unpacked,
# one being embedded, one being packed.
ROWS = 256


def embed_part(
    store: Store, batch: str, number: int, chosen: ModelChoice, embed: Callable, advance: Advance
) -> str:
    """Embed one part unless that is done already; return the name of its features.

    `embed` turns uint8 crops (N, side, side) into float16 embeddings (N, width).
    """
    name = features_name(chosen.trunk_id, batch, number)
    background = background_crops_name(chosen.recipe_id, batch, number)
    # The background first, since the existence of the features means that all is done.
    if not store.has(name) and store.has(background):
        beside = background_features_name(chosen.trunk_id, batch, number)
        _embed(store, background, beside, chosen, embed, lambda _: None)
    return _embed(store, crops_name(chosen.recipe_id, batch, number), name, chosen, embed, advance)


def _embed(
    store: Store, crops: str, name: str, chosen: ModelChoice, embed: Callable, advance: Advance
) -> str:
    if store.has(name):
        return name
    schema = schemas.features(chosen.width)
    # The network waits neither for crops to be unpacked nor for embeddings to be packed.
    unpacked = iter_part(store, crops, schemas.crops(chosen.recipe.side), ROWS)
    with (
        closing(prefetch(unpacked)) as slices,
        closing(prefetch(_embedded(slices, chosen, embed, schema))) as tables,
        part_writer(store, name, schema) as features,
    ):
        for table in tables:
            features.write(table)
            advance(table.num_rows)
    return name


def _embedded(
    slices: Iterator[pa.RecordBatch], chosen: ModelChoice, embed: Callable, schema: pa.Schema
) -> Iterator[pa.Table]:
    side = chosen.recipe.side
    for rows in slices:
        pixels = rows.column("pixels")
        # Fixed-size values lie one after the other: no copy, whatever the slice.
        start = pixels.offset * side * side
        view = np.frombuffer(pixels.buffers()[1], np.uint8, len(pixels) * side * side, start)
        embeddings = embed(view.reshape(-1, side, side))
        yield _with_embeddings(rows, embeddings, chosen.trunk_id, schema)


def _with_embeddings(
    rows: pa.RecordBatch, embeddings: np.ndarray, trunk_id: str, schema: pa.Schema
) -> pa.Table:
    item = schema.field("embedding").type
    columns = {name: rows.column(name) for name, _ in schemas.CROP_FACTS}
    columns["trunk"] = pa.array([trunk_id] * rows.num_rows, pa.string())
    columns["embedding"] = pa.FixedSizeListArray.from_arrays(
        pa.array(embeddings.reshape(-1)), type=item
    )
    return pa.table(columns, schema=schema)
