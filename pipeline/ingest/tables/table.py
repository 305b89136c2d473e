"""A table of text cells, as read from a CSV file or a spreadsheet."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

IsHeader = Callable[[Sequence[str]], bool]  # whether these cells are the headings of a table


class Row(NamedTuple):
    """Cells of one row, without blanks around them; it may be shorter or longer than the header."""

    number: int  # of its last line in the file, or of its row in the sheet
    cells: list[str]


class UnreadableTable(ValueError):
    """A file that cannot be read as a table; the message begins with a verb."""

    def __init__(self, message: str, line: int | None = None):
        super().__init__(message)
        self.line = line  # of the header, if that is the cause


@dataclass
class Table:
    """A table without its empty rows."""

    headings: list[str]
    rows: list[Row] = field(default_factory=list)
    unit: str = "line"  # what row numbers count: `line` of a text or `row` of a sheet
    # Lines that are not CSV, by the number of the first, with what is wrong with them.
    broken: list[tuple[int, str]] = field(default_factory=list)
    unfinished: str | None = None  # why the file seems to be a part of another
    guessed_encoding: str | None = None
    unread_sheets: list[str] = field(default_factory=list)
    comma_is_decimal: bool = False  # a comma in a number can be nothing else

    @property
    def guess(self) -> str | None:
        """A message about the encoding, if that is a guess; it begins with a verb."""
        if self.guessed_encoding is None:
            return None
        return f"was read as {self.guessed_encoding}, a guess; save it as UTF-8 if texts are wrong"

    def is_shifted(self, row: Row, read: Iterable[int | None]) -> bool:
        """Whether cells of a row may be in other columns than theirs, given those that are `read`.

        A text with commas and without quotes takes several cells. It may be that of the last
        column, if that is not read.
        """
        return any(row.cells[len(self.headings) :]) and len(self.headings) - 1 in read

    def describe_surplus(self, row: Row) -> str:
        """Report a row that is longer than the header."""
        return (
            f"has {len(row.cells)} values for {len(self.headings)} columns; it was not used. "
            "Put quotes around values with commas"
        )

    def column(self, place: int) -> list[str]:
        """The cells of one column."""
        return [cell(row.cells, place) for row in self.rows]


def cell(cells: Sequence[str], place: int | None) -> str:
    """The cell at a place of a row; empty if the row is too short or there is no such column."""
    return cells[place] if place is not None and place < len(cells) else ""
