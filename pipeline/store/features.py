"""Load embeddings and their facts into NumPy and pandas.

Facts come as a DataFrame with one row per crop, embeddings as one array of shape (N, width) whose
row i belongs to the frame's row i. Only the requested parts, columns and row groups are read.
"""

import collections
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import schemas
from pipeline.config import nearest
from pipeline.errors import ArtifactError, ConfigError
from pipeline.store import catalog, parts, tables
from pipeline.store.float16 import to_float32
from pipeline.store.store import Store
from pipeline.store.tables import Table

FACTS = [name for name in schemas.features(1).names if name != "embedding"]


def load_features(
    store: str | Path | Store,
    *,
    trunk: str | None = None,
    batch: str | list[str] | None = None,
    label: str | list[str] | None = None,
    columns: list[str] | None = None,
    dtype: np.typing.DTypeLike = np.float16,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Facts and embeddings of `trunk`, by default the champion's or the only one there is.

    `batch` and `label` keep the rows of one or several. Labels, here and in the column `label`, are
    those in force: null for a crop without one. `columns` selects facts, all by default. Returns a
    frame of N rows and an array (N, width) of `dtype`, in the order of batches, parts and rows.

    Raises ConfigError for a trunk, batch, label or column that does not exist, naming those that
    do, and ArtifactError for a damaged part.
    """
    query = FeatureQuery.of(store, trunk, batch, label, columns)
    return query.rows(query.names, dtype)


def iter_features(
    store: str | Path | Store,
    *,
    trunk: str | None = None,
    batch: str | list[str] | None = None,
    label: str | list[str] | None = None,
    columns: list[str] | None = None,
    dtype: np.typing.DTypeLike = np.float16,
) -> Iterator[tuple[pd.DataFrame, np.ndarray]]:
    """Like `load_features`, part by part, for more embeddings than fit into memory.

    Two parts are in memory: the one being read and the caller's. Parts without a matching row are
    skipped. Raises like `load_features`, at the first part.
    """
    query = FeatureQuery.of(store, trunk, batch, label, columns)
    for name in query.names:
        frame, embeddings = query.rows([name], dtype)
        if len(frame):
            yield frame, embeddings


@dataclass(frozen=True)
class FeatureQuery:
    """The requested rows and columns, all of which exist."""

    store: Store
    names: list[str]  # of parts
    table: Table
    columns: list[str]
    labels: list[str] | None  # of the requested rows; None for all
    in_force: pd.Series | None  # labels by crop_id, if needed

    @classmethod
    def of(cls, store, trunk, batch, label, columns) -> "FeatureQuery":
        """Check a request; ConfigError for what does not exist."""
        store = catalog.as_store(store)
        facts = FACTS if columns is None else require_known("column", columns, FACTS)
        table = features_of(store, trunk)
        names = parts_of(store, table, batch)
        in_force = labels = None
        if label is not None or "label" in facts:
            in_force = labels_in_force(store)
        if label is not None:
            labels = require_known("label", label, sorted(in_force.unique()))
        return cls(store, names, table, facts, labels, in_force)

    def rows(self, names: list[str], dtype: np.typing.DTypeLike) -> tuple[pd.DataFrame, np.ndarray]:
        """Facts and embeddings of these parts."""
        # The label in force is not the delivered one in the part; it is found by crop_id.
        needed = sorted({*self.columns, "crop_id"} - {"label"})
        tables = [parts.read_part(self.store, name, self.table.schema, needed) for name in names]
        frame = pa.concat_tables(tables).to_pandas()
        keep = np.ones(len(frame), bool)
        if self.in_force is not None:
            add_label(frame, self.in_force)
        if self.labels is not None:
            keep = frame["label"].isin(self.labels).to_numpy()
        width = self.table.schema.field("embedding").type.list_size
        embeddings = np.empty((np.count_nonzero(keep), width), dtype)
        ends = np.cumsum([table.num_rows for table in tables])[:-1]
        kept_rows = dict(zip(names, np.split(keep, ends), strict=True))
        fill(embeddings, self.store, self.table.schema, kept_rows)
        return frame.loc[keep, self.columns].reset_index(drop=True), embeddings


def add_label(frame: pd.DataFrame, in_force: pd.Series) -> None:
    """Add the label in force of every crop of `frame`, null where there is none."""
    frame["label"] = frame["crop_id"].map(in_force).astype("str")


def trunk_of(store: Store, trunk: str | None) -> str:
    """`trunk` if it has features here, by default the champion's or the only one."""
    trunks = tables.keys(store, "features")
    if trunk is None:
        champions = [promotion["trunk"] for promotion in catalog.promotions(store)]
        if not champions and len(trunks) > 1:
            raise ConfigError(
                f"The store has features of several trunks and no champion; give `trunk`, one of "
                f"{', '.join(trunks)}."
            )
        trunk = (champions or trunks or [None])[-1]
    if trunk is None:
        raise ConfigError(f"The store {store.root} has no features yet; run a batch first.")
    return require_known("trunk", trunk, trunks)[0]


def features_of(store: Store, trunk: str | None) -> Table:
    """The embeddings of `trunk`, by default the champion's or the only one; see `trunk_of`."""
    trunk_id = trunk_of(store, trunk)
    first = next(name for name in store.names(f"features/{trunk_id}") if tables.parse(name))
    return tables.features(trunk_id, width_of(store, first))


def parts_of(store: Store, features: Table, batch: str | list[str] | None) -> list[str]:
    """Names of the parts of `features`, or of some batches alone, in order."""
    names = features.names(store)
    if batch is None:
        return names
    batches = {name: tables.parse(name).batch for name in names}
    requested = require_known("batch", batch, sorted(set(batches.values())))
    if not requested:
        raise ConfigError("An empty list of batches asks for nothing; name some, or none for all.")
    return [name for name in names if batches[name] in requested]


def require_known(kind: str, given: str | list[str], known: list[str]) -> list[str]:
    """`given` as a list; ConfigError when one of them is not known."""
    given = [given] if isinstance(given, str) else list(given)
    for each in given:
        if each not in known:
            hint = nearest(each, known) if known else "There is none at all yet."
            raise ConfigError(f"No features with {kind} `{each}`. {hint}")
    return given


def width_of(store: Store, name: str) -> int:
    """Values per embedding in the part `name`; ArtifactError when it holds none."""
    with parts.open_part(store, name, pa.schema([]), groups=[]) as file:
        found = file.schema_arrow
    index = found.get_field_index("embedding")
    if index < 0 or not pa.types.is_fixed_size_list(found.field(index).type):
        raise ArtifactError(
            f"{name} has columns {found.names}, expected embeddings of a fixed width. Another "
            "version of this code wrote it: remove it and run its batch again."
        )
    return found.field(index).type.list_size


def labels_in_force(store: Store) -> pd.Series:
    """Labels by crop_id, of the crops that have one."""
    rows = catalog.open_store(store).table("labels_now").to_arrow_table().to_pandas()
    return rows.set_index("crop_id")["label"]


def fill(
    embeddings: np.ndarray, store: Store, schema: pa.Schema, kept_rows: dict[str, np.ndarray]
) -> None:
    """Copy the kept rows of every part into `embeddings`, which has exactly as many rows.

    One part per core at a time: decoding and copying release Python's lock.
    """
    ends = np.cumsum([np.count_nonzero(kept) for kept in kept_rows.values()])
    slices = np.split(embeddings, ends[:-1])
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        filled = pool.map(partial(fill_part, store, schema), kept_rows.items(), slices)
        collections.deque(filled, maxlen=0)


def fill_part(
    store: Store, schema: pa.Schema, part: tuple[str, np.ndarray], embeddings: np.ndarray
) -> None:
    """Copy the kept rows of one part into `embeddings`, which has exactly as many rows."""
    (name, kept), start = part, 0
    with parts.open_part(store, name, schema, ["embedding"]) as file:
        if file.metadata.num_rows != len(kept):
            raise ArtifactError(
                f"{name} was replaced while it was read: {len(kept)} rows first, then "
                f"{file.metadata.num_rows}. Load the features again."
            )
        for rows in kept_embeddings(file, kept):
            here = embeddings[start : start + len(rows)]
            if here.dtype == np.float32:
                to_float32(rows, here)
            else:
                here[:] = rows
            start += len(rows)


def kept_embeddings(file: pq.ParquetFile, kept: np.ndarray) -> Iterator[np.ndarray]:
    """The kept rows of one part as float16 (n, width), row group by row group."""
    start = 0
    for group in range(file.num_row_groups):
        here = kept[start : start + file.metadata.row_group(group).num_rows]
        start += len(here)
        if here.any():
            values = parts.embedding_values(file.read_row_group(group, columns=["embedding"]))
            yield values if here.all() else values[here]
