"""Embed one part of crops with the trunk into one part of features."""

from collections.abc import Callable, Iterator
from contextlib import closing

import pyarrow as pa

from pipeline import schemas
from pipeline.progress import Advance
from pipeline.store.parts import pixel_values
from pipeline.store.prefetch import prefetch
from pipeline.store.registry import ModelChoice
from pipeline.store.store import Store
from pipeline.store.tables import Table

# Crops in a slice: 16 MB of pixels, 4 MB of embeddings. Three slices are in memory: one being
# decoded, one being embedded, one being written.
ROWS = 256


def embed_part(
    store: Store, batch: str, number: int, chosen: ModelChoice, embed: Callable, advance: Advance
) -> str:
    """Embed one part unless it is done already; return the name of its features.

    `embed` turns uint8 crops (N, side, side) into float16 embeddings (N, width).
    """
    features = chosen.features
    # The background first, since the existence of the features means that both are done.
    if not features.has(store, batch, number) and chosen.background_crops.has(store, batch, number):
        background = chosen.background_crops, chosen.background_features
        _embed(store, *background, batch, number, embed, lambda _: None)
    return _embed(store, chosen.crops, features, batch, number, embed, advance)


def _embed(
    store: Store,
    crops: Table,
    features: Table,
    batch: str,
    number: int,
    embed: Callable,
    advance: Advance,
) -> str:
    if features.has(store, batch, number):
        return features.part(batch, number)
    # The network waits neither for decoding of crops nor for encoding of embeddings.
    decoded = crops.iterate(store, batch, number, ROWS)
    with (
        closing(prefetch(decoded)) as slices,
        closing(prefetch(_embedded(slices, features, embed))) as embedded,
        features.writer(store, batch, number) as part,
    ):
        for table in embedded:
            part.write(table)
            advance(table.num_rows)
    return features.part(batch, number)


def _embedded(
    slices: Iterator[pa.RecordBatch], features: Table, embed: Callable
) -> Iterator[pa.Table]:
    for rows in slices:
        embeddings = embed(pixel_values(rows))
        columns = {name: rows.column(name) for name, _ in schemas.CROP_FACTS}
        columns["trunk"] = pa.array([features.key] * rows.num_rows, pa.string())
        columns["embedding"] = pa.FixedSizeListArray.from_arrays(
            pa.array(embeddings.reshape(-1)), type=features.schema.field("embedding").type
        )
        yield pa.table(columns, schema=features.schema)
