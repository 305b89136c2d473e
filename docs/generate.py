"""The generated parts of the documents: what their cog blocks print, from the code itself.

`make docs` writes them anew and a test compares them (`cog --check`).
"""

import functools
import json
import re
import typing
from pathlib import Path

import pyarrow as pa
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from pipeline import config, schemas
from pipeline.config import GROUPS
from pipeline.ingest.labels import problems
from pipeline.model import architecture
from pipeline.store import catalog

ROOT = Path(__file__).parents[1]
CROPS = 48  # of a panoramic without boxes
DEVICES = (2_000, 10_000, 50_000)  # crops embedded a second


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; cells are text without line breaks."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def block(function):
    """Surround what `function` returns by blank lines, without which Markdown joins blocks."""
    return functools.wraps(function)(lambda *arguments: f"\n{function(*arguments)}\n")


def one_line(text: str) -> str:
    """Text for a table cell."""
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|")


# Settings


@block
def layouts() -> str:
    """What `dental check` finds in every layout of folders that is tried."""
    from tests.layouts.table import HEADER, check_rows

    return table(HEADER, check_rows())


@block
def settings_outside_tables() -> str:
    """Settings that stand in no table of `dental.toml`."""
    return _settings_table(config.Settings, "", skip=set(GROUPS))


@block
def settings_of(group: str) -> str:
    """The settings of one table of `dental.toml`."""
    prefix = "trunk.layers" if group == "layers" else group
    return f"{one_line(GROUPS[group].__doc__)}\n\n{_settings_table(GROUPS[group], prefix)}"


def _settings_table(group: type[BaseModel], prefix: str, skip: typing.Collection[str] = ()) -> str:
    rows = []
    for name, field in group.model_fields.items():
        if name in skip:
            continue
        key = f"{prefix}.{name}" if prefix else name
        variable = "DENTAL_" + key.replace(".", "__").upper()
        names = f"`{key}`" if prefix == "trunk.layers" else f"`{key}`<br>`{variable}`"
        rows.append([names, _default(field), _type(field), one_line(field.description)])
    return table(["setting", "default", "value", "meaning"], rows)


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "CPU cores"
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None:
        return "none"
    if (
        field.default
        and isinstance(field.default, tuple)
        and isinstance(field.default[0], config.Layer)
    ):
        return "four convolutions"
    default = field.default
    if type(default) is int and default > 9999:
        return f"`{default:_}`"
    return f"`{json.dumps(list(default) if isinstance(default, tuple) else default)}`"


def _type(field: FieldInfo) -> str:
    bounds = {}
    for constraint in field.metadata:
        for sign, symbol in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤")):
            if hasattr(constraint, sign):
                bounds[symbol] = getattr(constraint, sign)
    limits = ", ".join(f"{symbol} {value:,}" for symbol, value in bounds.items())
    return ", ".join(part for part in (_type_name(field.annotation), limits) if part)


def _type_name(annotation) -> str:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _type_name(inner[0])
    if origin is typing.Literal:
        return " or ".join(f"`{json.dumps(value)}`" for value in inner)
    if origin is tuple:
        return f"list of {_type_name(inner[0]).replace(' or ', ', ')}"
    if origin is dict:
        return "table of numbers"
    if origin is None:
        names = {
            int: "whole number", float: "number", bool: "true or false", str: "text", Path: "path",
        }  # fmt: skip
        return names.get(annotation, "table" if _is_group(annotation) else "text")
    return " or ".join(_type_name(each) for each in inner if each is not type(None))


def _is_group(annotation) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


# The store


@block
def store_tables() -> str:
    """Every table of a store with every column: type, unit and meaning."""
    return "\n\n".join(_store_table(name, table) for name, table in schemas.TABLES.items())


def _store_table(name: str, described: schemas.TableDescription) -> str:
    crops = schemas.TABLES["crops"].columns
    columns, shared = described.columns, []
    if name != "crops" and columns[0] == crops[0] and len(set(columns) & set(crops)) > 20:
        shared = [column for column in crops if column in columns]
        columns = [column for column in columns if column not in shared]
    text = f"### {name}\n\n{one_line(described.meaning)} Path: `{described.path}`"
    if shared:
        missing = [f"`{column.name}`" for column in crops if column not in shared]
        text += "\n\nThe columns of [`crops`](#crops)"
        text += f" without {', '.join(missing)}" if missing else ""
        text += ", and:" if columns else "."
    rows = [row for column in columns for row in _column_rows(column)]
    return f"{text}\n\n{table(['column', 'type', 'unit', 'meaning'], rows)}" if rows else text


def _column_rows(column: schemas.Column, outer: str = "") -> list[list[str]]:
    """The row of a column, and one for each field of a nested column."""
    name = f"`{outer}{column.name}`"
    rows = [[name, _arrow_type(column.type), column.unit, one_line(column.meaning)]]
    for field in column.fields:
        rows += _column_rows(field, f"{outer}{column.name}.")
    return rows


def _arrow_type(kind: pa.DataType) -> str:
    if pa.types.is_struct(kind):
        return "struct"
    if pa.types.is_fixed_size_list(kind):
        return f"{kind.list_size} × {_arrow_type(kind.value_type)}"
    if pa.types.is_list(kind):
        return f"list of {_arrow_type(kind.value_type)}"
    if pa.types.is_fixed_size_binary(kind):
        return f"{kind.byte_width} bytes"
    names = {"halffloat": "float16", "float": "float32", "double": "float64"}
    return names.get(str(kind), str(kind))


# Queries, commands, make targets


@block
def queries() -> str:
    """The named queries by topic, with their parameters and what they answer."""
    known = catalog.queries()
    topics = [
        (topic, [[name, query] for name, query in known.items() if query.topic == topic])
        for topic in catalog.TOPICS
    ]
    return "\n\n".join(
        f"**{topic}**\n\n"
        + table(["query", "parameters", "answers"], [_query_row(*each) for each in rows])
        for topic, rows in topics
    )


def _query_row(name: str, query: catalog.Query) -> list[str]:
    parameters = [
        f"`{each}`" if value is catalog.REQUIRED else f"`{each}={json.dumps(value)}`"
        for each, value in query.parameters.items()
    ]
    return [f"`{name}`", " ".join(parameters), one_line(query.description)]


@block
def label_problems() -> str:
    """The kinds of problems of label files."""
    kinds = problems.PROBLEMS | problems.NOTICES
    rows = [[f"`{kind}`", one_line(meaning)] for kind, meaning in kinds.items()]
    return table(["kind", "meaning"], rows)


@block
def make_targets() -> str:
    """The targets of the Makefile, as `make help` lists them."""
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    found = (re.match(r"([a-z0-9-]+):.*?## (.*)", line) for line in lines)
    rows = [[f"`make {target[1]}`", one_line(target[2])] for target in found if target]
    return table(["target", "does"], rows)


# The network


@block
def trunk_arithmetic() -> str:
    """The default trunk layer by layer."""
    trunk, side = config.Trunk(), config.Recipe().side
    rows = architecture.describe(trunk, side)
    lines = [
        [
            _layer_name(trunk, row.name),
            " × ".join(map(str, row.output)),
            f"{row.parameters:,}",
            f"{row.multiply_adds:,}",
            f"{row.receptive_field} px",
        ]
        for row in [*rows, architecture.total(rows)]
    ]
    return table(["layer", "output", "parameters", "multiply-adds", "receptive field"], lines)


def _layer_name(trunk: config.Trunk, name: str) -> str:
    found = re.fullmatch(r"(conv|pool)(\d+)", name)
    if not found:
        return name
    layer = trunk.layers[int(found[2]) - 1]
    if found[1] == "pool":
        return f"pool {layer.pool_size}, {layer.pool}"
    return (
        f"conv {layer.filters} @ {layer.kernel}×{layer.kernel}, {layer.padding}, {layer.activation}"
    )


# Speed


@block
def measured(*names: str) -> str:
    """What `make bench` and others measured last: these bars, or `peers` and `scale`."""
    from benchmarks.bars.results import COLUMNS, stored_results, table_rows

    rows = [[cell.replace("|", "\\|") for cell in row] for row in table_rows(names)]
    if not rows:
        return "Not measured yet."
    return f"{table(list(COLUMNS), rows)}\n\n{stored_results()['machine']}"


@block
def cores_for_devices() -> str:
    """Cores that keep a device busy with panoramics, by the crops that it embeds a second."""
    from benchmarks.bars.results import stored_results

    stored = stored_results()
    received = [row for row in stored["rows"].get("5", []) if "PNG" in row["cells"][0]]
    embedded = stored["rows"].get("6")
    if not received or not embedded:
        return "Not measured yet."
    cores = int(stored["machine"].split()[0])
    header = ["panoramics as PNG", "received by a core", "crops embedded by these cores"]
    header += [f"{speed:,} crops/s" for speed in DEVICES]
    rows = []
    for row in received:
        each = row["ours"] / cores
        needed = [f"{speed / (CROPS * each):,.0f} cores" for speed in DEVICES]
        what = row["cells"][0].split(" ", 2)[2]
        rows.append([what, f"{each:.0f} a second", f"{embedded[0]['ours']:,.0f} a second", *needed])
    return table(header, rows)
