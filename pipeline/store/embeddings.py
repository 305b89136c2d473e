"""Stream stored embeddings row group by row group, for more rows than fit into memory.

Rows are identified by their numbers in the caller's arrays. At most one row group is in memory:
256 rows, or 4 MiB with the default trunk.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq

from pipeline.errors import ArtifactError
from pipeline.model.head.rows import Embeddings, InMemoryEmbeddings
from pipeline.store import parts
from pipeline.store.store import Store
from pipeline.store.tables import Table

# Embeddings of at most so many bytes are read once and kept, 65 536 rows of the default trunk; more
# are read again from Parquet in every epoch.
MOST_HELD = 2**30


@dataclass(frozen=True)
class StoredEmbeddings:
    """Embeddings of chosen rows of some parts of a table."""

    store: Store
    table: Table
    groups: tuple[tuple[str, int, np.ndarray], ...]  # part, row group, numbers of its rows or -1

    @classmethod
    def of(cls, store: Store, table: Table, numbers: dict[str, np.ndarray]) -> "StoredEmbeddings":
        """Take the parts of `table` that `numbers` names, with a number for each of their rows.

        -1 leaves a row out.
        Raises ArtifactError when a part has another number of rows.
        """
        groups = []
        for name, here in numbers.items():
            with parts.open_part(store, name, table.schema, groups=[]) as file:
                sizes = group_sizes(file)
            if sum(sizes) != len(here):
                raise ArtifactError(
                    f"{name} was replaced while it was read: {len(here)} rows first, then "
                    f"{sum(sizes)}. Run the same command again."
                )
            pieces = np.split(here, np.cumsum(sizes)[:-1])
            groups += [(name, group, piece) for group, piece in enumerate(pieces)]
        return cls(store, table, tuple(groups))

    @property
    def width(self) -> int:
        """Values per embedding."""
        return self.table.schema.field("embedding").type.list_size

    def blocks(
        self, chosen: np.ndarray, random: np.random.Generator | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Numbers (n,) and float16 embeddings (n, width) of every row of the mask `chosen` (N,).

        Row groups come in stored order, or in random order. Those without a chosen row are not
        read.
        """
        order = range(len(self.groups))
        for index in random.permutation(len(order)) if random else order:
            name, group, numbers = self.groups[index]
            kept = numbers >= 0
            kept[kept] = chosen[numbers[kept]]
            if kept.any():
                schema, columns = self.table.schema, ["embedding"]
                with parts.open_part(self.store, name, schema, columns, [group]) as file:
                    values = parts.embedding_values(file.read_row_group(group, columns=columns))
                yield numbers[kept], values[kept]


def group_sizes(file: pq.ParquetFile) -> list[int]:
    """Rows of every row group."""
    return [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]


def held_if_small(embeddings: StoredEmbeddings, rows: int) -> Embeddings:
    """The same embeddings, read into memory when they take at most `MOST_HELD` bytes."""
    if rows * embeddings.width * np.dtype(np.float16).itemsize > MOST_HELD:
        return embeddings
    held = np.empty((rows, embeddings.width), np.float16)
    for numbers, some in embeddings.blocks(np.ones(rows, bool)):
        held[numbers] = some
    return InMemoryEmbeddings(held)
