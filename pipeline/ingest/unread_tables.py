"""Tables that may name patients and cannot be read, and the scans that wait for them.

A scan keeps the patient under whom it was accepted, so scans wait for their tables: for one in an
unknown encoding, one that ends within a line because it was copied in part, and a spreadsheet or
other table of a form that is not read.
"""

import csv
import os
from collections.abc import Iterable

from pipeline.ingest.batch_folder import BatchFolder
from pipeline.ingest.labels.annotations import read_text
from pipeline.ingest.labels.tables import open_table, rows_of
from pipeline.ingest.list_files import FileList, suffix
from pipeline.ingest.walk_folder import Entry

NOT_READ = {b".xlsx", b".xlsm", b".xlsb", b".xls", b".ods", b".numbers", b".tsv", b".tab"}


def unread_tables(folder: BatchFolder, listing: FileList) -> dict[bytes, str]:
    """Return the paths of tables that cannot be read, with the reason and what to do."""
    unread = {}
    for entry in (*listing.labels, *listing.other, *listing.scans):
        if entry.kind == "file" and suffix(entry) in NOT_READ:
            unread[entry.path] = "is a table of a form that is not read; save it as CSV in UTF-8"
        elif suffix(entry) == b".csv" and (reason := _unreadable(folder, entry)):
            unread[entry.path] = reason
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


def _unreadable(folder: BatchFolder, entry: Entry) -> str | None:
    """Why a CSV file cannot be read; None if it can."""
    reasons: list[str] = []
    text = read_text(folder, entry, lambda kind, where, what: reasons.append(what))
    if text is None:
        return reasons[0]
    lines = text.splitlines()
    if not lines:
        return None
    unclosed = "ends within a quoted field; copy it again, or close the quote"
    try:
        table = open_table(lines)
    except csv.Error:
        return unclosed
    broken: list[int] = []
    rows = [row for _, row in rows_of(table, lambda line, what: broken.append(line))]
    if broken and table.reader.line_num >= len(lines) and _is_unclosed(lines[broken[-1] - 1 :]):
        return unclosed
    lengths = [sum(value is not None for value in row.values()) for row in rows]
    whole = lengths[:-1] or [len(table.fieldnames)]
    if lengths and not text.endswith(("\n", "\r")) and lengths[-1] < min(whole):
        return "ends within its last line; copy it again, or complete that line"
    return None


def _is_unclosed(lines: list[str]) -> bool:
    return "".join(lines).count('"') % 2 == 1
