"""The structure of the code: imports go down, each library has its room, everything stays small.

`python -m tests.test_floors` prints the plan of the house: the rooms from the top floor to the
lowest, their files and lines, and how many modules of a room import from which other.
"""

import ast
import functools
import subprocess
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# From below: a module may import from floors under its own and from its own room.
FLOORS = [
    {"table_columns", "paths", "process_id"},
    {"atomic_files", "errors", "labels", "progress", "schemas"},
    {"removed_settings"},
    {"config", "s3"},
    {"ingest", "imaging", "model"},
    {"phantoms"},
    {"store"},
    {"stages"},
    {"learn"},
    {"report"},
    {"review"},
    {"jobs", "upkeep"},
    {"api", "export"},
    {"flows"},
    {"cli"},
]
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
# The rooms that may import a library; any may import those that are not listed.
ROOMS_OF_LIBRARY = {
    "prefect": {"flows"},
    "distributed": {"flows"},
    "cv2": {"ingest", "imaging", "phantoms"},
    "kornia_rs": {"ingest"},
    "keras": {"model"},
    "onnx": {"model"},
    "tensorflow": set(),
    "duckdb": {"store"},
    "s3fs": {"s3"},
    "pydicom": {"ingest", "phantoms"},
    "openpyxl": {"export"},
    "highdicom": {"export"},
    "starlette": {"review"},
    "uvicorn": {"flows", "review"},
}
SQL_WORDS = ("select ", "create view", "create or replace", "insert into", " from read_parquet")
MOST_FILES, MOST_LINES, MOST_FUNCTION_LINES = 26, 300, 40
PACKAGES = ("pipeline", "flows")
MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
FOLDERS = sorted({path.parent for path in MODULES})


@functools.cache
def text_of(path):
    return path.read_text()


@functools.cache
def tree_of(path):
    return ast.parse(text_of(path))


@functools.cache
def nodes_of(path):
    return list(ast.walk(tree_of(path)))


def relative(path):
    return str(path.relative_to(ROOT))


def each_module(check):
    """A test that asserts `check` of every module, and reports all that fail."""

    @functools.wraps(check)
    def test():
        faults = [fault for path in MODULES if (fault := fault_of(check, path))]
        if faults:
            pytest.fail("\n".join(faults), pytrace=False)

    del test.__wrapped__  # pytest would take the parameters of `check` for fixtures
    return test


def fault_of(check, path):
    """The file with what is wrong with it, or None."""
    try:
        check(path)
    except AssertionError as fault:
        return f"{relative(path)}: {fault}"
    return None


def test_every_module_with_a_fault_is_reported():
    @each_module
    def test_only_the_first_is_allowed(path):
        assert path is MODULES[0], "another"

    with pytest.raises(pytest.fail.Exception) as report:
        test_only_the_first_is_allowed()
    assert report.value.msg.count(": another") == len(MODULES) - 1


def room_of(name):
    """The room of a dotted module name; None for libraries and for `pipeline` itself."""
    package, *rest = name.split(".")
    return "flows" if package == "flows" else rest[0] if package == "pipeline" and rest else None


def room_of_file(path):
    names = path.relative_to(ROOT).with_suffix("").parts
    return room_of(".".join(name for name in names if name != "__init__"))


@functools.cache
def imported_names(path):
    """Dotted names that code imports when it runs, so without those for type checkers."""
    return list(_imported_names(path))


def _imported_names(path):
    unused = {
        inner
        for node in nodes_of(path)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in set(nodes_of(path)) - unused:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_rooms(path):
    rooms = {room_of(name) for name in imported_names(path)}
    return rooms - {None, room_of_file(path)}


@each_module
def test_imports_go_down(path):
    here = room_of_file(path)
    if here is None:  # `pipeline` itself, the front of `api`, which it imports when it is called
        assert imported_rooms(path) <= {"api", "config"}, "imports more than api and config"
        return
    for room in imported_rooms(path):
        assert room in FLOOR_OF, f"{room} is on no floor: add it to FLOORS"
        assert FLOOR_OF[room] < FLOOR_OF[here], f"{here} may not import {room}: it is not below"


@each_module
def test_each_library_is_imported_in_its_rooms_only(path):
    for name in imported_names(path):
        library, here = name.split(".")[0], room_of_file(path)
        assert here in ROOMS_OF_LIBRARY.get(library, {here}), f"{here} may not import {library}"


def test_importing_the_package_imports_nothing_else():
    # Every decoding worker imports it. Names may be imported inside `__getattr__`.
    tree = ast.parse((ROOT / "pipeline" / "__init__.py").read_text())
    assert not [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]


@each_module
def test_no_python_file_contains_sql(path):
    for node in nodes_of(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = f" {node.value.lower()} "
            assert not any(word in text for word in SQL_WORDS), node.value


def opens_text_without_encoding(call):
    """Whether a call opens a file as text in the encoding of the machine's locale."""
    called = ast.unparse(call.func)
    ends = (".open", ".fdopen", ".read_text", ".write_text", ".TextIOWrapper")
    if called in ("os.open", "Image.open") or not (called == "open" or called.endswith(ends)):
        return False
    modes = [arg.value for arg in call.args if isinstance(arg, ast.Constant)]
    modes += [word.value.value for word in call.keywords if word.arg == "mode"]
    is_binary = any(isinstance(mode, str) and "b" in mode for mode in modes)
    return not is_binary and not any(word.arg == "encoding" for word in call.keywords)


def test_the_encoding_test_finds_what_it_forbids():
    for text in ("open(p)", "p.open('w')", "p.read_text()", "p.write_text(t)", "os.fdopen(f, 'w')"):
        assert opens_text_without_encoding(ast.parse(text, mode="eval").body), text
    for text in ("open(p, 'rb')", "p.open(mode='wb')", "p.read_text(encoding='utf-8')", "f()"):
        assert not opens_text_without_encoding(ast.parse(text, mode="eval").body), text


@each_module
def test_text_files_name_their_encoding(path):
    # The locale of a service or of another user's shell may be C, whose encoding is ASCII.
    for node in nodes_of(path):
        if isinstance(node, ast.Call):
            assert not opens_text_without_encoding(node), f"line {node.lineno} names no encoding"


@each_module
def test_modules_and_functions_are_short(path):
    assert text_of(path).count("\n") <= MOST_LINES, "too many lines"
    for node in nodes_of(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            assert lines <= MOST_FUNCTION_LINES, f"{node.name} has {lines} lines"


@each_module
def test_functions_take_at_most_seven_parameters(path):
    for node in nodes_of(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args
            named = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
            count = sum(1 for each in named if each and each.arg not in ("self", "cls"))
            assert count <= 7, f"{node.name} takes {count} parameters; group some in a dataclass"


def test_folders_have_few_files():
    count = {folder: sum(path.is_file() for path in folder.iterdir()) for folder in FOLDERS}
    assert not {relative(folder): each for folder, each in count.items() if each > MOST_FILES}


@each_module
def test_every_module_has_a_docstring(path):
    empty = path.name == "__init__.py" and not path.read_text()
    assert ast.get_docstring(tree_of(path)) or empty, "no docstring"


def test_no_module_is_named_for_miscellany():
    assert not {path.stem for path in MODULES} & {"utils", "util", "helpers", "common", "misc"}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout of git")
def test_no_cache_of_a_tool_is_in_the_repository():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    hidden = {name.split("/")[0] for name in listed.stdout.splitlines() if name.startswith(".")}
    assert hidden == {".ci", ".gitignore"}


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_locks_name_no_registry(name):
    lock = (ROOT / name).read_text()
    assert "://" not in lock
    assert "index-url" not in lock


def test_the_dev_lock_adds_to_the_lock_and_changes_nothing():
    run, dev = (
        {line for line in (ROOT / name).read_text().splitlines() if "==" in line}
        for name in ("requirements.lock", "requirements-dev.lock")
    )
    assert run < dev


def plan():
    """The plan of the house, a line for each room."""
    rooms = {room: [] for floor in reversed(FLOORS) for room in sorted(floor)}
    for path in MODULES:
        if room := room_of_file(path):
            rooms[room].append(path)
    lines = {room: sum(path.read_text().count("\n") for path in rooms[room]) for room in rooms}
    all_lines = sum(lines.values())
    yield f"{'room':16} {'floor':>5} {'files':>5} {'lines':>6} {'share':>5}  imports from (modules)"
    for room, paths in rooms.items():
        arrows = Counter(other for path in paths for other in imported_rooms(path))
        below = ", ".join(f"{other} {count}" for other, count in arrows.most_common())
        yield (
            f"{room:16} {FLOOR_OF[room]:5} {len(paths):5} {lines[room]:6}"
            f" {lines[room] / all_lines:5.0%}  {below}"
        )
    yield f"{'all':16} {'':5} {sum(map(len, rooms.values())):5} {all_lines:6}"


if __name__ == "__main__":
    print(*plan(), sep="\n")
