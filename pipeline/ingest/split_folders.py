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
    found = count_given_sides(scans)
    return found if len(found) > 1 else {}


def count_given_sides(scans: Iterable[Entry]) -> dict[str, int]:
    """Count scans by the side that their folder names."""
    found = Counter(side for side in map(given_side, scans) if side)
    return dict(sorted(found.items()))


def given_side(scan: Entry) -> str | None:
    """The side that the outermost folder with such a name gives to a scan; None without one."""
    folders = comparable(scan.path).split("/")[:-1]
    return next((side for side in map(_side, folders) if side), None)


def _side(folder: str) -> str | None:
    return NAMES.get(folder.casefold().replace("_", " ").replace("-", " ").strip())
