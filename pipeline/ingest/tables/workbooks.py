"""Read tables from Excel files (`.xlsx`, `.xlsm`).

The file is unpacked here, with a limit, and only its parts for cells go to the library: calamine
would unpack whatever a few packed bytes become, and keeps a sheet as a full rectangle, so that two
cells in opposite corners are 17 billion. Macros are not run and pictures are not unpacked.
"""

import datetime
import io
import re
import zlib
from collections.abc import Iterator
from zipfile import ZIP_STORED, BadZipFile, ZipFile

from python_calamine import (
    CalamineError,
    CalamineSheet,
    SheetTypeEnum,
    SheetVisibleEnum,
    load_workbook,
)

from pipeline.ingest.tables.table import IsHeader, Row, Table, UnreadableTable

MAX_UNPACKED = 200_000_000  # bytes
MAX_CELLS = 5_000_000  # of the rectangle that holds a sheet's cells
TITLE_ROWS = 20  # a header is looked for behind as many rows at most
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # of old Excel files and of those with a password
USED = re.compile(r"/?(\[content_types\]\.xml|_rels/.*|docprops/.*|xl/.*\.(xml|rels))", re.I)
SHEET = re.compile(r"/?xl/worksheets/[^/]*\.xml", re.I)
PLACE = re.compile(rb"""\sr\s*=\s*["']([A-Za-z]{0,3})(\d{1,9})["']""")  # of a cell or a row
BROKEN = (BadZipFile, CalamineError, zlib.error, EOFError, NotImplementedError, RuntimeError)


def read_workbook(data: bytes, is_header: IsHeader) -> Table:
    """Read the first visible sheet with a header, else the first with cells.

    Raises UnreadableTable for a file that is damaged, protected or too large.
    """
    if data.startswith(OLE):
        raise UnreadableTable("is protected by a password, or of Excel 97; save it as xlsx without")
    plain = _unpacked(data)
    first, chosen, others = None, None, []
    try:
        for sheet in _sheets(plain):
            rows = list(_rows(sheet))
            header = next((n for n, row in enumerate(rows[:TITLE_ROWS]) if is_header(row[1])), None)
            if rows and header is not None and chosen is None:
                chosen = sheet.name, rows[header:]
            elif rows:
                first = first or (sheet.name, rows)
                others.append(sheet.name)
    except BROKEN as error:
        raise UnreadableTable(f"is a damaged Excel file ({error}); copy it again") from None
    # A panic of the library, which is no Exception.
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise UnreadableTable("is a damaged Excel file; save it as CSV") from None
    if (found := chosen or first) is None:
        return Table([], unit="row")
    name, (header, *rows) = found
    unread = [each for each in others if each != name]
    return Table(header.cells, rows, unit="row", unread_sheets=unread)


def _unpacked(data: bytes) -> bytes:
    """The same workbook without packing, and without what holds no cells."""
    plain, total = io.BytesIO(), 0
    try:
        with ZipFile(io.BytesIO(data)) as packed, ZipFile(plain, "w", ZIP_STORED) as copy:
            for part in packed.infolist():
                if not USED.fullmatch(part.filename):
                    continue
                total += part.file_size
                if total > MAX_UNPACKED:
                    raise UnreadableTable(
                        f"unpacks to more than {MAX_UNPACKED:,} bytes; save the table as CSV"
                    )
                content = packed.read(part)  # no more than file_size, checked against its CRC
                if SHEET.fullmatch(part.filename):
                    _refuse_wide(content)
                copy.writestr(part.filename, content)
    except (*BROKEN, OSError, ValueError) as error:
        if isinstance(error, UnreadableTable):
            raise
        raise UnreadableTable(f"is no whole Excel file ({error}); copy it again") from None
    return plain.getvalue()


def _refuse_wide(sheet: bytes) -> None:
    """Raise UnreadableTable for a sheet whose rectangle of cells is too large."""
    rows, columns = [1], [1]
    for letters, digits in PLACE.findall(sheet):
        rows.append(int(digits))
        if letters:
            columns.append(_number(letters))
    cells = (max(rows) - min(rows[1:], default=1) + 1) * max(columns)
    if cells > MAX_CELLS:
        raise UnreadableTable(
            f"has a sheet with cells up to row {max(rows):,} and column {max(columns):,}; delete "
            "the cells beyond the table, or save it as CSV"
        )


def _number(letters: bytes) -> int:
    """The number of a column: 1 for A, 27 for AA."""
    number = 0
    for letter in letters.upper():
        number = 26 * number + letter - ord("A") + 1
    return number


def _sheets(plain: bytes) -> Iterator[CalamineSheet]:
    book = load_workbook(io.BytesIO(plain))
    for number, about in enumerate(book.sheets_metadata):
        if about.visible == SheetVisibleEnum.Visible and about.typ == SheetTypeEnum.WorkSheet:
            yield book.get_sheet_by_index(number)


def _rows(sheet: CalamineSheet) -> Iterator[Row]:
    """The rows that have cells, with their numbers."""
    if sheet.start is not None:
        for number, cells in enumerate(sheet.to_python(), start=sheet.start[0] + 1):
            texts = [_text(value) for value in cells]
            if any(texts):
                yield Row(number, texts)


def _text(value) -> str:
    """A cell as the sheet shows it: 18 for the number 18.0."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return str(value.date())
    return str(value).strip()
