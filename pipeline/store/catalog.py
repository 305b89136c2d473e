"""Open a store as an in-memory DuckDB database. All SQL is in `sql/`, none in Python.

    sql/views/    what one may query, made in the order of their numbers
    sql/older/    what stands in for columns that parts of earlier versions lack
    sql/macros/   what several questions share; one that a view needs has a number between theirs
    sql/queries/  named queries for people; `-- $name = default` in the header declares a parameter,
                  `-- topic: …` where the list of queries shows it
    sql/internal/ named queries that the code alone asks
    sql/checks/   each must return no rows
    sql/kept/     what a run reads into memory once: `views.kept`

A connection sees the parts that were finished when it was opened.
"""

import contextlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import schemas
from pipeline.config import nearest
from pipeline.errors import ConfigError
from pipeline.store import tables
from pipeline.store.computed_queries import COMPUTED
from pipeline.store.store import Store
from pipeline.store.store_json import read_store_json
from pipeline.store.views.card_tables import CARDS
from pipeline.store.views.needed import SQL, needed, question_files

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    Connection = duckdb.DuckDBPyConnection
else:
    # It takes 0.4 s of CPU to import both, and a run that finds nothing to do opens no catalog.
    Connection = object

# What DuckDB makes of each table's parts; stands in while a table has none, since DuckDB 2.0
# reads neither an empty list of files nor Arrow's float16.
COLUMNS = {
    kind: pa.schema(
        [
            (column.name, pa.list_(pa.float32()) if column.name == "embedding" else column.type)
            for column in schemas.TABLES[kind].columns
        ]
    )
    for kind in tables.KINDS
    if not kind.startswith("background_")  # which nothing asks about
}
PARAMETER = re.compile(r"-- \$(\w+)(?: = (.+))?")
TOPIC = "-- topic: "
# Of queries for people, in the order of their list.
TOPICS = (
    "What to look at",
    "Deliveries",
    "Patients",
    "Crops and labels",
    "Models and scores",
)
REQUIRED = object()


class Query(NamedTuple):
    """A named question: what it answers, and its parameters with their defaults."""

    description: str
    parameters: dict[str, Any]  # REQUIRED for one without default
    topic: str | None  # None for one that the code alone asks


def open_store(store: str | Path | Store, *questions: str) -> Connection:
    """Connect in memory and create every view over the parts of `store`; a view may be empty.

    For some `questions`, names of queries and views, only the views that they read are created.
    """
    import duckdb

    store = as_store(store).snapshot()
    con = duckdb.connect()
    if files := store.place.filesystem:
        con.register_filesystem(files)
    con.register("store_root", pa.table({"root": [store.root]}))
    # What is computed from a query's rows may read any view.
    views, used = needed(questions if COMPUTED.keys().isdisjoint(questions) else ())
    for table, columns in COLUMNS.items():
        if f"{table}_parts" in used:
            add_parts(con, store, table, columns)
    for name, (rows_of, columns) in CARDS.items():
        if name in used:
            con.register(name, pa.Table.from_pylist(rows_of(store), columns))
    for file in views:
        con.execute(file.read_text(encoding="utf-8"))
    return con


def ask(store: str | Path | Store, name: str, **parameters) -> "pd.DataFrame":
    """Open a store for one named query; otherwise as `query`."""
    with open_store(store, name) as con:
        return query(con, name, **parameters)


def as_store(store: str | Path | Store) -> Store:
    """The store that a path names.

    Raises ConfigError when there is no such folder, StoreError when another version wrote it.
    """
    store = store if isinstance(store, Store) else Store(str(store))
    if not store.exists():
        raise ConfigError(
            f"There is no store at {store.root}, expected a folder or s3://BUCKET/PREFIX; correct "
            "`store`, or run a batch to make one."
        )
    read_store_json(store)
    return store


def add_parts(con: Connection, store: Store, table: str, columns: pa.Schema) -> None:
    """Create TABLE_parts: the rows of all parts of `table`, each with the filename of its part."""
    names = [name for name in store.names(table) if name.endswith(".parquet")]
    files = [store.address(name) for name in names]
    if files:
        # Folder names must not become columns: 20261123 would be read as a number.
        older = older_parts(store, names, columns)
        parts = con.read_parquet(files, hive_partitioning=False, filename=True, union_by_name=older)
        parts.create_view(f"{table}_written" if older else f"{table}_parts")
        if older:
            later = [field for field in columns if field.name in schemas.LATER.names]
            con.register(f"{table}_later", pa.schema(later).empty_table())
            con.execute((SQL / "older" / f"{table}.sql").read_text(encoding="utf-8"))
    else:
        empty = columns.append(pa.field("filename", pa.string())).empty_table()
        con.register(f"{table}_parts", empty)


def older_parts(store: Store, names: list[str], columns: pa.Schema) -> bool:
    """Whether some parts lack columns that were added later.

    The first part of every batch is checked: a champion outlives a version, so its recipe and trunk
    may have parts of both, and a batch that grew has its older parts first. A part ends in its
    number; of reviewers' parts of earlier versions, all of which lack the same, it is a digest.
    """
    later = set(schemas.LATER.names).intersection(columns.names)
    first = {name.rpartition("-")[0]: name for name in reversed(names)} if later else {}
    footers = (pq.read_schema(store.parquet(name, groups=[])) for name in first.values())
    return any(later.difference(footer.names) for footer in footers)


def queries() -> dict[str, Query]:
    """Every named query for people."""
    return {path.stem: read_query(path) for path in sorted((SQL / "queries").glob("*.sql"))}


def read_query(path: Path) -> Query:
    """The comment at the head of a query: its first line describes, `$` lines declare."""
    first, *others = path.read_text(encoding="utf-8").splitlines()
    parameters, topic = {}, None
    for line in others:
        if line.startswith(TOPIC):
            topic = line.removeprefix(TOPIC)
        if found := PARAMETER.fullmatch(line):
            name, default = found.groups()
            parameters[name] = REQUIRED if default is None else json.loads(default)
    return Query(first.removeprefix("-- "), parameters, topic)


def query(con: Connection, name: str, **parameters) -> "pd.DataFrame":
    """Ask the named question; ConfigError for an unknown name or wrong parameters."""
    found = _ask(con, name, parameters).to_pandas()
    return COMPUTED[name](con, found) if name in COMPUTED else found


def query_rows(con: Connection, name: str, **parameters) -> list[dict]:
    """Ask as `query` does; rows of Python's own values, None for missing ones."""
    return _ask(con, name, parameters).to_pylist()


def _ask(con: Connection, name: str, parameters: dict[str, Any]) -> pa.Table:
    """The answer to a named query."""
    files = question_files()
    if name not in files:
        raise ConfigError(f"There is no query `{name}`. {nearest(name, list(files))}")
    asked = read_query(files[name])
    expected = asked.parameters
    for given in parameters.keys() - expected.keys():
        hint = nearest(given, list(expected)) if expected else "It takes none."
        raise ConfigError(f"Query `{name}` has no parameter `{given}`. {hint}")
    values = expected | parameters
    if missing := [each for each, value in values.items() if value is REQUIRED]:
        raise ConfigError(
            f"Query `{name}` lacks {', '.join(missing)}: {asked.description} "
            f"Give {', '.join(f'{each}=…' for each in missing)}."
        )
    for each, default in expected.items():
        # Every whole number that a query takes counts something: rows, bins or bits.
        if type(default) is int and _is_negative(values[each]):
            raise ConfigError(
                f"Query `{name}` was given {each}={values[each]}, expected 0 or more. "
                "Correct the value."
            )
    import duckdb

    try:
        return run(con, files[name], values)
    except duckdb.ConversionException as error:
        given = ", ".join(f"{each}={value!r}" for each, value in parameters.items())
        raise ConfigError(
            f"Query `{name}` was given {given}: {error}. Correct the value."
        ) from None


def _is_negative(value: Any) -> bool:
    with contextlib.suppress(ValueError):  # not a number, which DuckDB reports itself
        return float(value) < 0
    return False


def batch_counts(con: Connection, batch: str) -> dict[str, int]:
    """Files of a batch by status and its rows by table; empty when it has no part yet."""
    batches = query(con, "batches")
    mine = batches[batches["batch"] == batch].drop(columns="batch")
    return {name: int(value) for name, value in mine.iloc[0].items()} if len(mine) else {}


def run(con: Connection, file: Path, values: dict[str, Any]) -> pa.Table:
    """The answer of one SQL file."""
    # DuckDB 2.0's own way to pandas 3.1 warns for time stamps and loses the type of empty columns.
    return con.sql(file.read_text(encoding="utf-8"), params=values).to_arrow_table()


def check(con: Connection) -> "list[tuple[str, pd.DataFrame]]":
    """Name and offending rows of every check that the store fails; none for a sound store."""
    checks = sorted((SQL / "checks").glob("*.sql"))
    found = [(path.stem, run(con, path, {})) for path in checks]
    return [(name, rows.to_pandas()) for name, rows in found if rows.num_rows]
