"""Print the lines of a summary: on a terminal alerts are coloured and text wraps between words.

A line is a sentence, or `  label  text` as the summaries write them. In a file or a pipe every line
stays one line, so that it can be searched.
"""

import re
import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

STYLES = {
    "ALERT": "bold yellow",
    "REJECTED": "bold yellow",
    "UNMATCHED": "bold yellow",
    "LATE:": "bold red",
    "FAILED": "bold red",
    "CHECK": "bold red",
}
LABEL = re.compile(r"\s*(?:\S+\s{2,})?")
NARROWEST = 20  # columns that text is wrapped to, even on a narrower terminal
UNIT = re.compile(r"(?<=\d) (?=(?:s\b|%))")  # the space before one does not end a row
GLUE = "\N{NO-BREAK SPACE}"
COLUMNS = " " * 3  # only tables have so many spaces within a line, and they are left as they are


def print_lines(lines: Sequence[str], console: Console | None = None) -> None:
    """Print `lines` to standard output."""
    console = console or Console()
    for line in lines:
        for row in _wrapped(line, console) if console.is_terminal else [Text(line)]:
            console.print(row, soft_wrap=True, highlight=False)


def _wrapped(line: str, console: Console) -> list[Text]:
    """The rows of one line; the second and later ones begin below the text of the first."""
    words = line.split(maxsplit=1)
    style = STYLES.get(words[0], "") if words else ""
    label = LABEL.match(line)[0]
    if not words or COLUMNS in line[len(label) :]:
        return [Text(line, style)]
    # Paths and ids are not broken: whoever copies one needs it whole.
    rows = textwrap.wrap(
        UNIT.sub(GLUE, line[len(label) :]),
        max(console.width - len(label), NARROWEST),
        break_long_words=False,
        break_on_hyphens=False,
    )
    indents = [label, *[" " * len(label)] * (len(rows) - 1)]
    return [
        Text(indent + row.replace(GLUE, " "), style)
        for indent, row in zip(indents, rows, strict=True)
    ]
