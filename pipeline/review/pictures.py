"""Pictures of the review page as WebP: crops from their parts, scans from the delivered files.

Row groups that were read are kept for the next crops of the same scan. A scan whose file is not at
hand is put together from its crops. Ids are looked up among the cards; none is part of a path.
"""

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable

import numpy as np
import pyarrow as pa

from pipeline.config import Settings
from pipeline.errors import ArtifactError, PipelineError
from pipeline.imaging.crop_mosaic import mosaic
from pipeline.imaging.crops import Place, at_most, cut, webp
from pipeline.report.source_scan import read_source_scan
from pipeline.store.parts import open_part
from pipeline.store.regions import frame_number
from pipeline.store.store import Store
from pipeline.store.tables import Table

SERVED_QUALITY = 95  # of WebP: 17 KB a crop, wrong by 1.2 grey levels; at 80, 8 KB and 2.7
SCAN_EDGE = 1800  # pixels of the longer edge of a scan
COLUMNS = pa.schema([("crop_id", pa.string())])
GROUPS, PICTURES = 24, 400  # row groups and encoded pictures kept in memory: 100 and 10 MB
SIDE = 256  # pixels of a crop that is cut again


class Kept:
    """The latest results of a function, by key."""

    def __init__(self, most: int):
        self._most, self._values, self._lock = most, OrderedDict(), threading.Lock()

    def get(self, key: Hashable, make: Callable[[], object]) -> object:
        """The value of `key`, made if it is not kept."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            self._values[key] = value
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        return value


class Pictures:
    """The pictures of a store; safe to be asked by several threads."""

    def __init__(self, settings: Settings, quality: int = SERVED_QUALITY):
        self._settings, self._store = settings, Store(settings.store)
        self._quality = quality
        self._parts, self._groups, self._encoded = Kept(400), Kept(GROUPS), Kept(PICTURES)

    def crop(self, row: dict) -> bytes | None:
        """A crop by its row of `Cards.rows`; None when neither crop nor scan is at hand."""
        return self._encoded.get(row["crop_id"], lambda: self._encode(self.crop_pixels(row)))

    def _encode(self, pixels: np.ndarray | None) -> bytes | None:
        return None if pixels is None else webp(pixels, self._quality)

    def crop_pixels(self, row: dict) -> np.ndarray | None:
        """The stored crop, uint8 (side, side), else cut again from the delivered scan."""
        stored = self._stored(row)
        if stored is None and (frame := self._frame(row)) is not None:
            square = Place(*(row[f"box_{edge}"] for edge in "xywh"))
            area = Place(0, 0, frame.shape[1], frame.shape[0])
            return cut(frame, square, area, SIDE)
        return stored

    def _stored(self, row: dict) -> np.ndarray | None:
        name, crop_id = self._part(row), row["crop_id"]
        if (group := self._groups_of(name).get(crop_id)) is None:
            return None
        try:
            crops = self._groups.get((name, group), lambda: self._read_group(name, group))
        except ArtifactError:  # deleted since
            return None
        # A part may have been replaced since its ids were read: by ids, a crop is never another's.
        if (data := crops.get(crop_id)) is None:
            return None
        side = math.isqrt(len(data))
        return np.frombuffer(data, np.uint8).reshape(side, side)

    def in_stored_order(self, rows: Iterable[dict]) -> list[dict]:
        """The rows in the order of their crops' row groups, so that each is read once."""

        def place(row: dict) -> tuple[str, int]:
            name = self._part(row)
            return name, self._groups_of(name).get(row["crop_id"], -1)

        return sorted(rows, key=place)

    def _part(self, row: dict) -> str:
        return Table("crops", COLUMNS, row["recipe"]).part(row["batch"], row["part"])

    def _groups_of(self, name: str) -> dict[str, int]:
        """The row group of every crop of a part; empty without the part."""
        return self._parts.get(name, lambda: self._read_groups_of(name))

    def _read_groups_of(self, name: str) -> dict[str, int]:
        found = {}
        try:
            with open_part(self._store, name, COLUMNS, ["crop_id"]) as file:
                for group in range(file.num_row_groups):
                    ids = file.read_row_group(group, columns=["crop_id"])["crop_id"]
                    found |= dict.fromkeys(ids.to_pylist(), group)
        except ArtifactError:  # crops may be deleted
            return {}
        return found

    def _read_group(self, name: str, group: int) -> dict[str, bytes]:
        """The pixels of a row group by crop_id."""
        columns = ["crop_id", "pixels"]
        with open_part(self._store, name, COLUMNS, columns, [group]) as file:
            rows = file.read_row_group(group, columns=columns)
        return dict(zip(*(rows[each].to_pylist() for each in columns), strict=True))

    def scan(self, rows: list[dict]) -> bytes | None:
        """The scan that these crops were cut from; None when nothing of it is at hand."""
        first = rows[0]
        if self._has_originals():
            frame = self._encoded.get(
                (first["scan_id"], frame_number(first["region"])), lambda: self._original(first)
            )
            if frame is not None:
                return frame
        return self.mosaic(rows)

    def _original(self, row: dict) -> bytes | None:
        frame = self._frame(row)
        return None if frame is None else webp(at_most(frame, SCAN_EDGE), self._quality)

    def mosaic(self, rows: list[dict]) -> bytes | None:
        """The scan put together from its crops, black where none was cut."""
        found = [(self._stored(row), row) for row in rows]
        found = [(pixels, row) for pixels, row in found if pixels is not None]
        if not found:
            return None
        squares = [Place(*(row[f"box_{edge}"] for edge in "xywh")) for _, row in found]
        size = rows[0]["scan_w"], rows[0]["scan_h"]
        return webp(mosaic([pixels for pixels, _ in found], squares, size), self._quality)

    def _has_originals(self) -> bool:
        """Whether the private folder, which knows where the scans are, is there now."""
        try:
            return (self._settings.private_folder / "key").is_file()
        except PipelineError:  # a store on S3 without the setting
            return False

    def _frame(self, row: dict) -> np.ndarray | None:
        """The delivered scan, uint8 (height, width), decoded again; None when it is not there."""
        if not self._has_originals():
            return None
        try:
            frames = read_source_scan(
                self._settings, row["scan_id"], row["batch"], row["part"], None
            )
        except (PipelineError, OSError):
            return None
        return frames[frame_number(row["region"])]
