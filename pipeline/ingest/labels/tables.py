"""Read labels, patients and boxes from tables: CSV and its relatives, Excel.

What a column is follows from its heading (tables/label_columns.py); columns of 0 and 1 are classes
(class_columns.py), and rows of the VGG Image Annotator hold JSON (via_tables.py). One scan may have
several rows. Every row is used, or counted and reported with its number.
"""

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.ingest.batch_folder import BatchFolder
from pipeline.ingest.labels.annotations import Annotations, Box, read_bytes
from pipeline.ingest.labels.class_columns import ClassColumns, class_columns
from pipeline.ingest.labels.class_names import ClassReader
from pipeline.ingest.labels.find_scan import Found
from pipeline.ingest.labels.label_file import LabelFile
from pipeline.ingest.labels.teeth import ToothReader
from pipeline.ingest.labels.via_tables import is_via, read_via
from pipeline.ingest.list_files import Entry, FileList, suffix
from pipeline.ingest.tables.label_columns import LabelColumns, has_name_column, label_columns
from pipeline.ingest.tables.numbers import read_number, without_decimals
from pipeline.ingest.tables.read_table import read_table
from pipeline.ingest.tables.suffixes import TABLE_SUFFIXES
from pipeline.ingest.tables.table import Row, Table, UnreadableTable, cell

NO_NAMES = (
    "has no column with names of scans, such as `file` or `image_id`, but {}; it was not used"
)


def read_tables(folder: BatchFolder, listing: FileList, into: Annotations) -> None:
    """Read every table of the batch."""
    for entry in listing.labels:
        if suffix(entry) in TABLE_SUFFIXES or entry.path in listing.text_tables:
            _read_table(folder, entry, into)


def _read_table(folder: BatchFolder, entry: Entry, into: Annotations) -> None:
    name = os.fsdecode(entry.path)
    table = _open(folder, entry, into)
    if table is None or not table.headings:
        into.add_file(entry.path, "unknown")
        if table is not None and entry.size:
            into.problem("unusable_line", name, "has no header; it was not used")
        return
    if table.guess:
        into.notice("guessed", name, table.guess)
    if is_via(table.headings):
        read_via(table, entry, into)
        return
    columns = label_columns(table.headings)
    place, found = _scans(table, columns, entry, into)
    if place is None:
        into.add_file(entry.path, "unknown")
        listed = ", ".join(f"`{heading}`" for heading in table.headings if heading) or "none"
        into.problem("unusable_line", name, NO_NAMES.format(listed))
        return
    for number, what in table.broken:
        into.problem("unreadable", f"{name} {table.unit} {number}", what)
    classes = class_columns(table, columns, os.path.basename(entry.path), into)
    if classes.is_guess:
        listed = ", ".join(f"`{columns.headings[each]}`" for each in classes.places)
        into.notice("guessed", name, f"has only 0 and 1 in {listed}, which were read as classes")
    reader = _TableReader(table, columns, classes, into.add_file(entry.path, "csv"), into)
    for row in table.rows:
        text, where = cell(row.cells, place), f"{name} {table.unit} {row.number}"
        reader.file.add_entry(text, found[text].path is not None)
        if path := into.require_scan(text, found[text], where):
            reader.read(row, where, path)
    if unread := [*_unread(table, columns, classes), *reader.unread()]:
        into.notice("not_read", name, f"was read without {'; '.join(unread)}")


def _open(folder: BatchFolder, entry: Entry, into: Annotations) -> Table | None:
    """The table in a file; None, and a problem, if it cannot be read."""
    name = os.fsdecode(entry.path)

    def report(kind: str, where: str, what: str) -> None:
        into.unread_tables[entry.path] = what
        into.problem(kind, where, what)

    data = read_bytes(folder, entry, report)
    if data is None:
        return None
    try:
        table = read_table(data, has_name_column)
    except UnreadableTable as error:
        where = name if error.line is None else f"{name} line {error.line}"
        into.problem("unreadable", where, f"{error}; its labels are missing")
        into.unread_tables[entry.path] = str(error)
        return None
    if table.unfinished:
        into.unread_tables[entry.path] = table.unfinished
    return table


def _scans(
    table: Table, columns: LabelColumns, entry: Entry, into: Annotations
) -> tuple[int | None, dict[str, Found]]:
    """The column that names the most scans, and the scan of each of its names.

    A heading such as `id` is not enough: at least half of its cells must name scans.
    """
    most, chosen = -1, (None, {})
    for place in columns.names or columns.perhaps_names:
        texts = table.column(place)
        found = into.finder.find(texts, entry.path)
        count = sum(found[text].path is not None for text in texts)
        is_sure = bool(columns.names) or (texts and 2 * count >= len(texts))
        if count > most and is_sure:
            most, chosen = count, (place, found)
    heading = "" if chosen[0] is None else columns.headings[chosen[0]]
    if heading and not columns.names:
        what = f"has no column such as `file`; its column `{heading}` was read as that"
        into.notice("guessed", os.fsdecode(entry.path), what)
    others = [place for place in columns.names if place != chosen[0]]
    columns.unread |= dict.fromkeys(others, f"`{heading}` names the scans")
    return chosen


def _unread(table: Table, columns: LabelColumns, classes: ClassColumns) -> list[str]:
    """What was not read of a table though it may be meant, with the reasons."""
    unread = {place: why for place, why in columns.unread.items() if place not in classes.places}
    unread |= dict.fromkeys(classes.doubtful, "it has only 0 and 1 and may be a class")
    sheets = [f"its sheet `{sheet}`" for sheet in table.unread_sheets]
    texts = [f"its column `{columns.headings[n]}` ({why})" for n, why in sorted(unread.items())]
    return sheets + texts


@dataclass
class _TableReader:
    """Reader of the rows of one table."""

    table: Table
    columns: LabelColumns
    classes: ClassColumns
    file: LabelFile
    into: Annotations

    def __post_init__(self):
        label, headings = self.columns.label, self.table.headings
        written = {headings[place] for place in self.classes.places}
        written.update(self.table.column(label) if label is not None else ())
        self.names: ClassReader = self.into.class_reader(written - {""})
        teeth = map(without_decimals, self._column(self.columns.tooth))
        where = os.fsdecode(self.file.path)
        self.teeth: ToothReader = self.into.tooth_reader({*teeth} - {""}, where)
        self.places = {*self.columns.places, *self.classes.places}
        self.surplus: list[int] = []  # numbers of rows that are longer than the header

    def _column(self, place: int | None) -> list[str]:
        return [] if place is None else self.table.column(place)

    def read(self, row: Row, where: str, path: bytes) -> None:
        """Read one row, about the scan `path`."""
        if self.table.is_shifted(row, self.places):
            what = self.table.describe_surplus(row)
            self.into.problem("unusable_line", where, what, path)
            return
        if any(row.cells[len(self.table.headings) :]):
            self.surplus.append(row.number)
        _RowReader(self, row.cells, where, path).read()

    def unread(self) -> list[str]:
        """Values beyond the last column."""
        first = f"the first in {self.table.unit} {self.surplus[0]}" if self.surplus else ""
        count = len(self.surplus)
        return [f"the values beyond the last column in {count} rows, {first}"] if count else []


class _RowReader:
    """Reader of one row of a table, about the scan `path`."""

    def __init__(self, of: _TableReader, cells: Sequence[str], where: str, path: bytes):
        self.of, self.into, self.columns = of, of.into, of.columns
        self.cells, self.where, self.path = cells, where, path

    def read(self) -> None:
        about = self.into.of(self.path)
        labels, tooth = self._classes()
        tooth = self._tooth() or tooth
        self._patient()
        about.bits = self._bits() or about.bits
        columns = self.columns.box
        places = columns.places if columns else self.columns.part_of_box
        if any(self._texts(places)):
            self._box(places, labels, tooth)
            return
        for label in labels:
            if about.label not in (None, label):
                what = f"the scan was labelled `{about.label}` before; the later `{label}` counts"
                self._problem("two_classes", what)
            about.label = label
        about.tooth = tooth or about.tooth

    def _problem(self, kind: str, what: str) -> None:
        self.into.problem(kind, self.where, what, self.path)

    def _text(self, place: int | None) -> str:
        return cell(self.cells, place)

    def _texts(self, places: Sequence[int]) -> list[str]:
        return [self._text(place) for place in places]

    def _classes(self) -> tuple[list[str], int | None]:
        """The labels of a row, without repetition, and the tooth that its classes name."""
        written = [self._text(self.columns.label)] if self._text(self.columns.label) else []
        if self.of.classes.places:
            written += self.of.classes.of_row(self.cells, self.of.table.headings)
            if not written and any(self._texts(self.of.classes.places)):
                self.into.notice("empty_row", self.where, "has no class")
                self.into.empty.append((self.path, self.where))
        found = [
            self.into.class_of(self.of.names, name, self.of.file, self.where, self.path)
            for name in written
        ]
        teeth = (meaning.tooth for meaning in found if meaning.tooth)
        labels = dict.fromkeys(meaning.label for meaning in found if meaning.label)
        return list(labels), next(teeth, None)

    def _patient(self) -> None:
        patient = next(filter(None, self._texts(self.columns.patients)), None)
        about = self.into.of(self.path)
        if patient and about.patient not in (None, patient):
            self._problem("two_patients", "the scan has another patient already; not used")
        elif patient:
            about.patient = patient

    def _tooth(self) -> int | None:
        text = without_decimals(self._text(self.columns.tooth))
        tooth = self.of.teeth.read(text) if text else None
        if text and tooth is None:
            what = f"tooth `{text}` is not {self.of.teeth.expected()}; it was not used"
            self._problem("unusable_line", what)
        return tooth

    def _bits(self) -> int | None:
        text = without_decimals(self._text(self.columns.bits))
        bits = int(text) if re.fullmatch("[0-9]{1,2}", text) else None
        if text and bits not in range(8, 17):
            self._problem("unusable_line", f"bits `{text}` is not 8 to 16; it was not used")
            return None
        return bits

    def _box(self, places: Sequence[int], labels: list[str], tooth: int | None) -> None:
        comma_is_decimal = self.of.table.comma_is_decimal
        numbers = [read_number(text, comma_is_decimal) for text in self._texts(places)]
        columns = self.columns.box
        if columns and columns.has_corners:
            numbers[2:] = [numbers[2] - numbers[0], numbers[3] - numbers[1]]
        if columns is None or not all(map(math.isfinite, numbers)) or min(numbers[2:]) <= 0:
            headings = ", ".join(self.columns.headings[place] for place in places)
            texts = ", ".join(self._texts(places))
            what = f"{headings} are `{texts}`, not a box in pixels; it was not used"
            self._problem("unusable_line", what)
            return
        label = labels[0] if len(labels) == 1 else None
        if len(labels) > 1:
            listed = ", ".join(f"`{each}`" for each in labels)
            self._problem("two_classes", f"one box has {listed}; it is cut without a label")
        box = Box(*numbers, False, label, tooth, self.where)
        self.into.of(self.path).boxes.append(box)
