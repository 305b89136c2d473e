"""Tables for reviewers who work in a spreadsheet: write one to fill in, read one back.

A table is CSV or Excel with the columns `crop_id`, `label` and `reviewer`, and may have `decision`;
others, such as `predicted` and `note`, are for people and are not read. A line without a label
decides nothing; `withdraw`, `unsure` and `undo` are decisions in the place of a label.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pipeline.config import Settings
from pipeline.errors import ConfigError
from pipeline.ingest.file_kinds import is_ignored
from pipeline.ingest.tables.headings import find_columns
from pipeline.ingest.tables.label_columns import MEANINGS
from pipeline.ingest.tables.read_table import START_BYTES, is_table_text, read_table
from pipeline.ingest.tables.suffixes import TABLE_SUFFIXES
from pipeline.ingest.tables.table import Table, UnreadableTable, cell
from pipeline.labels import clean_label, name_key, reviewer_problem
from pipeline.learn.decisions import (
    DECISIONS,
    LABELLING,
    Decision,
    decision_problem,
    label_problem,
)
from pipeline.store import catalog
from pipeline.store.store import Store

# Columns by their headings, the first of which is the one in the documentation.
REQUIRED = {
    "crop_id": ("crop_id", "crop"),
    "label": MEANINGS["label"],
    "reviewer": ("reviewer", "reviewed_by", "reader", "rater", "annotator", "initials"),
}
COLUMNS = REQUIRED | {"decision": ("decision",)}  # a word of DECISIONS, needed for `consensus`
WORDS = frozenset(DECISIONS) - frozenset(LABELLING)
EXPORTED = ("crop_id", "predicted", "label", "reviewer", "note")


class Line(NamedTuple):
    """A line of a table that decides something and can be used."""

    place: str  # such as `line 3`, or `row 3` of a sheet
    decision: Decision


@dataclass
class ReviewTable:
    """The lines of a table that can be used, what is wrong with the others, and the blank ones."""

    lines: list[Line] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what was read by a guess, or not read
    blank: int = 0


def is_reviewers_table(path: Path) -> bool:
    """Whether a file of a folder is a reviewer's table: by its name, a .txt by its header."""
    suffix = os.fsencode(path.suffix.lower())
    if is_ignored(os.fsencode(path.name)) or not path.is_file():
        return False
    if suffix != b".txt":
        return suffix in TABLE_SUFFIXES
    with path.open("rb") as file:
        return is_table_text(file.read(START_BYTES), _has_crops)


def read_review_table(
    file: Path,
    crops: Collection[str],
    allowed: set[str],
    class_names: Mapping[str, str],
) -> ReviewTable:
    """Read a table about `crops` with the `allowed` labels, also by other `class_names`.

    Raises ConfigError when the file cannot be read or lacks a column.
    """
    found = ReviewTable()
    for place, row in _rows(file, found):
        written, word = row["label"], row["decision"].casefold()
        if not written and not word:
            found.blank += 1
            continue
        if written.casefold() in WORDS and word in ("", written.casefold()):
            written, word = "", written.casefold()
        written = label_of(written, class_names)
        label = (clean_label(written) or written) if written else None
        made = Decision(row["crop_id"], word or "label", label, row["reviewer"].casefold())
        if problem := find_problem(made, written, crops, allowed):
            found.problems.append(f"{place}: {problem}")
        else:
            found.lines.append(Line(place, made))
    return found


def label_of(written: str, class_names: Mapping[str, str]) -> str:
    """What the setting `class_names` makes of a written label; itself, if nothing."""
    mapped = {name_key(name): label for name, label in class_names.items()}
    return mapped.get(name_key(written), written)


def find_problem(
    made: Decision, written: str, crops: Collection[str], allowed: set[str]
) -> str | None:
    """Why a decision cannot be used; None for one that can."""
    if made.crop_id not in crops:
        return f"there is no crop `{made.crop_id}` in the store"
    problem = reviewer_problem(made.reviewer) or decision_problem(made.decision, made.label)
    return problem or (label_problem(written, allowed) if written else None)


def _rows(file: Path, into: ReviewTable) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the rows of a file by the names of `COLUMNS`; what is no row goes to the problems."""
    table, places = _open(file, into)
    into.problems += [f"{table.unit} {number}: {what}" for number, what in table.broken]
    for row in table.rows:
        place = f"{table.unit} {row.number}"
        if table.is_shifted(row, places.values()):
            into.problems.append(f"{place}: {table.describe_surplus(row)}")
        else:
            yield place, {name: cell(row.cells, places.get(name)) for name in COLUMNS}


def _has_crops(cells: Sequence[str]) -> bool:
    return "crop_id" in find_columns(cells, COLUMNS).places


def _open(file: Path, into: ReviewTable) -> tuple[Table, dict[str, int]]:
    """Open the table, and find its columns; ConfigError when it lacks one."""
    try:
        table = read_table(file.read_bytes(), _has_crops)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from None
    except UnreadableTable as error:
        line = "" if error.line is None else f" line {error.line}"
        raise ConfigError(f"{file}{line} {error}.") from None
    places, doubled = find_columns(table.headings, COLUMNS)
    if lacking := [name for name in REQUIRED if name not in places]:
        raise ConfigError(
            f"{file} has the columns {', '.join(table.headings) or 'none'}; "
            f"{', '.join(REQUIRED)} are expected. Add {' and '.join(lacking)}."
        )
    into.notes += [f"the table {table.guess}"] if table.guess else []
    into.notes += [f"the sheet `{sheet}` was not read" for sheet in table.unread_sheets]
    into.notes += [
        f"the column `{table.headings[place]}` was not read; `{table.headings[places[name]]}` was"
        for place, name in doubled.items()
    ]
    return table, places


def write_review_table(
    settings: Settings, file: Path, reviewer: str | None, batch: str | None
) -> int:
    """Write a table of the work-list of a reviewer, or of all, to fill in; its number of crops.

    The columns `label` and `note` are empty; audit crops have no prediction either. Raises
    ConfigError when the file exists, so that no label in it is lost, or cannot be written.
    """
    given = {"reviewer": reviewer, "batch": batch, "double_read": settings.double_read}
    with catalog.open_store(Store(settings.store)) as con:
        rows = catalog.query(con, "worklist_lines", **given)
    rows = rows.assign(label="", reviewer=reviewer or "", note="")[list(EXPORTED)]
    try:
        with open(file, "x", encoding="utf-8", newline="") as text:
            rows.to_csv(text, index=False)
    except FileExistsError:
        raise ConfigError(
            f"{file} exists already and may hold labels. Name another file, or remove it."
        ) from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}.") from None
    return len(rows)
