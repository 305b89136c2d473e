"""Folders named train, valid or test, into which data sets are split before they are delivered."""

from collections import Counter
from collections.abc import Iterable

from pipeline.ingest.list_files import comparable
from pipeline.ingest.walk_folder import Entry

NAMES = {
    "train": "train",
    "training": "train",
    "trainset": "train",
    "train set": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "testset": "test",
    "test set": "test",
}


def without_split_folders(folders: Iterable[str]) -> tuple[str, ...]:
    """Return the names of these folders that are no side of a split."""
    return tuple(name for name in folders if name and _side(name) is None)


def count_split_folders(scans: Iterable[Entry]) -> dict[str, int]:
    """Count scans by the side that their folder names; empty unless two sides are named.

    A single folder `test` may be anything.
    """
    found = Counter(
        next((side for side in map(_side, folders) if side), None)
        for entry in scans
        if len(folders := comparable(entry.path).split("/")[:-1])
    )
    del found[None]
    return dict(sorted(found.items())) if len(found) > 1 else {}


def _side(folder: str) -> str | None:
    return NAMES.get(folder.casefold().replace("_", " ").replace("-", " ").strip())
