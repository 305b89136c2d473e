"""Stored crops as pictures, found by their ids."""

import math
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pipeline.store.base import Store
from pipeline.store.parts import find_rows
from pipeline.store.tables import Table

COLUMNS = pa.schema([("crop_id", pa.string()), ("scan_w", pa.int32()), ("scan_h", pa.int32())])


class Picture(NamedTuple):
    """A stored crop, uint8 (side, side), and the width and height of its scan."""

    pixels: np.ndarray
    scan: tuple[int, int]


def read_pictures(
    store: Store, recipe_id: str, batch: str, crop_ids: set[str]
) -> dict[str, Picture]:
    """Pictures of these crops by crop_id; those whose crops were deleted are not there."""
    found: dict[str, Picture] = {}
    crops = Table("crops", COLUMNS, recipe_id)  # of whatever size
    for number in crops.numbers(store, batch):
        if len(found) == len(crop_ids):
            break
        name, columns = crops.part(batch, number), [*COLUMNS.names, "pixels"]
        for row in find_rows(store, name, COLUMNS, "crop_id", crop_ids, columns).to_pylist():
            side = math.isqrt(len(row["pixels"]))
            pixels = np.frombuffer(row["pixels"], np.uint8).reshape(side, side)
            found[row["crop_id"]] = Picture(pixels, (row["scan_w"], row["scan_h"]))
    return found
