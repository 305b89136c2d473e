"""Read tables from text: CSV and its relatives with `,` `;` `|` or tab between the cells."""

import csv
import re
from itertools import islice
from typing import NamedTuple

from pipeline.ingest.tables.table import IsHeader, Row, Table, UnreadableTable

DELIMITERS = ",;\t|"
# Excel reads and some programs write this before the header.
SEPARATOR = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
NEWLINE = re.compile(r"\r\n|\r|\n")
TITLE_LINES = 20  # a header is looked for behind as many lines at most
HEADER_LINES = 20  # a heading may have several lines, but an open quote takes all


class _Header(NamedTuple):
    line: int  # its place in the text, from 0
    delimiter: str


def read_delimited(text: str, is_header: IsHeader) -> Table:
    """Read a table; its header is the first line that `is_header`, else the first with text.

    A text without a line has no headings. Raises UnreadableTable when the header is not CSV.
    """
    lines = NEWLINE.split(text)
    if lines and not lines[-1]:
        lines.pop()
    header = _find_header(lines, is_header)
    if header is None:
        return Table([])
    # Unless strict, an unclosed quote takes the rest of the file into its field.
    reader = _reader(lines[header.line :], header.delimiter)
    try:
        table = Table([heading.strip() for heading in next(reader)])
    except csv.Error as error:
        number = header.line + 1
        raise UnreadableTable(f"is not CSV ({error}); close every quote", number) from None
    table.comma_is_decimal = header.delimiter == ";"
    _read_rows(reader, header.line, table)
    ends_open = bool(table.broken) and header.line + reader.line_num >= len(lines)
    if ends_open and _is_unclosed(lines[table.broken[-1][0] - 1 :]):
        table.unfinished = "ends within a quoted field; copy it again, or close the quote"
    elif not text.endswith(("\n", "\r")) and _ends_early(table):
        table.unfinished = "ends within its last line; copy it again, or complete that line"
    _name_index(table)
    table.rows = [row for row in table.rows if any(row.cells)]
    return table


def _find_header(lines: list[str], is_header: IsHeader) -> _Header | None:
    """Where the header is, and the delimiter; None without a line."""
    given, first = None, None
    filled = ((place, line) for place, line in enumerate(lines) if line.strip())
    for place, line in islice(filled, TITLE_LINES):
        if first is None and (separator := SEPARATOR.fullmatch(line.strip(" "))):
            given = separator[1]
            continue
        # The delimiter that is in a line most often is tried first.
        delimiters = given or sorted(DELIMITERS, key=line.count, reverse=True)
        if first is None:
            first = _Header(place, delimiters[0])
        for delimiter in delimiters:
            if is_header(_cells(lines[place : place + HEADER_LINES], delimiter)):
                return _Header(place, delimiter)
    return first


def _reader(lines: list[str], delimiter: str):
    # With line ends, so that the lines of one cell are not joined.
    ended = (f"{line}\n" for line in lines)
    return csv.reader(ended, delimiter=delimiter, strict=True)


def _cells(lines: list[str], delimiter: str) -> list[str]:
    """The cells of the first line; none if it is not CSV."""
    try:
        return next(_reader(lines, delimiter))
    except csv.Error:
        return []


def _read_rows(reader, above: int, table: Table) -> None:
    """Read lines behind the header and the `above` lines above it, also after broken ones."""
    while True:
        first = above + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            last = above + reader.line_num
            what = f"is not CSV up to line {last} ({error}); close every quote. Not used"
            table.broken.append((first, what))
        else:
            if cells:
                number = above + reader.line_num
                table.rows.append(Row(number, [text.strip() for text in cells]))


def _is_unclosed(lines: list[str]) -> bool:
    return "".join(lines).count('"') % 2 == 1


def _ends_early(table: Table) -> bool:
    """Whether the last row is shorter than every other."""
    lengths = [min(len(row.cells), len(table.headings)) for row in table.rows]
    whole = lengths[:-1] or [len(table.headings)]
    return bool(lengths) and lengths[-1] < min(whole)


def _name_index(table: Table) -> None:
    """Insert the heading that R leaves out above the numbers of rows."""
    width = len(table.headings) + 1
    if table.rows and all(len(row.cells) == width for row in table.rows):
        first = int(table.rows[0].cells[0]) if table.rows[0].cells[0] in ("0", "1") else 1
        numbers = range(first, first + len(table.rows))
        if all(row.cells[0] == str(n) for row, n in zip(table.rows, numbers, strict=True)):
            table.headings.insert(0, "")
