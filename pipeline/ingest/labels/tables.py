"""Read labels, patients and boxes from CSV files.

A table has a column `file` (name or path) or `image_id` (name without suffix) and any of `label`,
`patient` or `group`, `tooth` (FDI), `x`, `y`, `w`, `h` (pixels; left, top, width, height) and
`bits` (of the sensor). Other columns are ignored. One scan may have several rows.
"""

import csv
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.ingest.labels.annotations import FDI, Annotations, Box, read_lines
from pipeline.ingest.list_files import Entry, FileList, suffix
from pipeline.labels import clean_label

NAME_COLUMNS = ("file", "image_id")
BOX_COLUMNS = ("x", "y", "w", "h")


def read_tables(folder: Path, listing: FileList, classes: list[str], into: Annotations) -> None:
    """Read every CSV file of the batch; `classes`, if any, are the only labels allowed."""
    for entry in listing.labels:
        if suffix(entry) == b".csv":
            _read_table(folder, entry, classes, into)


def _read_table(folder: Path, entry: Entry, classes: list[str], into: Annotations) -> None:
    name = os.fsdecode(entry.path)
    lines = read_lines(folder, entry, into.problem)
    if not lines:
        return
    try:
        table = open_table(lines)
    except csv.Error as error:
        what = f"is not CSV ({error}); its labels are missing"
        into.problem("unreadable", f"{name} line 1", what)
        return
    column = next((column for column in NAME_COLUMNS if column in table.fieldnames), None)
    if column is None:
        into.problem(
            "unusable_line", name, "has neither a column `file` nor `image_id`; it was not used"
        )
        return

    def report(line: int, what: str) -> None:
        into.problem("unreadable", f"{name} line {line}", what)

    for line, row in rows_of(table, report):
        _Row(row, f"{name} line {line}", into).read(column, entry, classes)


def open_table(lines: list[str]) -> csv.DictReader:
    """A CSV reader with column names in lower case. Raises csv.Error for an unreadable header."""
    # Spreadsheets write semicolons in many countries; the header shows the delimiter.
    delimiter = max(",;\t", key="".join(lines[:1]).count)
    # Unless strict, an unclosed quote takes the rest of the file into its field.
    table = csv.DictReader(lines, delimiter=delimiter, strict=True)
    table.fieldnames = [(column or "").strip().lower() for column in table.fieldnames or []]
    return table


def rows_of(
    table: csv.DictReader, report: Callable[[int, str], None]
) -> Iterator[tuple[int, dict]]:
    """Yield line numbers and rows; report malformed lines and continue after them."""
    while True:
        first = table.reader.line_num + 1
        try:
            row = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            last = table.reader.line_num
            report(first, f"is not CSV up to line {last} ({error}); close every quote. Not used")
        else:
            yield table.reader.line_num, row


class _Row:
    """Reader of one row of a table."""

    def __init__(self, row: dict, where: str, into: Annotations):
        # csv keeps the surplus of a line longer than the header under None.
        self.row = {key: (value or "").strip() for key, value in row.items() if key is not None}
        self.where = where
        self.into = into

    def read(self, column: str, entry: Entry, classes: list[str]) -> None:
        scans = self.into.find(self.row[column], os.path.dirname(entry.path))
        if len(scans) != 1:
            name = f"`{self.row[column]}`"
            self.into.problem(
                "ambiguous" if scans else "missing_scan",
                self.where,
                f"{name} matches {len(scans)} scans of the batch; write the path in a column `file`"
                if scans
                else f"there is no scan {name} in the batch",
            )
            return
        self.path = scans[0]
        annotation = self.into.of(self.path)
        label, tooth = self._label(classes), self._tooth()
        self._patient()
        annotation.bits = self._integer("bits", range(8, 17), "8 to 16") or annotation.bits
        box = [self.row.get(name, "") for name in BOX_COLUMNS]
        if any(box):
            self._box(box, label, tooth)
        else:
            if label and annotation.label not in (None, label):
                what = (
                    f"the scan was labelled `{annotation.label}` before; the later `{label}` counts"
                )
                self._problem("two_classes", what)
            annotation.label = label or annotation.label
            annotation.tooth = tooth or annotation.tooth

    def _problem(self, kind: str, what: str) -> None:
        self.into.problem(kind, self.where, what, self.path)

    def _label(self, classes: list[str]) -> str | None:
        text = self.row.get("label", "")
        label = clean_label(text)
        if text and (label is None or (classes and label not in classes)):
            known = f"one of classes.txt ({', '.join(classes)})" if classes else "a class name"
            self._problem("unknown_class", f"label `{text}` is not {known}; it was not used")
            return None
        return label

    def _patient(self) -> None:
        patient = self.row.get("patient") or self.row.get("group")
        annotation = self.into.of(self.path)
        if patient and annotation.patient not in (None, patient):
            self._problem("two_patients", "the scan has another patient already; not used")
        elif patient:
            annotation.patient = patient

    def _tooth(self) -> int | None:
        return self._integer("tooth", FDI, "an FDI number (11 to 48, 51 to 85)")

    def _integer(self, column: str, allowed, expected: str) -> int | None:
        text = self.row.get(column, "")
        if not text:
            return None
        try:
            number = int(text)
        except ValueError:
            number = None
        if number not in allowed:
            self._problem("unusable_line", f"{column} `{text}` is not {expected}; it was not used")
            return None
        return number

    def _box(self, values: list[str], label: str | None, tooth: int | None) -> None:
        try:
            x, y, w, h = map(float, values)
        except ValueError:
            x = math.nan
        if not math.isfinite(x) or not all(map(math.isfinite, (y, w, h))) or w <= 0 or h <= 0:
            what = f"x, y, w, h are `{', '.join(values)}`, not a box in pixels; it was not used"
            self._problem("unusable_line", what)
            return
        self.into.of(self.path).boxes.append(Box(x, y, w, h, False, label, tooth, self.where))
