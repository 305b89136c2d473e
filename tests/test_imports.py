"""Imports that no other test executes: those of benchmarks, and those for type checkers."""

import ast
import functools
from pathlib import Path

ROOT = Path(__file__).parents[1]
OURS = ("benchmarks", "flows", "pipeline")


def test_every_name_that_is_imported_from_the_project_exists():
    files = [file for package in OURS for file in sorted((ROOT / package).rglob("*.py"))]
    imports = [(file, *each) for file in files for each in imported(file)]
    assert len(imports) > 1000
    missing = [
        f"{file.relative_to(ROOT)}: {module}.{name}"
        for file, module, name in imports
        if not file_of(f"{module}.{name}") and name not in bound(file_of(module))
    ]
    assert not missing


def imported(file):
    """Modules of the project and the names imported from them, inside functions too."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS:
            yield from ((node.module, alias.name) for alias in node.names)


@functools.cache
def file_of(module):
    path = ROOT.joinpath(*module.split("."))
    return next((f for f in (path.with_suffix(".py"), path / "__init__.py") if f.is_file()), None)


@functools.cache
def bound(file):
    """Names that a file defines, assigns or imports."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())) if file else ():
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name)
    return names
