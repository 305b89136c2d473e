"""Tables that may name patients and cannot be read, and the scans that wait for them.

A scan keeps the patient under whom it was accepted, so scans wait for their tables: for one that is
no text, one that ends within a line because it was copied in part, one that a password protects,
and one of a program whose files are not read.
"""

import os
from collections.abc import Iterable

from pipeline.ingest.labels.annotations import Annotations
from pipeline.ingest.list_files import FileList, suffix
from pipeline.ingest.tables.suffixes import UNREAD_SUFFIXES
from pipeline.ingest.walk_folder import Entry


def unread_tables(listing: FileList, annotations: Annotations) -> dict[bytes, str]:
    """Return the paths of tables that cannot be read, with the reason and what to do."""
    unread = dict(annotations.unread_tables)
    for entry in (*listing.labels, *listing.other, *listing.scans):
        if entry.kind == "file" and suffix(entry) in UNREAD_SUFFIXES:
            unread[entry.path] = "is a table of a program whose files are not read; save it as xlsx"
    return unread


def scans_waiting(scans: Iterable[Entry], tables: Iterable[bytes]) -> set[bytes]:
    """Return the paths of the scans that a table in their folder or above it may name.

    A table in a folder without scans is for those of the nearest folder above that has some.
    """
    paths, waiting = [entry.path for entry in scans], set()
    for table in tables:
        folder = os.path.dirname(table)
        while not (below := {each for each in paths if _is_below(each, folder)}) and folder:
            folder = os.path.dirname(folder)
        waiting |= below
    return waiting


def _is_below(path: bytes, folder: bytes) -> bool:
    return not folder or path.startswith(folder + b"/")
