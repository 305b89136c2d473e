"""Print results on a terminal."""

import importlib.metadata
import os
import platform
from collections.abc import Iterable, Sequence

import psutil
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.comparison import Comparison, Spread

VERSIONS = (
    "keras",
    "tensorflow",
    "opencv-python-headless",
    "numpy",
    "pyarrow",
    "duckdb",
    "prefect",
)
HEADER = ("what", "ours", "reference", "", "ratio", "goal", "")


def show(comparisons: Iterable[Comparison]) -> None:
    """Print one row per comparison; a result that misses its goal is marked."""
    show_table(HEADER, map(cells, comparisons))


def cells(row: Comparison) -> list[str]:
    """The cells of a row below HEADER."""
    return [
        row.what,
        format_spread(row.ours, row.unit),
        format_spread(row.reference, row.unit) if row.reference else "",
        row.against,
        format_spread(row.ratio) if row.ratio else "",
        row.bar,
        "missed" if row.met is False else "",
    ]


def show_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table of results."""
    table = Table(box=SIMPLE, title="Medians (minimum to maximum); ratios are taken pair by pair")
    for heading in header:
        side = "left" if heading in ("what", "") else "right"
        table.add_column(heading, justify=side, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    # Wide enough that a log or a pipe cuts no number.
    console = Console(width=max(Console().width, 220))
    console.print(table)


def format_spread(spread: Spread, unit: str = "") -> str:
    """The median and the range, which a single value does not have."""
    digits = 0 if spread.middle >= 100 else 2 if spread.middle < 10 else 1
    text = f"{spread.middle:,.{digits}f} {unit}".rstrip()
    if len(spread.values) == 1:
        return text
    return f"{text} ({spread.low:,.{digits}f} to {spread.high:,.{digits}f})"


def machine() -> str:
    """A description of this machine and of the libraries."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in VERSIONS)
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GB; "
        f"Python {platform.python_version()}, {versions}"
    )
