"""Which views, macros and parts a question reads, so that a store is opened for these alone.

To make all 26 views takes 0.12 s of CPU with five batches, more than most questions; to make those
that one question reads takes 0.03 s.
"""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

SQL = Path(__file__).parents[3] / "sql"
MADE = re.compile(r"^create .+ (?:view|macro|table) (\w+)", re.MULTILINE)
COMMENT = re.compile(r"--.*")


@cache
def question_files() -> dict[str, Path]:
    """The file of every named query, of those for people and those of the code."""
    return {
        path.stem: path
        for folder in ("queries", "internal")
        for path in sorted((SQL / folder).glob("*.sql"))
    }


@cache
def view_files() -> dict[str, Path]:
    """The file that makes each view or macro, by name, in the order in which they are made.

    DuckDB wants the views that a macro reads to exist, and the other way round, so both are in one
    order, by the names of their files.
    """
    files = [*(SQL / "views").glob("*.sql"), *(SQL / "macros").glob("*.sql")]
    in_order = sorted(files, key=lambda file: file.name)
    return {name: file for file in in_order for name in MADE.findall(_text(file))}


def needed(questions: Iterable[str]) -> tuple[list[Path], set[str]]:
    """Files of the views and macros behind queries and views, in order, and every name they use.

    Without a question, or with one that does not exist: of every file with SQL.
    """
    made, files = view_files(), question_files()
    read = [found for each in questions for found in (files.get(each), made.get(each)) if found]
    open_names = set().union(*map(_names, read or SQL.rglob("*.sql")))
    used: set[str] = set()
    while open_names:
        used |= open_names
        open_names = set().union(*(_names(made[each]) for each in open_names & made.keys())) - used
    return list(dict.fromkeys(file for name, file in made.items() if name in used)), used


@cache
def _names(file: Path) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", COMMENT.sub("", _text(file))))


@cache
def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")
