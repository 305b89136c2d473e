"""What a large store costs to ask: `make bench-store [SCANS=1000000 EMBEDDINGS=100000]`.

Makes a synthetic store of that size and one of a tenth, puts every question to both in fresh
processes, and prints times and greatest resident memory side by side, with the bars.
"""

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks import store_queries
from benchmarks.store_queries import Answer, Question, ask, freshly

LEAST_SCANS, BYTES_PER_SCAN, BYTES_PER_EMBEDDING = 200_000, 1_000, 20_000
REPEATS = 3  # of the two ways to load everything; they take turns
RATIO_BAR = 1.8
VERSIONS = ("numpy", "pandas", "pyarrow", "duckdb")


@dataclass(frozen=True)
class Row:
    """A question, and the seconds that it may take in the large store."""

    what: str
    question: Question
    bar: float | None = None


ROWS = [
    Row("facts of one batch, pandas: its folder", store_queries.facts_of_night, 0.5),
    Row("  the whole ledger, filtered, folders named", store_queries.facts_by_folder, 0.5),
    Row("  the whole ledger, filtered by statistics", store_queries.facts_by_filter),
    Row("facts of one batch's crops, by statistics", store_queries.crops_by_filter, 0.5),
    Row("10,000 unchanged files: plan and receive", store_queries.delivered_again, 2),
    Row("duplicates: look 1,000 scans up", store_queries.duplicates),
    Row("load_features of one batch", store_queries.embeddings_of_night),
    Row("all embeddings part by part", store_queries.streamed),
    Row("one crop's pixels", store_queries.one_crop),
    Row("nearest of one crop: first question", store_queries.nearest_first, 20),
    Row("  second question", store_queries.nearest_again, 2),
    Row("  each question, nothing kept", store_queries.nearest_streamed),
    Row("  the named query", store_queries.nearest_query, 20),
    Row("catalog: open", store_queries.catalog_opened),
    Row("catalog: count every batch", store_queries.batches_query),
    Row("catalog: look-alikes of one batch", store_queries.look_alikes),
    Row("catalog: all checks", store_queries.all_checks),
]


def main(scans: int = 1_000_000, embeddings: int = 100_000) -> None:
    """Make the stores, ask, and print. Takes some minutes on two cores."""
    require(scans, embeddings)
    with tempfile.TemporaryDirectory(prefix="dental-store-") as home:
        roots = [Path(home, "tenth"), Path(home, "full")]
        for root, share in zip(roots, (10, 1), strict=True):
            root.mkdir()
            tell(f"making a store of {scans // share:,} scans")
            seconds = freshly(made, root, scans // share, embeddings // share)
            tell(f"  {seconds:.0f} s, {told(root)}")
        print(title(scans, embeddings))
        Console(width=120).print(asked(roots))
        Console(width=120).print(loaded(roots[1]))


def made(root: Path, scans: int, embeddings: int) -> float:
    """Imports TensorFlow, which the process that asks must not: its memory would be inherited."""
    from benchmarks import large_store_data

    return large_store_data.make(root, scans, embeddings)


def require(scans: int, embeddings: int) -> None:
    """Leave with a word when the sizes or the disk will not do."""
    if scans < LEAST_SCANS or embeddings < 10:
        sys.exit(
            f"SCANS is {scans} and EMBEDDINGS is {embeddings}, expected {LEAST_SCANS} and 10 or "
            "more: a tenth of the store must hold a night of 10,000 files."
        )
    needed = 1e9 + 1.1 * (scans * BYTES_PER_SCAN + embeddings * BYTES_PER_EMBEDDING)
    if (free := shutil.disk_usage(tempfile.gettempdir()).free) < needed:
        sys.exit(f"{free / 1e9:.1f} GB are free, about {needed / 1e9:.1f} needed; set TMPDIR.")


def told(root: Path) -> str:
    """Files and bytes of every table."""
    words = []
    for table in ("scans", "crops", "features", "labels"):
        sizes = [path.stat().st_size for path in Path(root, "store", table).rglob("*.parquet")]
        words.append(f"{table} {len(sizes):,} parts of {sum(sizes) / 1e6:,.0f} MB")
    return ", ".join(words)


def asked(roots: list[Path]) -> Table:
    """Every question at both sizes."""
    table = Table(box=SIMPLE, title="Seconds, and greatest resident memory of the process in MB")
    for heading in ("question", "a tenth", "MB", "full", "MB", "bar", ""):
        table.add_column(heading, justify="left" if heading in ("question", "") else "right")
    for row in ROWS:
        tell(row.what.strip())
        small, full = (ask(row.question, root) for root in roots)
        met = row.bar is None or full.seconds < row.bar
        bar = "" if row.bar is None else f"< {row.bar:g} s"
        table.add_row(row.what, *words(small), *words(full), bar, "" if met else "MISSED")
    return table


def words(answer: Answer) -> tuple[str, str]:
    return f"{answer.seconds:.2f}", f"{answer.peak_mb:,.0f}"


def loaded(root: Path) -> Table:
    """`load_features` beside a plain script, in turns."""
    ways = {
        "pd.read_parquet and np.stack": store_queries.pandas_embeddings,
        "load_features, float16": store_queries.embeddings16,
        "load_features, float32": store_queries.embeddings32,
    }
    answers: dict[str, list[Answer]] = {way: [] for way in ways}
    for _ in range(REPEATS):
        for way, question in ways.items():
            tell(way)
            answers[way].append(ask(question, root))
    table = Table(
        "all embeddings", "s", "MB", "times as fast", "bar", "", box=SIMPLE, title="Medians"
    )
    plain = answers["pd.read_parquet and np.stack"]
    for way, mine in answers.items():
        pairs = zip(plain, mine, strict=True)
        ratio = median(theirs.seconds / ours.seconds for theirs, ours in pairs)
        barred = way.endswith("float16")
        table.add_row(
            way,
            f"{median(each.seconds for each in mine):.2f}",
            f"{median(each.peak_mb for each in mine):,.0f}",
            f"{ratio:.2f}",
            f"≥ {RATIO_BAR}" if barred else "",
            "MISSED" if barred and ratio < RATIO_BAR else "",
        )
    return table


def title(scans: int, embeddings: int) -> str:
    """What it was measured on."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in VERSIONS)
    return (
        f"{scans:,} scans and {embeddings:,} embeddings, synthetic, files in the page cache. "
        f"Machine: {os.cpu_count()} cores ({platform.machine()}), load {os.getloadavg()[0]:.1f}; "
        f"Python {platform.python_version()}, {versions}"
    )


def tell(doing: str) -> None:
    """Say what takes so long, apart from the results."""
    print(f"… {doing}", file=sys.stderr, flush=True)


# Fresh processes import this module too.
if __name__ == "__main__":
    typer.run(main)
