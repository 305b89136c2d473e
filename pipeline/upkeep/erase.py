"""Erasure of the rows of scans and patients from a store, and a search for what is left.

Nothing is edited in place: a part with such rows is replaced by one without them, written whole or
not at all like every part. Rows are found by the columns scan_id, crop_id and patient_key in any
table, so a table that is added later is covered too.
"""

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.ingest.private_folder import PrivateFolder
from pipeline.progress import Advance
from pipeline.store.encoded_parts import PackedPart
from pipeline.store.parts import iter_part, part_writer, read_part
from pipeline.store.store import Store
from pipeline.store.tables import PERSONAL_COLUMNS, SCANS, schema_of

NO_COLUMNS = pa.schema([])  # required of a part: none, so that any table can be read


@dataclass(frozen=True)
class Traces:
    """Ids of scans and keyed patients that identify rows."""

    scan_ids: frozenset[str]
    patient_keys: frozenset[str] = frozenset()

    @cached_property
    def texts(self) -> tuple[bytes, ...]:
        """The ids as bytes in a file; each has 32 hex digits, so none occurs there by chance."""
        return tuple(sorted(each.encode() for each in self.scan_ids | self.patient_keys))

    def rows(self, table: pa.RecordBatch | pa.Table) -> pa.Array:
        """Return a boolean for every row of a table: whether it belongs to them."""
        found = pa.array([False] * table.num_rows)
        ids, keys = (
            pa.array(sorted(each), pa.string()) for each in (self.scan_ids, self.patient_keys)
        )
        for name, wanted in (("scan_id", ids), ("crop_id", ids), ("patient_key", keys)):
            if name in table.schema.names:
                values = table.column(name)
                if name == "crop_id":  # scan_id:region
                    values = pc.utf8_slice_codeunits(values, 0, 32)
                found = pc.or_(found, pc.fill_null(pc.is_in(values, wanted), False))
        return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def rows_in(store: Store, name: str, traces: Traces) -> int:
    """Count their rows in a part, reading the id columns alone."""
    with pq.ParquetFile(store.parquet(name, groups=[])) as file:
        columns = PERSONAL_COLUMNS.intersection(file.schema_arrow.names)
    slices = iter_part(store, name, NO_COLUMNS, 65536, sorted(columns)) if columns else ()
    return sum(pc.sum(traces.rows(rows)).as_py() or 0 for rows in slices)


def erase_rows(store: Store, name: str, traces: Traces) -> None:
    """Replace a part by one without their rows; a part of labels without rows is removed."""
    found = pq.read_schema(store.parquet(name, groups=[]))
    # Without columns that the part lacks: its batch is read by the columns of its first part.
    schema = pa.schema([field for field in schema_of(name) or found if field.name in found.names])
    kept = 0
    with part_writer(store, name, schema) as part:
        for rows in iter_part(store, name, NO_COLUMNS):
            left = rows.filter(pc.invert(traces.rows(rows)))
            kept += left.num_rows
            part.write(pa.Table.from_batches([left]))
    if not kept and name.startswith("labels/"):
        store.remove(name)


def replace_rows(store: Store, name: str, change: Callable[[dict], dict]) -> None:
    """Replace a ledger part by one with `change` applied to every row."""
    part = PackedPart(name, SCANS.schema)
    part.add(change(row) for row in read_part(store, name, SCANS.schema).to_pylist())
    store.write_bytes(name, part.to_bytes())


def erase_from_index(private: PrivateFolder, batch: str, traces: Traces, paths: Container) -> None:
    """Remove these scans and paths from the private index of a batch."""
    for file in sorted(private.root.glob(f"index/{batch}/*.parquet")):
        table = pq.read_table(file)
        rows = table.to_pylist()
        kept = [r for r in rows if r["scan_id"] not in traces.scan_ids and r["path"] not in paths]
        if len(kept) < len(rows):
            data = pa.BufferOutputStream()
            pq.write_table(pa.Table.from_pylist(kept, table.schema), data, compression="zstd")
            name = file.relative_to(private.root).as_posix()
            private.write(name, data.getvalue().to_pybytes())


def traces_left(files: Iterable[tuple[Store, str]], traces: Traces, advance: Advance) -> list[str]:
    """Return the addresses of the files that still contain any of the traces.

    Every byte of every file is searched, and every column of Parquet files once more, decoded.
    """
    left = []
    for store, name in files:
        if _contains(store, name, traces.texts):
            left.append(store.address(name))
        advance(1)
    return left


def every_file(store: Store, private: PrivateFolder) -> list[tuple[Store, str]]:
    """Return all files of a store and its private folder, with hidden and unfinished ones."""
    places = (store, Store(str(private.root)))
    return [(place, name) for place in places for name in place.everything()]


def _contains(store: Store, name: str, texts: tuple[bytes, ...]) -> bool:
    with store.content(name) as data:
        if any(data.find(text) >= 0 for text in texts):
            return True
    return name.endswith(".parquet") and any(
        text in buffer for buffer in _decoded(store, name) for text in texts
    )


def _decoded(store: Store, name: str) -> Iterator[bytes]:
    """Iterate over the decoded values of all columns of a Parquet file, as bytes."""
    with pq.ParquetFile(store.parquet(name), pre_buffer=False) as file:
        for rows in file.iter_batches(batch_size=256):
            for column in rows.columns:
                yield from (buffer.to_pybytes() for buffer in column.buffers() if buffer)
