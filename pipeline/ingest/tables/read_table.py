"""Read a table from the bytes of a file: CSV and its relatives, or Excel."""

from pipeline.ingest.tables.delimited import read_delimited
from pipeline.ingest.tables.encodings import UndecodableText, decode_start, decode_text
from pipeline.ingest.tables.table import IsHeader, Table, UnreadableTable
from pipeline.ingest.tables.workbooks import OLE, read_workbook

START_BYTES = 4096  # by which a .txt is known as a table
ZIP = b"PK\x03\x04"


def read_table(data: bytes, is_header: IsHeader) -> Table:
    """Read a table; its header is the first row that `is_header`, else the first row.

    Raises UnreadableTable for what is no table, is damaged or is protected.
    """
    # Content decides: people rename tables, and programs export text under the names of Excel.
    if data.startswith((ZIP, OLE)):
        return read_workbook(data, is_header)
    try:
        text = decode_text(data)
    except UndecodableText as error:
        raise UnreadableTable(str(error)) from None
    table = read_delimited(text.text, is_header)
    table.guessed_encoding = text.encoding if text.is_guess else None
    return table


def is_table_text(start: bytes, is_header: IsHeader) -> bool:
    """Whether a text file that begins with these bytes is a table of at least two columns."""
    try:
        text = decode_start(start)
        table = read_delimited(text, lambda cells: len(cells) > 1 and is_header(cells))
    except (UndecodableText, UnreadableTable):
        return False
    return len(table.headings) > 1 and is_header(table.headings)
