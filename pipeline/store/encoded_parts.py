"""Encode rows as Parquet parts while they come."""

import io
from collections.abc import Iterable
from contextlib import suppress
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.store.parts import PartWriter, conform_to_schema, encoding
from pipeline.store.store import Store


class EncodedPart:
    """A part that is encoded into `file` while its rows come.

    The pixels of a row are an array, uint8 (side, side).
    """

    def __init__(self, name: str, schema: pa.Schema, file: BinaryIO):
        self.name, self.schema, self.rows = name, schema, 0
        self._facts = pa.schema([field for field in schema if field.name != "pixels"])
        self._parquet = pq.ParquetWriter(file, schema, **encoding(schema))
        self._part = PartWriter(name, schema, self._parquet)
        self._waiting: list[dict] = []

    def add(self, rows: Iterable[dict]) -> None:
        """Append rows; they are encoded as soon as they fill a row group."""
        rows, group = list(rows), self._part.group
        self.rows += len(rows)
        self._waiting += rows
        # Making a table of one row takes 0.5 ms, and of a full row group hardly longer.
        while len(self._waiting) >= group:
            self._pack(self._waiting[:group])
            del self._waiting[:group]

    def _pack(self, rows: list[dict]) -> None:
        table = pa.Table.from_pylist(rows, self._facts)
        if "pixels" in self.schema.names:
            table = table.append_column("pixels", pixel_column([row["pixels"] for row in rows]))
        self._part.publish(conform_to_schema(self.name, table, self.schema))

    def finish(self) -> None:
        """Encode the last rows and the footer; nothing can be added afterwards."""
        if self._waiting:
            self._pack(self._waiting)
            self._waiting = []
        self._parquet.close()


class PackedPart(EncodedPart):
    """A part of few rows, encoded in memory."""

    def __init__(self, name: str, schema: pa.Schema):
        self._bytes = io.BytesIO()
        super().__init__(name, schema, self._bytes)

    def to_bytes(self) -> bytes:
        """The finished part; nothing can be added afterwards."""
        self.finish()
        return self._bytes.getvalue()


class UnfinishedPart(EncodedPart):
    """A part in an unfinished file of the store, for parts that appear together under a lock.

    On a disk its bytes are written as they come: for the crops of 60 panoramics, to write them at
    the end took 45 to 165 ms while decoding stood still. On S3 they stay in memory. Leaving the
    block without `publish` discards it.
    """

    def __init__(self, store: Store, name: str, schema: pa.Schema):
        self._unfinished = store.unfinished(name)
        super().__init__(name, schema, self._unfinished.__enter__())

    def __enter__(self) -> "UnfinishedPart":
        return self

    def __exit__(self, *error: object) -> None:
        self.discard()

    def publish(self) -> None:
        """Finish the part and give it its name."""
        self.finish()
        self._unfinished.__exit__(None, None, None)

    def discard(self) -> None:
        """Remove the file, unless it was published."""
        # On a full disk both fail, and the file is removed all the same.
        with suppress(OSError, pa.ArrowException):
            self._parquet.close()
        # Else the writer writes its footer when it is collected, into a file that is closed.
        self._parquet.is_open = False
        with suppress(_Discarded, OSError):
            self._unfinished.__exit__(_Discarded, _Discarded(), None)


class _Discarded(Exception):
    """Ends the block of an unfinished file without publishing it."""


def pixel_column(crops: list[np.ndarray]) -> pa.FixedSizeBinaryArray:
    """A column of crops, uint8 (side, side) each, which are copied once."""
    pixels = np.stack(crops)
    width = pa.binary(pixels[0].size)
    return pa.FixedSizeBinaryArray.from_buffers(width, len(crops), [None, pa.py_buffer(pixels)])
