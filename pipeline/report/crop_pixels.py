"""Pixels of stored crops, looked up by crop_id."""

import math
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pipeline.store.parts import find_rows
from pipeline.store.store import Store
from pipeline.store.tables import Table

COLUMNS = pa.schema([("crop_id", pa.string()), ("scan_w", pa.int32()), ("scan_h", pa.int32())])


class StoredCrop(NamedTuple):
    """A stored crop, uint8 (side, side), and the width and height of its scan in pixels."""

    pixels: np.ndarray
    scan_size: tuple[int, int]


def read_crops(
    store: Store, recipe_id: str, batch: str, crop_ids: set[str]
) -> dict[str, StoredCrop]:
    """Return these crops of a batch by crop_id, without those that were deleted."""
    found: dict[str, StoredCrop] = {}
    crops = Table("crops", COLUMNS, recipe_id)  # of whatever size
    for number in crops.numbers(store, batch):
        if len(found) == len(crop_ids):
            break
        name, columns = crops.part(batch, number), [*COLUMNS.names, "pixels"]
        for row in find_rows(store, name, COLUMNS, "crop_id", crop_ids, columns).to_pylist():
            side = math.isqrt(len(row["pixels"]))
            pixels = np.frombuffer(row["pixels"], np.uint8).reshape(side, side)
            found[row["crop_id"]] = StoredCrop(pixels, (row["scan_w"], row["scan_h"]))
    return found
