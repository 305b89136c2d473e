"""The newest result of every bar, in a file that docs/speed.md is made from."""

import json
from collections.abc import Collection, Iterator
from pathlib import Path

import psutil

from benchmarks.comparison import Comparison
from benchmarks.result_table import HEADER, cells, machine, show_table

FILE = Path(__file__).with_name("results.json")
CALM = 0.2  # cores that other programs may use; above it a result is marked
COLUMNS = ("bar", *HEADER, "repeats", "load")


def others() -> float:
    """The cores that other programs use now, while nothing is measured."""
    return psutil.cpu_percent(interval=3) / 100 * (psutil.cpu_count() or 1)


def keep(name: str, rows: Collection[Comparison], load: float) -> None:
    """Replace the results of a bar, or of another measurement."""
    stored = stored_results()
    stored["machine"] = machine()
    stored["rows"][name] = [
        {
            "cells": cells(row),
            "ours": row.ours.middle,
            "reference": row.reference.middle if row.reference else None,
            "repeats": len(row.ours.values),
            "load": round(load, 1),
        }
        for row in rows
    ]
    FILE.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def stored_results() -> dict:
    """What was measured last, by name."""
    if FILE.is_file():
        return json.loads(FILE.read_text(encoding="utf-8"))
    return {"machine": "", "rows": {}}


def table_rows(names: Collection[str]) -> Iterator[list[str]]:
    """The cells below COLUMNS."""
    rows = stored_results()["rows"]
    for name in names:
        for row in rows.get(name, []):
            load = f"{row['load']}" + (" (loaded)" if row["load"] > CALM else "")
            yield [name, *row["cells"], str(row["repeats"]), load]


def show(names: Collection[str]) -> None:
    """Print these results on a terminal."""
    show_table(COLUMNS, table_rows(names))
    print(stored_results()["machine"])
