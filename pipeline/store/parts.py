"""Write and read Parquet parts. A part that exists is finished.

Columns and types are those of `pipeline.schemas`, checked on writing and on reading. The same rows
give the same bytes, in whatever slices they arrive; a part holds no time of writing.
"""

import contextlib
import math
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline import schemas
from pipeline.errors import ArtifactError
from pipeline.store.store import Store

# Columns with nearly all of a part's bytes, and the zstd level for their tables: crops
# of 116 real panoramics take 0.28, 0.35 and 0.57 ms and 27, 24 and 22 KB each at levels 1, 2 and 3.
WIDE = {"pixels": 2, "embedding": 1}


def write_part(store: Store, name: str, table: pa.Table, schema: pa.Schema) -> str:
    """Write `table` as the part `name`, whole or not at all, and return the name.

    Raises ArtifactError when the table does not fit `schema` or holds embeddings that are not
    finite; then nothing is written.
    """
    with part_writer(store, name, schema) as part:
        part.write(table)
    return name


@contextlib.contextmanager
def part_writer(store: Store, name: str, schema: pa.Schema) -> Iterator["PartWriter"]:
    """A part that is written slice by slice and appears when the block ends.

    An exception in the block leaves nothing. Raises ArtifactError like `write_part`.
    """
    with (
        store.unfinished(name) as file,
        pq.ParquetWriter(file, schema, **encoding(schema)) as parquet,
    ):
        part = PartWriter(name, schema, parquet)
        yield part
        part.flush()


class PartWriter:
    """Cuts the rows it is given into row groups, the unit of reading."""

    def __init__(self, name: str, schema: pa.Schema, parquet: pq.ParquetWriter):
        self.name, self.schema, self.parquet = name, schema, parquet
        self.group = group_rows(schema)
        self.waiting = schema.empty_table()

    def write(self, table: pa.Table) -> None:
        """Append the rows of `table`."""
        rows = conform_to_schema(self.name, table, self.schema)
        # Full groups only: otherwise the bytes would depend on the sizes of the slices, which
        # differ between machines.
        self.waiting = pa.concat_tables([self.waiting, rows])
        while self.waiting.num_rows >= self.group:
            self.publish(self.waiting.slice(0, self.group))
            self.waiting = self.waiting.slice(self.group)

    def flush(self) -> None:
        """Write the remaining rows. A part without rows keeps its columns."""
        if self.waiting.num_rows:
            self.publish(self.waiting)

    def publish(self, rows: pa.Table) -> None:
        """Write one row group with unchunked columns, since chunks change the bytes too."""
        self.parquet.write_table(rows.combine_chunks(), row_group_size=self.group)


def group_rows(schema: pa.Schema) -> int:
    """Rows per row group: few enough to read one crop or embedding without its whole part."""
    if "pixels" in schema.names:
        return 64
    return 256 if "embedding" in schema.names else 8192


def encoding(schema: pa.Schema) -> dict:
    """Options of the Parquet writer for a table of `schema`.

    Pixels and embeddings do not repeat and are never searched by value: a dictionary or statistics
    of them would only take space. Embeddings stay plain, since DuckDB 2.0 refuses
    BYTE_STREAM_SPLIT of float16.
    """
    facts = [field.name for field in schema if field.name not in WIDE]
    return {
        "compression": "zstd",
        "compression_level": min((WIDE[name] for name in WIDE if name in schema.names), default=3),
        "use_dictionary": facts,
        "write_statistics": facts,
    }


def conform_to_schema(name: str, table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows of `table` with the columns and types of `schema`; ArtifactError if impossible."""
    unknown = sorted(set(table.column_names) - set(schema.names))
    lacking = sorted(set(schema.names) - set(table.column_names))
    if unknown or lacking:
        raise ArtifactError(
            f"{name} was to be written with columns {table.column_names}, expected "
            f"{schema.names}: {', '.join(unknown + lacking)} is wrong. Nothing was written."
        )
    if missing := sum(table.column(each).null_count for each in WIDE if each in schema.names):
        raise ArtifactError(
            f"{name} was to be written with {missing} rows that lack their pixels or embedding; "
            "expected one for every crop. Nothing was written."
        )
    try:
        rows = table.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ArtifactError(
            f"{name} was to be written with values that do not fit its columns ({error}); "
            f"expected {', '.join(map(str, schema.types))}. Nothing was written."
        ) from None
    if "embedding" in schema.names:
        refuse_non_finite(name, rows.column("embedding"))
    return rows


def refuse_non_finite(name: str, embeddings: pa.ChunkedArray) -> None:
    """Raise ArtifactError when an embedding holds infinity or NaN."""
    values = [chunk.flatten().to_numpy() for chunk in embeddings.chunks]
    if bad := sum(np.count_nonzero(~np.isfinite(each)) for each in values):
        raise ArtifactError(
            f"{name} was to be written with {bad} embedding values that are infinite or no "
            "numbers, expected finite ones; float16 ends at 65504. Nothing was written: check the "
            "trunk's weights."
        )


@contextlib.contextmanager
def open_part(
    store: Store,
    name: str,
    schema: pa.Schema,
    columns: list[str] | None = None,
    groups: list[int] | None = None,
) -> Iterator[pq.ParquetFile]:
    """The part `name`, open for reading, after checking its columns against `schema`.

    `columns` and row `groups` limit what will be read, all by default. On S3 only these are
    fetched; with no groups, only the footer is.
    """
    try:
        # Pre-buffering would hold every row group at once.
        file = pq.ParquetFile(store.parquet(name, columns, groups), pre_buffer=False)
    except FileNotFoundError:
        raise ArtifactError(f"{name} is missing, expected a part; run its batch again.") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise ArtifactError(
            f"{name} cannot be read as Parquet ({error}), expected a part. Remove it and run its "
            "batch again."
        ) from None
    with file:
        if wrong := schemas.require(file.schema_arrow, schema):
            raise ArtifactError(
                f"{name} has columns {file.schema_arrow.names}, expected {schema.names}: "
                f"{', '.join(wrong)} is missing or of another type. Another version of this code "
                "wrote it: remove it and run its batch again."
            )
        yield file


def read_part(
    store: Store, name: str, schema: pa.Schema, columns: list[str] | None = None
) -> pa.Table:
    """Read one part, or some of its `columns`; ArtifactError when it does not fit `schema`."""
    with open_part(store, name, schema, columns) as file:
        return _completed(file.read(columns=columns), schema, columns)


def row_count(store: Store, name: str) -> int:
    """Number of rows of a part, read from its footer."""
    return pq.read_metadata(store.parquet(name, groups=[])).num_rows


def iter_part(
    store: Store, name: str, schema: pa.Schema, rows: int = 256, columns: list[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Read a part in slices of at most `rows` rows, holding at most two row groups.

    Raises ArtifactError like `read_part`, at the first slice.
    """
    with open_part(store, name, schema, columns) as file:
        for batch in file.iter_batches(batch_size=rows, columns=columns):
            yield _completed(batch, schema, columns)


def _completed(rows, schema: pa.Schema, columns: list[str] | None):
    """A table or batch with nulls for the columns of `schema` that are newer than the part."""
    names = schema.names if columns is None else columns
    lacking = [name for name in schemas.LATER.names if name in set(names) - {*rows.schema.names}]
    for name in lacking:
        field = schemas.LATER.field(name)
        rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    # In the column order of current parts, so that both can be concatenated.
    return rows.select([name for name in names if name in rows.schema.names]) if lacking else rows


def find_rows(
    store: Store, name: str, schema: pa.Schema, key: str, ids: Iterable[str], columns: list[str]
) -> pa.Table:
    """Some `columns` of the rows whose `key` is one of `ids`, in the order of the part.

    Of row groups without such a row, only the key is read. Raises ArtifactError like `read_part`.
    """
    values = pa.array(sorted(ids), pa.string())
    with open_part(store, name, schema, [key]) as file:
        groups = range(file.num_row_groups)
        keys = (file.read_row_group(group, columns=[key])[key] for group in groups)
        masks = {group: pc.is_in(each, values) for group, each in zip(groups, keys, strict=True)}
    masks = {group: mask for group, mask in masks.items() if pc.any(mask).as_py()}
    with open_part(store, name, schema, columns, list(masks)) as file:
        read = (file.read_row_group(group, columns=columns) for group in masks)
        found = [rows.filter(mask) for rows, mask in zip(read, masks.values(), strict=True)]
        return pa.concat_tables(found or [file.schema_arrow.empty_table().select(columns)])


def embedding_values(rows: pa.Table | pa.RecordBatch) -> np.ndarray:
    """The embeddings of some rows, float16 (n, width).

    The values are contiguous, so no row becomes a Python object, and they are not copied unless
    the table is chunked.
    """
    column = rows.column("embedding")
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return column.flatten().to_numpy().reshape(len(column), column.type.list_size)


def pixel_values(rows: pa.RecordBatch) -> np.ndarray:
    """The pixels of some crops, uint8 (n, side, side), without a copy whatever the slice."""
    pixels = rows.column("pixels")
    side = math.isqrt(pixels.type.byte_width)
    start = pixels.offset * side * side
    values = np.frombuffer(pixels.buffers()[1], np.uint8, len(pixels) * side * side, start)
    return values.reshape(-1, side, side)
