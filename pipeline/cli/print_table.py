"""Rows for a person to read and to copy from: a table where it fits, else one block a row."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from pipeline.cli.output import console

PROSE = 24  # columns that a sentence needs to be read without effort


def print_rows(header: Sequence[str], rows: Sequence[Sequence], prose: str | None = None) -> None:
    """Print all of every value: rich would cut what does not fit, and a cut id is of no use.

    Only the column `prose` may be wrapped.
    """
    # As texts, because a label such as [b] would be taken for markup.
    texts = [[cell(value) for value in row] for row in rows]
    out = console()
    if _width(header, texts, prose) > out.width:
        _print_blocks(header, texts)
        return
    table = Table()
    for name in header:
        table.add_column(Text(name), no_wrap=name != prose)
    for row in texts:
        table.add_row(*map(Text, row))
    out.print(table)


def _width(header: Sequence[str], rows: Sequence[Sequence[str]], prose: str | None) -> int:
    columns = zip(header, *rows, strict=True)
    widths = [PROSE if names[0] == prose else max(map(cell_len, names)) for names in columns]
    return sum(widths) + 3 * len(widths) + 1  # a line and two spaces for each, and the last line


def _print_blocks(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        print("No rows.")
    longest = max(map(len, header))
    for number, row in enumerate(rows):
        if number:
            print()
        for name, value in zip(header, row, strict=True):
            print(f"{name:{longest}}  {value}".rstrip())


def cell(value) -> str:
    """A value in a few characters; nothing for what is missing."""
    if isinstance(value, float):
        return "" if value != value else f"{value:.3f}"
    return "" if value is None else str(value)
