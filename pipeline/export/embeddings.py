"""The embeddings and pixels of an export's crops, part by part, in the order of the store."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pipeline.export.job import Export
from pipeline.export.rows import records
from pipeline.progress import progress
from pipeline.store import features


def iter_embeddings(export: Export) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
    """Rows of the export and their embeddings, float16 (N, width), part by part."""
    trunk = export.rows.provenance["trunk"]
    parts = features.iter_features(
        export.store, trunk=trunk, columns=["crop_id"], **vars(export.kept)
    )
    yield from _with_rows(export, "embeddings", parts)


def iter_pixels(export: Export) -> Iterator[tuple[dict, np.ndarray]]:
    """Every row of the export whose crop is still stored, and its pixels, uint8 (side, side)."""
    recipe = export.rows.provenance["recipe"]
    parts = features.iter_crops(
        export.store, recipe=recipe, columns=["crop_id"], **vars(export.kept)
    )
    for rows, pixels in _with_rows(export, "crops", parts):
        yield from zip(records(rows), pixels, strict=True)


def _with_rows(
    export: Export, what: str, parts: Iterator[tuple[pd.DataFrame, np.ndarray]]
) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
    """The arrays of each part with the rows of the export that they belong to."""
    crops = export.rows.crops
    place = pd.Series(crops.index, index=crops["crop_id"])
    with progress(what, len(crops)) as advance:
        for found, values in parts:
            # A run may add to the store meanwhile; the rows of the export are those of its start.
            places = found["crop_id"].map(place)
            known = places.notna().to_numpy()
            yield crops.loc[places[known].astype(int)], values[known]
            advance(int(known.sum()))
