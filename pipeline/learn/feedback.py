"""Append a reviewer's table of labels to the store.

The table is CSV or Excel (ingest/tables/) with the columns `crop_id`, `label` and `reviewer`; an
empty label withdraws the crop's label. Lines that cannot be used are reported with their number,
the others are used. A line that repeats its reviewer's last label of the crop changes nothing, so a
growing table can be given again and again.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pipeline.config import Settings
from pipeline.errors import ConfigError
from pipeline.ingest.file_kinds import is_ignored
from pipeline.ingest.tables.headings import find_columns
from pipeline.ingest.tables.label_columns import MEANINGS
from pipeline.ingest.tables.read_table import START_BYTES, is_table_text, read_table
from pipeline.ingest.tables.suffixes import TABLE_SUFFIXES
from pipeline.ingest.tables.table import Table, UnreadableTable, cell
from pipeline.labels import clean_label
from pipeline.learn.decisions import (
    Decision,
    allowed_labels,
    append_decisions,
    label_problem,
    reviewer_problem,
)
from pipeline.store import catalog
from pipeline.store.store import Store

# Columns by their headings, the first of which is the one in the documentation.
COLUMNS = {
    "crop_id": ("crop_id", "crop"),
    "label": MEANINGS["label"],
    "reviewer": ("reviewer", "reviewed_by", "reader", "rater", "annotator", "initials"),
}


class Line(NamedTuple):
    """One line of the table; `label` is None when it withdraws."""

    crop_id: str
    label: str | None
    reviewer: str


@dataclass
class FeedbackResult:
    """Counts of the lines of a table."""

    appended: int = 0
    withdrawn: int = 0  # of the appended
    known: int = 0  # repeat the same reviewer's last label
    replaced: int = 0  # by a later line of the table
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what was read by a guess, or not read

    def format_lines(self) -> list[str]:
        """Lines for a terminal."""
        summary = (
            f"Labels: {self.appended} appended ({self.withdrawn} of them withdraw), {self.known} "
            f"known already, {self.replaced} replaced by a later line, {len(self.problems)} "
            "lines not used"
        )
        return [summary, *(f"  {text}" for text in (*self.problems, *self.notes))]


def is_reviewers_table(path: Path) -> bool:
    """Whether a file of a folder is a reviewer's table: by its name, a .txt by its header."""
    suffix = os.fsencode(path.suffix.lower())
    if is_ignored(os.fsencode(path.name)) or not path.is_file():
        return False
    if suffix != b".txt":
        return suffix in TABLE_SUFFIXES
    with path.open("rb") as file:
        return is_table_text(file.read(START_BYTES), _has_crops)


def take_feedback(settings: Settings, file: Path) -> FeedbackResult:
    """Append the labels of a reviewer's table to the store; return the counts.

    Raises ConfigError when the file cannot be read or lacks a column.
    """
    store, taken = Store(settings.store), FeedbackResult()
    with catalog.open_store(store) as con:
        crops = catalog.query(con, "crop_labels")
    allowed = allowed_labels(store, settings)
    lines = list(_lines(file, set(crops["crop_id"]), allowed, taken))
    _append(store, lines, dict(zip(crops["crop_id"], crops["batch"], strict=True)), taken)
    return taken


def _lines(file: Path, crops: set[str], allowed: set[str], taken: FeedbackResult) -> Iterator[Line]:
    """Yield the lines that can be used; the others are added to the problems."""
    table, places = _open(file, taken)

    def report(number: int, problem: str) -> None:
        taken.problems.append(f"{table.unit} {number}: {problem}")

    for number, what in table.broken:
        report(number, what)
    for row in table.rows:
        crop_id, label, reviewer = (cell(row.cells, places[name]) for name in COLUMNS)
        line = Line(crop_id, clean_label(label), reviewer.casefold())
        if table.is_shifted(row, places.values()):
            report(row.number, table.describe_surplus(row))
        elif problem := _problem(line, label, crops, allowed):
            report(row.number, problem)
        else:
            yield line


def _has_crops(cells: Sequence[str]) -> bool:
    return "crop_id" in find_columns(cells, COLUMNS).places


def _open(file: Path, taken: FeedbackResult) -> tuple[Table, dict[str, int]]:
    """Open the table, and find its columns; ConfigError when it lacks one."""
    try:
        table = read_table(file.read_bytes(), _has_crops)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from None
    except UnreadableTable as error:
        line = "" if error.line is None else f" line {error.line}"
        raise ConfigError(f"{file}{line} {error}.") from None
    places, doubled = find_columns(table.headings, COLUMNS)
    if lacking := [name for name in COLUMNS if name not in places]:
        raise ConfigError(
            f"{file} has the columns {', '.join(table.headings) or 'none'}; "
            f"{', '.join(COLUMNS)} are expected. Add {' and '.join(lacking)}."
        )
    taken.notes += [f"the table {table.guess}"] if table.guess else []
    taken.notes += [f"the sheet `{sheet}` was not read" for sheet in table.unread_sheets]
    taken.notes += [
        f"the column `{table.headings[place]}` was not read; `{table.headings[places[name]]}` was"
        for place, name in doubled.items()
    ]
    return table, places


def _problem(line: Line, label: str, crops: set[str], allowed: set[str]) -> str | None:
    """Why a line cannot be used; None for one that can."""
    if line.crop_id not in crops:
        return f"there is no crop `{line.crop_id}` in the store"
    problem = reviewer_problem(line.reviewer)
    return problem or (label_problem(label, allowed) if label else None)


def _append(
    store: Store, lines: list[Line], batches: dict[str, str], taken: FeedbackResult
) -> None:
    """Write the lines that change a label as one part."""
    last = {(line.crop_id, line.reviewer): line for line in lines}
    taken.replaced = len(lines) - len(last)
    with catalog.open_store(store) as con:
        current = catalog.query(con, "latest_label_by_source")
    before = {
        (row.crop_id, row.source): None if pd.isna(row.label) else row.label
        for row in current.itertuples()
    }
    new = [line for key, line in last.items() if before.get(key, "") != line.label]
    taken.known = len(last) - len(new)
    taken.appended, taken.withdrawn = len(new), sum(line.label is None for line in new)
    decisions = [
        Decision(crop_id, "withdraw" if label is None else "label", label, reviewer)
        for crop_id, label, reviewer in new
    ]
    append_decisions(store, decisions, batches)
