"""Excel files, as openpyxl writes them, and damaged ones."""

import datetime
import io
import zipfile

import openpyxl
import pytest

from pipeline.ingest.tables import workbooks
from pipeline.ingest.tables.label_columns import has_name_column
from pipeline.ingest.tables.read_table import read_table
from pipeline.ingest.tables.table import UnreadableTable


def workbook(**sheets):
    """An Excel file with these sheets of cells by their addresses."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, cells in sheets.items():
        sheet = book.create_sheet(name)
        for address, value in cells.items():
            sheet[address] = value
    return saved(book)


def saved(book):
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def repacked(data, change):
    """The same archive with other contents of its parts."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w", 8) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return made.getvalue()


def read(data):
    return read_table(data, has_name_column)


TABLE = {"A1": "file", "B1": "tooth", "A2": "a.png", "B2": 18}


def test_cells_are_texts_as_the_sheet_shows_them_and_rows_have_its_numbers():
    cells = {"B3": "File", "C3": "tooth", "D3": "x", "E3": "seen", "F3": "on"}
    cells |= {"B4": "ä.png ", "C4": 18, "D4": 1.5, "E4": True}
    cells |= {"B7": 1001, "F7": datetime.date(2026, 11, 2)}
    table = read(workbook(one=cells))
    assert table.headings == ["File", "tooth", "x", "seen", "on"]
    assert table.rows == [
        (4, ["ä.png", "18", "1.5", "1", ""]),
        (7, ["1001", "", "", "", "2026-11-02"]),
    ]
    assert table.unit == "row"


def test_the_first_visible_sheet_with_a_header_is_read_and_the_others_are_listed():
    book = openpyxl.load_workbook(
        io.BytesIO(workbook(hidden=TABLE, cover={"A1": "Study"}, empty={}, t=TABLE, u=TABLE))
    )
    book["hidden"].sheet_state = "hidden"
    table = read(saved(book))
    assert len(table.rows) == 1
    assert table.unread_sheets == ["cover", "u"]


def test_title_rows_above_the_header_are_passed_over():
    table = read(workbook(one={"A1": "Findings", "A2": "2026", "B4": "file", "B5": "a.png"}))
    assert (table.headings, table.rows) == (["", "file"], [(5, ["", "a.png"])])


def test_without_a_known_heading_the_first_row_is_the_header():
    assert read(workbook(one={"A2": "who", "A3": "x"})).headings == ["who"]
    assert read(workbook(one={})).headings == []


def test_content_decides_and_not_the_name():
    assert read(b"file;tooth\na.png;18\n").headings == ["file", "tooth"]


WHOLE = workbook(one=TABLE)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (workbooks.OLE + bytes(600), "protected by a password"),
        (b"PK\3\4 a spreadsheet", "no whole Excel file"),
        (WHOLE[:-40], "no whole Excel file"),
        (WHOLE[:60] + bytes(20) + WHOLE[80:], "Excel file"),
        (repacked(WHOLE, lambda name, text: text[: len(text) // 2]), "damaged Excel file"),
        (repacked(WHOLE, lambda name, text: b""), "damaged Excel file"),
        (workbook(one=TABLE | {"XFD1048576": "x"}), "row 1,048,576 and column 16,384"),
        (workbook(one=TABLE | {"ZZ20000": "x"}), "row 20,000 and column 702"),
    ],
)
def test_files_that_cannot_be_read_are_refused_with_the_reason(data, message):
    with pytest.raises(UnreadableTable, match=message):
        read(data)


def test_a_file_that_unpacks_to_much_more_is_refused(monkeypatch):
    monkeypatch.setattr(workbooks, "MAX_UNPACKED", 20_000)
    bomb = repacked(WHOLE, lambda name, text: text + b" " * 10_000)
    with pytest.raises(UnreadableTable, match="unpacks to more than 20,000 bytes"):
        read(bomb)


def test_pictures_and_macros_are_not_unpacked(monkeypatch):
    data = io.BytesIO(WHOLE)
    with zipfile.ZipFile(data, "a") as book:
        book.writestr("xl/media/a.png", bytes(50_000))
        book.writestr("xl/vbaProject.bin", bytes(50_000))
    monkeypatch.setattr(workbooks, "MAX_UNPACKED", 20_000)
    assert len(read(data.getvalue()).rows) == 1
