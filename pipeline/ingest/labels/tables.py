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

from pipeline.ingest.labels.annotations import Annotations, Box, read_lines
from pipeline.ingest.labels.class_names import ClassReader
from pipeline.ingest.labels.label_file import LabelFile
from pipeline.ingest.labels.teeth import ToothReader
from pipeline.ingest.list_files import Entry, FileList, suffix

NAME_COLUMNS = ("file", "image_id")
BOX_COLUMNS = ("x", "y", "w", "h")


def read_tables(folder: Path, listing: FileList, into: Annotations) -> None:
    """Read every CSV file of the batch."""
    for entry in listing.labels:
        if suffix(entry) == b".csv":
            _read_table(folder, entry, into)


def _read_table(folder: Path, entry: Entry, into: Annotations) -> None:
    name = os.fsdecode(entry.path)
    lines = read_lines(folder, entry, into.problem)
    if not lines:
        into.add_file(entry.path, "unknown")
        return
    try:
        table = open_table(lines)
    except csv.Error as error:
        into.add_file(entry.path, "unknown")
        what = f"is not CSV ({error}); its labels are missing"
        into.problem("unreadable", f"{name} line 1", what)
        return
    column = next((column for column in NAME_COLUMNS if column in table.fieldnames), None)
    if column is None:
        into.add_file(entry.path, "unknown")
        into.problem(
            "unusable_line", name, "has neither a column `file` nor `image_id`; it was not used"
        )
        return

    def report(line: int, what: str) -> None:
        into.problem("unreadable", f"{name} line {line}", what)

    rows = [(f"{name} line {line}", _trimmed(row)) for line, row in rows_of(table, report)]
    found = into.finder.find((row[column] for _, row in rows), entry.path)
    file = into.add_file(entry.path, "csv")
    classes = into.class_reader(_values(rows, "label"))
    teeth = into.tooth_reader(_values(rows, "tooth"), name)
    for where, row in rows:
        match = found[row[column]]
        file.add_entry(row[column], match.path is not None)
        if path := into.require_scan(row[column], match, where):
            _Row(row, where, path, into, file).read(classes, teeth)


def _values(rows: list[tuple[str, dict[str, str]]], column: str) -> set[str]:
    return {row.get(column, "") for _, row in rows} - {""}


def _trimmed(row: dict) -> dict[str, str]:
    # csv keeps the surplus of a line longer than the header under None.
    return {key: (value or "").strip() for key, value in row.items() if key is not None}


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
    """Reader of one row of a table, about the scan `path`."""

    def __init__(self, row: dict, where: str, path: bytes, into: Annotations, file: LabelFile):
        self.row, self.where, self.path = row, where, path
        self.into, self.file = into, file

    def read(self, classes: ClassReader, teeth: ToothReader) -> None:
        annotation = self.into.of(self.path)
        label, tooth = None, None
        if text := self.row.get("label"):
            label, tooth = self.into.class_of(classes, text, self.file, self.where, self.path)
        tooth = self._tooth(teeth) or tooth
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

    def _patient(self) -> None:
        patient = self.row.get("patient") or self.row.get("group")
        annotation = self.into.of(self.path)
        if patient and annotation.patient not in (None, patient):
            self._problem("two_patients", "the scan has another patient already; not used")
        elif patient:
            annotation.patient = patient

    def _tooth(self, teeth: ToothReader) -> int | None:
        text = self.row.get("tooth", "")
        tooth = teeth.read(text) if text else None
        if text and tooth is None:
            what = f"tooth `{text}` is not {teeth.expected()}; it was not used"
            self._problem("unusable_line", what)
        return tooth

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
