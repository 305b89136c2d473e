"""Print a result: as text for people, or as CSV or JSON for programs."""

import dataclasses
import json
import math
import os
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from pipeline.export.csv_cell import csv_cell

if TYPE_CHECKING:
    import pandas as pd

WIDE = 180  # columns for a file or a pipe, which have no width of their own


def console() -> Console:
    """Where tables go."""
    return Console() if sys.stdout.isatty() else Console(width=WIDE)


def show(values: object, as_json: bool, print_text: Callable[[], None]) -> None:
    """Print `values` as JSON and nothing else on standard output, or call `print_text`."""
    if as_json:
        print(json.dumps(plain(values), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print_text()


def print_csv(rows: "pd.DataFrame", with_header: bool = True) -> None:
    """Print rows as CSV; a text that a spreadsheet would take for a formula gets a `'` in front."""
    texts = [name for name in rows if rows[name].dtype.kind not in "biufM"]
    rows = rows.assign(**{name: rows[name].astype(object).map(csv_cell) for name in texts})
    rows.rename(columns=csv_cell).to_csv(sys.stdout, index=False, header=with_header)


def write_private(out: Path, data: bytes, option: str) -> None:
    """Write a file that the user alone may read; ConfigError, naming the option, if impossible."""
    from pipeline.errors import ConfigError

    try:
        with open(out, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(data)
    except OSError as error:
        raise ConfigError(
            f"{out} cannot be written ({error.strerror}); name another file: {option}"
        ) from None


def plain(value: object) -> object:
    """`value` in what JSON has: a table becomes its rows, a value class its fields, NaN null."""
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return {field.name: plain(getattr(value, field.name)) for field in fields}
    if hasattr(value, "to_dict"):  # of pandas
        return plain(value.to_dict("records"))
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, set | frozenset):
        return plain(sorted(value))
    if hasattr(value, "tolist"):  # of NumPy
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, date):  # a time stamp too; pandas' NaT is none
        return value.isoformat() if value == value else None
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else _text(value)


def _text(value: object) -> str | None:
    """Of anything else, such as a path; pandas' missing values are unequal to themselves."""
    missing = type(value).__name__ in ("NAType", "NaTType")
    return None if missing else str(value)
