"""Rows of crops, with their pixels, or of features, with their embeddings, for pandas and NumPy.

Facts come as a DataFrame with one row per crop, pixels or embeddings as one array whose row i
belongs to the frame's row i. Only the requested parts, columns and row groups are read.
"""

import collections
import math
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import nearest
from pipeline.errors import ArtifactError, ConfigError
from pipeline.model.float16 import to_float32
from pipeline.model.scores import splits
from pipeline.store import catalog, parts, tables
from pipeline.store.patient_sides import given_sides
from pipeline.store.regions import withdrawn_crops
from pipeline.store.store import Store
from pipeline.store.tables import Table

# Of a kind of table: the column with the array of each row, and how its values are read.
ARRAYS: dict[str, tuple[str, Callable[[pa.RecordBatch], np.ndarray]]] = {
    "features": ("embedding", parts.embedding_values),
    "crops": ("pixels", parts.pixel_values),
}
# Columns that are computed when rows are read, and what they are made of.
COMPUTED = {"label": "crop_id", "label_delivered": "crop_id", "side": "patient_key"}


@dataclass(frozen=True)
class CropFilter:
    """Which rows are requested; None for all."""

    batch: str | Sequence[str] | None = None
    label: str | Sequence[str] | None = None
    side: str | Sequence[str] | None = None


class CropFacts:
    """What is known of crops and patients now, beyond what a part says of them."""

    def __init__(self, store: Store):
        self._store = store

    @cached_property
    def labels(self) -> pd.Series:
        """Labels in force by crop_id, of the crops that have one."""
        return labels_in_force(self._store)

    @cached_property
    def withdrawn(self) -> frozenset[str]:
        """Ids of the crops that reviewers withdrew or moved, which are left out."""
        return withdrawn_crops(self._store)

    @cached_property
    def delivered(self) -> pd.Series:
        """Labels that came with the scans, by crop_id."""
        return catalog.ask(self._store, "delivered_labels").set_index("crop_id")["label"]

    @cached_property
    def given_sides(self) -> dict[str, str]:
        """Sides by patient_key, of the patients whose side is given."""
        with catalog.open_store(self._store, "given_sides") as con:
            return given_sides(con)

    def add(self, frame: pd.DataFrame, columns: Collection[str]) -> None:
        """Add those of the computed columns that are requested."""
        if "label_delivered" in columns:
            frame["label_delivered"] = frame["crop_id"].map(self.delivered).astype("str")
        if "label" in columns:
            add_label(frame, self.labels)
        if "side" in columns:
            known = frame["patient_key"].dropna()
            sides = splits.sides(list(known), self.given_sides)
            frame["side"] = pd.Series(sides, known.index, "str")


@dataclass(frozen=True)
class CropQuery:
    """The requested rows and columns of one table, all of which exist."""

    store: Store
    table: Table
    names: list[str]  # of parts
    columns: list[str]
    wanted: dict[str, list[str]]  # values that are kept, by computed column
    facts: CropFacts

    @classmethod
    def of(
        cls,
        store: Store,
        table: Table,
        kept: CropFilter,
        columns: Sequence[str] | None = None,
    ) -> "CropQuery":
        """Check a request; ConfigError for a batch, label, side or column that does not exist."""
        known = columns_of(table)
        requested = known if columns is None else require_known("column", columns, known)
        facts, wanted = CropFacts(store), {}
        if kept.label is not None:
            wanted["label"] = require_known("label", kept.label, sorted(facts.labels.unique()))
        if kept.side is not None:
            wanted["side"] = require_known("side", kept.side, splits.SIDES)
        return cls(store, table, parts_of(store, table, kept.batch), requested, wanted, facts)

    def frame(self, names: Sequence[str]) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
        """Facts of the requested rows of these parts, and which rows of every part they are."""
        needed = {*self.columns, *self.wanted, "crop_id"}
        stored = {COMPUTED.get(name, name) for name in needed} - COMPUTED.keys()
        # In the order of the schema, so that parts of several versions can be concatenated.
        read = [name for name in self.table.schema.names if name in stored]
        found = [parts.read_part(self.store, name, self.table.schema, read) for name in names]
        frame = pa.concat_tables(found).to_pandas() if found else pd.DataFrame(columns=read)
        self.facts.add(frame, needed)
        keep = ~frame["crop_id"].isin(self.facts.withdrawn).to_numpy()
        for column, values in self.wanted.items():
            keep &= frame[column].isin(values).to_numpy()
        ends = np.cumsum([table.num_rows for table in found])[:-1]
        kept_rows = dict(zip(names, np.split(keep, ends), strict=True)) if found else {}
        return frame.loc[keep, self.columns].reset_index(drop=True), kept_rows

    def rows(
        self, names: Sequence[str], dtype: np.typing.DTypeLike
    ) -> tuple[pd.DataFrame, np.ndarray]:
        """Facts and arrays of the requested rows of these parts."""
        frame, kept_rows = self.frame(names)
        array = np.empty((len(frame), *shape_of(self.table)), dtype)
        fill(array, self.store, self.table, kept_rows)
        return frame, array

    def iterate(self, dtype: np.typing.DTypeLike) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
        """Like `rows`, part by part; parts without a requested row are skipped."""
        for name in self.names:
            frame, array = self.rows([name], dtype)
            if len(frame):
                yield frame, array


def columns_of(table: Table) -> list[str]:
    """The facts of a table's rows, stored and computed, in their order."""
    array, _ = ARRAYS.get(table.kind, (None, None))
    stored = [name for name in table.schema.names if name != array]
    return [*stored, *(name for name in COMPUTED if name not in stored)]


def shape_of(table: Table) -> tuple[int, ...]:
    """The shape of one row's array: (width,) of an embedding, (side, side) of pixels."""
    if table.kind == "features":
        return (table.schema.field("embedding").type.list_size,)
    side = math.isqrt(table.schema.field("pixels").type.byte_width)
    return (side, side)


def parts_of(store: Store, table: Table, batch: str | Sequence[str] | None) -> list[str]:
    """Names of the parts of `table`, or of some batches alone, in order."""
    names = table.names(store)
    if batch is None:
        return names
    batches = {name: tables.parse(name).batch for name in names}
    requested = require_known("batch", batch, sorted(set(batches.values())))
    if not requested:
        raise ConfigError("An empty list of batches asks for nothing; name some, or none for all.")
    return [name for name in names if batches[name] in requested]


def require_known(kind: str, given: str | Sequence[str], known: Sequence[str]) -> list[str]:
    """`given` as a list; ConfigError when one of them is not known."""
    given = [given] if isinstance(given, str) else list(given)
    for each in given:
        if each not in known:
            hint = nearest(each, list(known)) if known else "There is none at all yet."
            raise ConfigError(f"There is nothing with {kind} `{each}`. {hint}")
    return given


def labels_in_force(store: Store) -> pd.Series:
    """Labels by crop_id, of the crops that have one."""
    with catalog.open_store(store, "labels_now") as con:
        rows = con.table("labels_now").to_arrow_table().to_pandas()
    return rows.set_index("crop_id")["label"]


def add_label(frame: pd.DataFrame, in_force: pd.Series) -> None:
    """Add the label in force of every crop of `frame`, null where there is none."""
    frame["label"] = frame["crop_id"].map(in_force).astype("str")


def fill(array: np.ndarray, store: Store, table: Table, kept_rows: dict[str, np.ndarray]) -> None:
    """Copy the kept rows of every part into `array`, which has exactly as many rows.

    One part per core at a time: decoding and copying release Python's lock.
    """
    ends = np.cumsum([np.count_nonzero(kept) for kept in kept_rows.values()])
    slices = np.split(array, ends[:-1]) if len(ends) else []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        filled = pool.map(partial(fill_part, store, table), kept_rows.items(), slices)
        collections.deque(filled, maxlen=0)


def fill_part(store: Store, table: Table, part: tuple[str, np.ndarray], array: np.ndarray) -> None:
    """Copy the kept rows of one part into `array`, which has exactly as many rows."""
    (name, kept), start = part, 0
    with parts.open_part(store, name, table.schema, [ARRAYS[table.kind][0]]) as file:
        if file.metadata.num_rows != len(kept):
            raise ArtifactError(
                f"{name} was replaced while it was read: {len(kept)} rows first, then "
                f"{file.metadata.num_rows}. Load it again."
            )
        for rows in kept_values(file, table, kept):
            here = array[start : start + len(rows)]
            if here.dtype == np.float32 and rows.dtype == np.float16:
                to_float32(rows, here)
            else:
                here[:] = rows
            start += len(rows)


def kept_values(file: pq.ParquetFile, table: Table, kept: np.ndarray) -> Iterator[np.ndarray]:
    """The arrays of the kept rows of one part, row group by row group."""
    column, values_of = ARRAYS[table.kind]
    start = 0
    for group in range(file.num_row_groups):
        here = kept[start : start + file.metadata.row_group(group).num_rows]
        start += len(here)
        if here.any():
            [rows] = file.read_row_group(group, columns=[column]).combine_chunks().to_batches()
            values = values_of(rows)
            yield values if here.all() else values[here]


def row_shape(store: Store, kind: str, key: str) -> tuple[int, ...]:
    """The shape of a row's array in the parts of a trunk or recipe, from the first of them.

    (width,) for embeddings, (side, side) for pixels. Raises ArtifactError for other columns.
    """
    name = next(name for name in store.names(f"{kind}/{key}") if tables.parse(name))
    with parts.open_part(store, name, pa.schema([]), groups=[]) as file:
        found = file.schema_arrow
    column = ARRAYS[kind][0]
    index = found.get_field_index(column)
    stored = found.field(index).type if index >= 0 else pa.null()
    if pa.types.is_fixed_size_list(stored):
        return (stored.list_size,)
    if pa.types.is_fixed_size_binary(stored):
        side = math.isqrt(stored.byte_width)
        return (side, side)
    raise ArtifactError(
        f"{name} has columns {found.names}, expected `{column}` of one size. Another version of "
        "this code wrote it: remove it and run its batch again."
    )
