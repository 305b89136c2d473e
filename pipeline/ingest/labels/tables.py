"""Labels, patients and boxes from CSV files.

A table has a column `file` (name or path) or `image_id` (name without suffix) and any of `label`,
`patient` or `group`, `tooth` (FDI), `x`, `y`, `w`, `h` (pixels; left, top, width, height) and
`bits` (of the sensor). Other columns are left alone. Several rows may tell about one scan.
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
PLACE = ("x", "y", "w", "h")


def read_tables(folder: Path, listing: FileList, classes: list[str], into: Annotations) -> None:
    """Read every CSV of the batch; `classes`, when given, are the only labels allowed."""
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
        into.problem("unreadable", f"{name} line 1", f"is no CSV ({error}); its labels are missing")
        return
    column = next((column for column in NAME_COLUMNS if column in table.fieldnames), None)
    if column is None:
        into.problem(
            "unusable_line", name, "has neither a column `file` nor `image_id`; it was not used"
        )
        return

    def complain(line: int, what: str) -> None:
        into.problem("unreadable", f"{name} line {line}", what)

    for line, row in rows_of(table, complain):
        _Row(row, f"{name} line {line}", into).read(column, entry, classes)


def open_table(lines: list[str]) -> csv.DictReader:
    """A reader of CSV whose column names are in lower case.

    Raises csv.Error when there is no reading the header.
    """
    # Spreadsheets of many countries write semicolons; the header tells.
    delimiter = max(",;\t", key="".join(lines[:1]).count)
    # Unless strict, a quote that nobody closes takes the rest of the file into its field.
    table = csv.DictReader(lines, delimiter=delimiter, strict=True)
    table.fieldnames = [(column or "").strip().lower() for column in table.fieldnames or []]
    return table


def rows_of(
    table: csv.DictReader, complain: Callable[[int, str], None]
) -> Iterator[tuple[int, dict]]:
    """Rows with their line numbers. Lines that make no row are told, the rest goes on."""
    while True:
        first = table.reader.line_num + 1
        try:
            row = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            last = table.reader.line_num
            complain(first, f"is no CSV up to line {last} ({error}); close every quote. Not used")
        else:
            yield table.reader.line_num, row


class _Row:
    """One line of a table and where it stands."""

    def __init__(self, row: dict, where: str, into: Annotations):
        # A line longer than its header keeps the surplus under None.
        self.row = {key: (value or "").strip() for key, value in row.items() if key is not None}
        self.where = where
        self.into = into

    def read(self, column: str, entry: Entry, classes: list[str]) -> None:
        scans = self.into.find(self.row[column], os.path.dirname(entry.path))
        if len(scans) != 1:
            said = f"`{self.row[column]}`"
            self.into.problem(
                "ambiguous" if scans else "missing_scan",
                self.where,
                f"{said} means {len(scans)} scans of the batch; write the path in a column `file`"
                if scans
                else f"there is no scan {said} in the batch",
            )
            return
        self.path = scans[0]
        about = self.into.of(self.path)
        label, tooth = self._label(classes), self._tooth()
        self._patient()
        about.bits = self._whole("bits", range(8, 17), "8 to 16") or about.bits
        place = [self.row.get(name, "") for name in PLACE]
        if any(place):
            self._box(place, label, tooth)
        else:
            if label and about.label not in (None, label):
                what = f"the scan was `{about.label}` before; `{label}` counts, as it is read later"
                self._problem("two_classes", what)
            about.label = label or about.label
            about.tooth = tooth or about.tooth

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
        about = self.into.of(self.path)
        if patient and about.patient not in (None, patient):
            self._problem("two_patients", "names another patient for a scan told before; not used")
        elif patient:
            about.patient = patient

    def _tooth(self) -> int | None:
        return self._whole("tooth", FDI, "an FDI number (11 to 48, 51 to 85)")

    def _whole(self, column: str, allowed, words: str) -> int | None:
        text = self.row.get(column, "")
        if not text:
            return None
        try:
            number = int(text)
        except ValueError:
            number = None
        if number not in allowed:
            self._problem("unusable_line", f"{column} `{text}` is not {words}; it was not used")
            return None
        return number

    def _box(self, place: list[str], label: str | None, tooth: int | None) -> None:
        try:
            x, y, w, h = (float(value) for value in place)
        except ValueError:
            x = math.nan
        if not math.isfinite(x) or not all(map(math.isfinite, (y, w, h))) or w <= 0 or h <= 0:
            said = ", ".join(place)
            self._problem(
                "unusable_line", f"x, y, w, h are `{said}`, not a box in pixels; it was not used"
            )
            return
        self.into.of(self.path).boxes.append(Box(x, y, w, h, False, label, tooth, self.where))
