"""The rules of the house: imports go down, each library has its home, rooms stay small."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# From below: a module may import from floors under its own, and from its own.
FLOORS = [
    {"columns", "process_id"},
    {"atomic_files", "errors", "labels", "progress", "schemas"},
    {"removed_settings"},
    {"config", "s3"},
    {"ingest", "imaging", "model"},
    {"phantoms"},
    {"store"},
    {"stages"},
    {"learn"},
    {"report"},
    {"jobs", "upkeep"},
    {"flows"},
    {"cli"},
]
ONLY_IN = {
    "prefect": {"flows"},
    "distributed": {"flows"},
    "cv2": {"ingest", "imaging", "phantoms"},
    "keras": {"model"},
    "tensorflow": set(),
    "duckdb": {"store"},
    "s3fs": {"s3"},
    "pydicom": {"ingest", "phantoms"},
}
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
SQL_WORDS = ("select ", "create view", "create or replace", "insert into", " from read_parquet")
MODULES = [
    path
    for top in ("pipeline", "flows")
    for path in sorted((ROOT / top).rglob("*.py"))
    if path.name != "__init__.py"
]


def home(dotted):
    """The name in FLOORS that a dotted module name belongs to, or None."""
    top, *rest = dotted.split(".")
    return "flows" if top == "flows" else rest[0] if top == "pipeline" and rest else None


def of(path):
    return home(".".join(path.relative_to(ROOT).with_suffix("").parts))


def imported_by(tree):
    """Imported names; those for type checkers alone import nothing when the code runs."""
    unused = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in set(ast.walk(tree)) - unused:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def names(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_imports_only_go_down_and_libraries_stay_at_home(path):
    here = of(path)
    for name in imported_by(ast.parse(path.read_text())):
        package = name.split(".")[0]
        if package in ONLY_IN:
            assert here in ONLY_IN[package], f"{here} may not import {package}"
        there = home(name)
        if there in FLOOR and there != here:
            assert FLOOR[there] < FLOOR[here], f"{here} may not import {there}: not below it"


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_no_python_file_spells_sql(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = f" {node.value.lower()} "
            assert not any(word in text and "\n" not in word for word in SQL_WORDS), node.value


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_modules_and_functions_stay_small(path):
    text = path.read_text()
    assert text.count("\n") <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 45, node.name


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_functions_take_at_most_seven_parameters(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args
            named = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
            count = sum(1 for each in named if each and each.arg not in ("self", "cls"))
            assert count <= 7, f"{node.name} takes {count} parameters; group some in a dataclass"


@pytest.mark.parametrize("path", MODULES, ids=names)
def test_every_module_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_there_is_no_drawer_for_everything():
    assert not {path.stem for path in MODULES} & {"utils", "util", "helpers", "common", "misc"}


def test_no_tracked_text_names_a_registry_or_a_machine():
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert "index-url" not in lock
