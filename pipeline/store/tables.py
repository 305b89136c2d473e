"""The tables of a store: where their parts are, their schemas, and which parts are missing.

The same part number means the same delivered files in every table. Paths and columns are those of
`schemas.TABLES`; nothing else builds or parses the name of a part.
"""

import contextlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from pipeline import schemas
from pipeline.store import parts
from pipeline.store.encoded_parts import PackedPart, UnfinishedPart
from pipeline.store.store import Store

# Kinds of tables, each after those that it is made from. Removal goes in the opposite order.
# `reference` belongs to the models and has no parts.
KINDS = tuple(kind for kind in schemas.TABLES if kind != "reference")
PERSONAL_COLUMNS = {"scan_id", "crop_id", "patient_key"}  # that identify whose a row is
# Measured on real panoramics: 48 crops of 24 KB and 48 embeddings of 10 KB. Every scan is taken for
# a panoramic, so what is estimated with it errs on the safe side.
BYTES_PER_SCAN = 48 * (24_000 + 10_000)
NUMBER = r"(?P<number>\d{5,11})"  # of a part; a reviewer's labels may end in twelve digits


class PartName(NamedTuple):
    """The parts of a part's name; `key` and `batch` are empty for a table without them."""

    kind: str
    key: str  # recipe, trunk, head, novelty model or reference
    batch: str
    number: int


@dataclass(frozen=True)
class Table:
    """The parts of one kind of table, and of one recipe, trunk or head where it has a key."""

    kind: str
    schema: pa.Schema
    key: str = ""

    @property
    def folder(self) -> str:
        """The folder of all its parts."""
        return f"{self.kind}/{self.key}" if self.key else self.kind

    def part(self, batch: str = "", number: int = 0) -> str:
        """The name of one part; out_of_fold has no batch and one part."""
        return (
            PATHS[self.kind]
            .replace("KEY", self.key)
            .replace("BATCH", batch)
            .replace("NNNNN", f"{number:05d}")
        )

    def names(self, store: Store, batch: str = "") -> list[str]:
        """Names of the existing parts, of one batch or of all, sorted."""
        folder = self.part(batch).rpartition("/")[0] if batch else self.folder
        names = [name for name in store.names(folder) if name.endswith(".parquet")]
        if not batch:
            return names
        return [name for name in names if (found := parse(name)) and found.batch == batch]

    def numbers(self, store: Store, batch: str) -> list[int]:
        """Numbers of the existing parts of a batch, ascending."""
        return sorted(parse(name).number for name in self.names(store, batch))

    def parts(self, store: Store) -> list[tuple[str, int]]:
        """Batch and number of every existing part, sorted."""
        found = filter(None, map(parse, self.names(store)))
        return sorted((each.batch, each.number) for each in found)

    def batches(self, store: Store) -> list[str]:
        """Names of the batches that have parts, sorted."""
        return sorted({batch for batch, _ in self.parts(store)})

    def has(self, store: Store, batch: str, number: int) -> bool:
        return store.has(self.part(batch, number))

    def existing(self, store: Store, batch: str, numbers: Iterable[int]) -> list[int]:
        """Those of the parts that exist, in the order given."""
        names = {number: self.part(batch, number) for number in numbers}
        found = store.existing(names.values())
        return [number for number, name in names.items() if name in found]

    def missing(self, store: Store, batch: str, numbers: Collection[int]) -> list[int]:
        """Those of the parts that do not exist, in the order given."""
        found = set(self.existing(store, batch, numbers))
        return [number for number in numbers if number not in found]

    def missing_from(self, store: Store, source: "Table") -> dict[str, list[int]]:
        """Numbers, by batch, of the parts that `source` has and this table lacks, both sorted."""
        found, missing = set(self.parts(store)), {}
        for batch, number in source.parts(store):
            if (batch, number) not in found:
                missing.setdefault(batch, []).append(number)
        return missing

    def read(
        self, store: Store, batch: str = "", number: int = 0, columns: list[str] | None = None
    ) -> pa.Table:
        """One part, or some of its columns; ArtifactError when it is missing or damaged."""
        return parts.read_part(store, self.part(batch, number), self.schema, columns)

    def iterate(
        self,
        store: Store,
        batch: str,
        number: int,
        rows: int = 256,
        columns: list[str] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """One part in slices of at most `rows` rows."""
        return parts.iter_part(store, self.part(batch, number), self.schema, rows, columns)

    def rows(self, store: Store, columns: list[str], batch: str = "") -> Iterator[dict]:
        """Every row of all parts, or of a batch's, as a dictionary of these columns."""
        for name in self.names(store, batch):
            yield from parts.read_part(store, name, self.schema, columns).to_pylist()

    def select(
        self,
        store: Store,
        batch: str,
        number: int,
        positions: Mapping[str, int],
        columns: list[str],
        key: str = "crop_id",
    ) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
        """The rows of one part whose `key` is in `positions`, slice by slice.

        Yields their positions, an integer array (n,), and these columns of theirs, n rows; so an
        array of all rows is filled by `array[positions] = values`. Other rows are left out.
        """
        for some in self.iterate(store, batch, number, columns=[key, *columns]):
            found = [positions.get(each, -1) for each in some.column(key).to_pylist()]
            rows = np.array(found, np.int64)
            kept = rows >= 0
            if kept.any():
                yield rows[kept], some if kept.all() else some.filter(pa.array(kept))

    def write(self, store: Store, batch: str, number: int, table: pa.Table) -> str:
        """Write one part whole and return its name; ArtifactError when the table does not fit."""
        return parts.write_part(store, self.part(batch, number), table, self.schema)

    def writer(
        self, store: Store, batch: str, number: int
    ) -> contextlib.AbstractContextManager["parts.PartWriter"]:
        """A part that is written slice by slice and appears when the block ends well."""
        return parts.part_writer(store, self.part(batch, number), self.schema)

    def pack(self, batch: str, number: int) -> PackedPart:
        """A part of few rows that is encoded in memory."""
        return PackedPart(self.part(batch, number), self.schema)

    def begin(self, store: Store, batch: str, number: int) -> UnfinishedPart:
        """A part that is encoded row by row and appears when it is published."""
        return UnfinishedPart(store, self.part(batch, number), self.schema)


def _path(kind: str) -> str:
    """The path of a kind's parts with its key, if it has one, spelled KEY."""
    first, *steps = schemas.TABLES[kind].path.split("/")
    keyed = steps[0].isupper() and steps[0] != "BATCH"
    return "/".join([first, "KEY", *steps[1:]] if keyed else [first, *steps])


PATHS = {kind: _path(kind) for kind in KINDS}
PATTERNS = {
    kind: re.compile(
        re.escape(path)
        .replace("KEY", "(?P<key>[^/]+)")
        .replace("BATCH", "(?P<batch>[^/]+)")
        .replace("NNNNN", NUMBER)
    )
    for kind, path in PATHS.items()
}


def parse(name: str) -> PartName | None:
    """The kind, key, batch and number of a part; None for any other name in a store."""
    kind = name.partition("/")[0]
    match = PATTERNS[kind].fullmatch(name) if kind in PATTERNS else None
    if match is None:
        return None
    found = match.groupdict(default="")
    return PartName(kind, found.get("key", ""), found.get("batch", ""), int(found["number"]))


def keys(store: Store, kind: str) -> list[str]:
    """The recipes, trunks, heads … that a kind of table has parts of, sorted."""
    found = filter(None, map(parse, store.names(kind)))
    return sorted({each.key for each in found if each.key})


def personal_names(store: Store) -> list[str]:
    """Every Parquet file with rows about people, except the ledger's; the most derived first.

    The lists of what models learned from come last.
    """
    kinds = [kind for kind in reversed(KINDS) if kind != "scans" and _is_personal(kind)]
    found = [name for kind in (*kinds, "models") for name in store.names(kind)]
    return [name for name in found if name.endswith(".parquet")]


def _is_personal(kind: str) -> bool:
    return bool(PERSONAL_COLUMNS.intersection(_schema(kind).names))


def parts_of_batch(store: Store, batch: str) -> Iterator[tuple[str, PartName]]:
    """Every part of a batch, of all tables, the most derived first and the ledger last."""
    for kind in reversed(KINDS):
        for name in store.names(kind):
            if (found := parse(name)) and found.batch == batch:
                yield name, found


def schema_of(name: str) -> pa.Schema | None:
    """The schema of the part `name`; None for tables whose schema depends on the recipe or trunk.

    Parquet names the items of lists differently than Arrow, so a part that is read and written
    again has the same bytes only with the schema it was first written with.
    """
    kind = name.partition("/")[0]
    return _schema(kind) if kind in KINDS and not _is_wide(kind) else None


def _schema(kind: str) -> pa.Schema:
    return schemas.schema_of(schemas.TABLES[kind].columns)


def _is_wide(kind: str) -> bool:
    return bool({"pixels", "embedding"}.intersection(_schema(kind).names))


SCANS = Table("scans", schemas.SCANS)
LABELS = Table("labels", schemas.LABELS)
REGIONS = Table("regions", schemas.REGIONS)
AUDITS = Table("audits", schemas.AUDITS)


def crops(recipe_id: str, side: int) -> Table:
    """Crops of `side` × `side` pixels that a recipe cut."""
    return Table("crops", schemas.crops(side), recipe_id)


def background_crops(recipe_id: str, side: int) -> Table:
    """Crops without a finding, from scans that came with boxes."""
    return Table("background_crops", schemas.crops(side), recipe_id)


def features(trunk_id: str, width: int) -> Table:
    """Embeddings of `width` values that a trunk made of crops."""
    return Table("features", schemas.features(width), trunk_id)


def background_features(trunk_id: str, width: int) -> Table:
    """Embeddings of the background crops."""
    return Table("background_features", schemas.features(width), trunk_id)


def predictions(head_id: str) -> Table:
    """Probabilities that a head gives to the crops of its trunk."""
    return Table("predictions", schemas.PREDICTIONS, head_id)


def novelty(novelty_id: str) -> Table:
    """Distances from normal by one novelty model."""
    return Table("novelty", schemas.NOVELTY, novelty_id)


def out_of_fold(head_id: str) -> Table:
    """Judgements of the labels that a head was trained with; one part."""
    return Table("out_of_fold", schemas.OUT_OF_FOLD, head_id)


def drift(reference_id: str) -> Table:
    """Comparisons of batches with a reference; a part is named by the batch's last."""
    return Table("drift", schemas.DRIFT, reference_id)
