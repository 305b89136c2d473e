"""Stored crops as pictures, found by their ids."""

import math
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.store.folder import Store
from pipeline.store.parts import crops_name, opened, part_numbers

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
    for number in part_numbers(store, f"crops/{recipe_id}/{batch}"):
        if len(found) == len(crop_ids):
            break
        with opened(store, crops_name(recipe_id, batch, number), COLUMNS) as part:
            found |= _pictures_of(part, crop_ids)
    return found


def _pictures_of(part: pq.ParquetFile, crop_ids: set[str]) -> dict[str, Picture]:
    """Pictures of those crops that stand in this part; other row groups' pixels stay unread."""
    found = {}
    side = math.isqrt(part.schema_arrow.field("pixels").type.byte_width)
    for group in range(part.num_row_groups):
        ids = part.read_row_group(group, columns=["crop_id"])["crop_id"].to_pylist()
        wanted = [row for row, crop_id in enumerate(ids) if crop_id in crop_ids]
        if not wanted:
            continue
        columns = [*COLUMNS.names, "pixels"]
        for row in part.read_row_group(group, columns=columns).take(wanted).to_pylist():
            pixels = np.frombuffer(row["pixels"], np.uint8).reshape(side, side)
            found[row["crop_id"]] = Picture(pixels, (row["scan_w"], row["scan_h"]))
    return found
