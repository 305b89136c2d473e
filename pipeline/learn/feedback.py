"""Append a reviewer's table of labels to the store.

The table is CSV (comma, semicolon or tab) with the columns `crop_id`, `label` and `reviewer`; an
empty label withdraws the crop's label. Lines that cannot be used are reported with their number,
the others are used. A line that repeats its reviewer's last label of the crop changes nothing, so a
growing table can be given again and again.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pipeline.config import Settings
from pipeline.errors import ConfigError
from pipeline.ingest.labels.tables import open_table, rows_of
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

COLUMNS = ("crop_id", "label", "reviewer")


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

    def format_lines(self) -> list[str]:
        """Lines for a terminal."""
        summary = (
            f"Labels: {self.appended} appended ({self.withdrawn} of them withdraw), {self.known} "
            f"known already, {self.replaced} replaced by a later line, {len(self.problems)} "
            "lines not used"
        )
        return [summary, *(f"  {problem}" for problem in self.problems)]


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
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{file} is not UTF-8 text ({error.reason}, byte {error.start}). Save the table as CSV "
            "in UTF-8."
        ) from None
    table = _open(file, text)

    def report(number: int, problem: str) -> None:
        taken.problems.append(f"line {number}: {problem}")

    for number, row in rows_of(table, report):
        crop_id, label, reviewer = ((row[name] or "").strip() for name in COLUMNS)
        line = Line(crop_id, clean_label(label), reviewer.casefold())
        if problem := _problem(line, label, crops, allowed):
            report(number, problem)
        else:
            yield line


def _open(file: Path, text: str) -> csv.DictReader:
    """Open the table; ConfigError when it lacks a column."""
    try:
        table = open_table(text.splitlines())
    except csv.Error as error:
        raise ConfigError(
            f"{file} line 1 is not CSV ({error}). Save the table as CSV, with every quote closed."
        ) from None
    if lacking := [name for name in COLUMNS if name not in table.fieldnames]:
        raise ConfigError(
            f"{file} has the columns {', '.join(table.fieldnames) or 'none'}; "
            f"{', '.join(COLUMNS)} are expected. Add {' and '.join(lacking)}."
        )
    return table


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
