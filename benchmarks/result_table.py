"""Print results on a terminal."""

import importlib.metadata
import os
import platform

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.comparison import Comparison, Spread

VERSIONS = ("keras", "tensorflow", "opencv-python-headless", "numpy", "pandas", "pyarrow")


def show(comparisons: list[Comparison]) -> None:
    """Print one row per comparison; a result that misses its target is marked."""
    table = Table(box=SIMPLE, title="Medians (minimum to maximum); ratios are taken pair by pair")
    for heading in ("what", "ours", "reference", "", "ratio", "bar", ""):
        side = "left" if heading in ("what", "") else "right"
        table.add_column(heading, justify=side, no_wrap=True)
    for row in comparisons:
        table.add_row(
            row.what,
            format_spread(row.ours, row.unit),
            format_spread(row.reference, row.unit),
            row.against,
            format_spread(row.ratio),
            row.bar,
            "" if row.met else "MISSED",
        )
    # Wide enough that a log or a pipe cuts no number.
    console = Console(width=max(Console().width, 200))
    console.print(table)


def show_stages(stages: dict[str, float]) -> None:
    """Print the time by stage of the whole flow; "whole" is the sum."""
    whole = stages["whole"]
    shares = {name: seconds for name, seconds in stages.items() if name != "whole"}
    text = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in shares.items())
    slowest = max(shares, key=shares.get)
    print(f"Whole flow, median repeat: {whole:.2f} s: {text}.")
    print(f"Bottleneck: {slowest}, {shares[slowest] / whole:.0%} of the time.")


def format_spread(spread: Spread, unit: str = "") -> str:
    """The median and the range, which a single value does not have."""
    digits = 0 if spread.middle >= 100 else 2 if spread.middle < 10 else 1
    text = f"{spread.middle:,.{digits}f} {unit}".rstrip()
    if len(spread.values) == 1:
        return text
    return f"{text} ({spread.low:,.{digits}f} to {spread.high:,.{digits}f})"


def describe_machine(workers: int) -> str:
    """A description of this machine and the versions of libraries."""
    from pipeline.model.keras_backend import device, keras

    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in VERSIONS)
    return (
        f"Machine: {os.cpu_count()} cores ({platform.machine()}), {workers} workers, networks on "
        f"{device()} with {keras.backend.backend()}; load {os.getloadavg()[0]:.1f}; "
        f"Python {platform.python_version()}, {versions}"
    )
