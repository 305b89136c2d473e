"""Small stores: settings that run in milliseconds, batches processed into them, their contents."""

from pathlib import Path

import pandas as pd

from pipeline import config
from pipeline.jobs.process_batch import run_batch
from pipeline.stages.plan import deliver
from pipeline.store import catalog
from pipeline.store.open_store import open_for_writing
from pipeline.store.store import Store

# A trunk and a head that compute in milliseconds; everything else is as in real runs.
RECIPE = config.Recipe(side=32)
TRUNK = config.Trunk(
    weights="random",
    layers=(config.Layer(filters=4, kernel=3), config.Layer(filters=8, kernel=3)),
)
GRID = (8, 8, 8)  # rows, columns and channels of an embedding of TRUNK
HEAD = config.Head(units=(16,), epochs=3, min_patients=2)
# The key decides which side a patient is on. A random one left a side with one class now and then.
KEY = "7a" * 32


def small_store(root: Path, key: str | None = KEY, **changes):
    """A store below `root`, open for writing. A new store gets `key`; with None, makes its own."""
    given = {"recipe": RECIPE, "trunk": TRUNK, "head": HEAD, "workers": 2, "part_size": 3}
    settings = config.load(**{"store": str(root / "store"), **given, **changes})
    if key and not (root / "store" / "store.json").exists():
        settings.private_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (settings.private_folder / "key").write_text(key + "\n")
        (settings.private_folder / "key").chmod(0o600)
    return open_for_writing(settings)


def process_folder(opened, folder: Path, batch="b"):
    """Process a folder as a batch into an open store; the summary of the run."""
    return run_batch(opened, deliver(folder, batch, opened))


def stored_bytes(store: Store, *tables: str) -> dict[str, bytes]:
    """The bytes of every part of these tables, by name."""
    return {name: store.read_bytes(name) for table in tables for name in store.names(table)}


def read_table(store: Store, table: str) -> pd.DataFrame:
    """All rows of a table, or of a folder below it."""
    names = [name for name in store.names(table) if name.endswith(".parquet")]
    parts = [pd.read_parquet(store.local_path(name)) for name in names]
    return pd.concat(parts, ignore_index=True)


def failed_checks(store: Store) -> dict[str, int]:
    """The checks that find rows, and how many."""
    with catalog.open_store(store) as con:
        return dict(catalog.check(con))


def unfinished_files(root: Path) -> list[str]:
    """Names of temporary files in the store below `root` and in its private folder."""
    folders = (root / "store" / ".tmp", root / "store.private")
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if path.parent.name == ".tmp" or path.name[0] == "."]
