"""Make the database of a store's first Prefect server from its schema, without 4 s of migrations.

`prefect_database.sql` is what the migrations of the Prefect release named in its first line make of
an empty database. The server finds nothing to migrate. With any other release it migrates as ever.
To write the file for another release: `python -m flows.prefect_database > FILE`.
"""

import asyncio
import contextlib
import importlib.metadata
import os
import sqlite3
import tempfile
from pathlib import Path

from flows.prefect_environment import DATABASE, DATABASE_FILE, HOME, database_url
from pipeline.atomic_files import flush_to_disk, make_folder

SCHEMA = Path(__file__).with_suffix(".sql")


def make_database(home: Path) -> None:
    """Make the database in Prefect's home unless there is one; one of many callers wins."""
    make_folder(home, 0o700)
    path = home / DATABASE_FILE
    schema = SCHEMA.read_text(encoding="utf-8")
    if path.exists() or not schema.startswith(first_line()):
        return
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(schema)
        data = connection.serialize()
    with tempfile.NamedTemporaryFile(dir=home) as file:  # for its owner alone to read
        file.write(data)
        flush_to_disk(file)
        with contextlib.suppress(FileExistsError):
            os.link(file.name, path)


def first_line() -> str:
    """The first line of the schema of the installed release."""
    return f"-- The database of Prefect {importlib.metadata.version('prefect')} (Apache-2.0)\n"


def migrated_schema() -> str:
    """What the migrations of the installed release make of an empty database; takes 8 s of CPU."""
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {HOME: home, DATABASE: database_url(home)}
        from prefect.server.database import provide_database_interface

        asyncio.run(provide_database_interface().create_db())
        with contextlib.closing(sqlite3.connect(Path(home, DATABASE_FILE))) as connection:
            lines = "\n".join(connection.iterdump()).splitlines()
            return first_line() + "".join(f"{line.rstrip()}\n" for line in lines)


if __name__ == "__main__":
    print(migrated_schema(), end="")
