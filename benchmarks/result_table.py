"""What was measured, in words for a terminal."""

import importlib.metadata
import os
import platform

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.comparison import Comparison, Spread

VERSIONS = ("keras", "tensorflow", "opencv-python-headless", "numpy", "pandas", "pyarrow")


def show(comparisons: list[Comparison]) -> None:
    """Print one row for each; a row that misses its bar is marked."""
    table = Table(
        box=SIMPLE, title="Medians (minimum to maximum); ratios pair by pair, within this run"
    )
    for heading in ("what", "ours", "reference", "", "ratio", "bar", ""):
        side = "left" if heading in ("what", "") else "right"
        table.add_column(heading, justify=side, no_wrap=True)
    for row in comparisons:
        table.add_row(
            row.what,
            in_words(row.ours, row.unit),
            in_words(row.reference, row.unit),
            row.against,
            in_words(row.ratio),
            row.bar,
            "" if row.met else "MISSED",
        )
    # As wide as it needs: a log or a pipe must not cut the numbers.
    console = Console(width=max(Console().width, 200))
    console.print(table)


def show_stages(stages: dict[str, float]) -> None:
    """Print where the whole flow spends its time; "whole" is the sum of all."""
    whole = stages["whole"]
    shares = {name: seconds for name, seconds in stages.items() if name != "whole"}
    said = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in shares.items())
    slowest = max(shares, key=shares.get)
    print(f"Whole flow, the repeat in the middle: {whole:.2f} s: {said}.")
    print(f"Bottleneck: {slowest}, {shares[slowest] / whole:.0%} of the time.")


def in_words(spread: Spread, unit: str = "") -> str:
    """Median and range; a single value has no range."""
    digits = 0 if spread.middle >= 100 else 2 if spread.middle < 10 else 1
    words = f"{spread.middle:,.{digits}f} {unit}".rstrip()
    if len(spread.values) == 1:
        return words
    return f"{words} ({spread.low:,.{digits}f} to {spread.high:,.{digits}f})"


def machine(workers: int) -> str:
    """What it was measured on, and with which versions."""
    from pipeline.model.backend import device, keras

    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in VERSIONS)
    return (
        f"Machine: {os.cpu_count()} cores ({platform.machine()}), {workers} workers, networks on "
        f"{device()} with {keras.backend.backend()}; load {os.getloadavg()[0]:.1f}; "
        f"Python {platform.python_version()}, {versions}"
    )
