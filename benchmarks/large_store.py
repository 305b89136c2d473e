"""`make bench-store [SCANS=1000000 EMBEDDINGS=100000]`: queries of a large store.

Makes a synthetic store of that size and one of a tenth, runs every query on both in new processes,
and prints times and peak memory with their targets.
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
from benchmarks.progress import log_step
from benchmarks.store_queries import Measurement, Query, in_new_process, measure

LEAST_SCANS, BYTES_PER_SCAN, BYTES_PER_EMBEDDING = 200_000, 1_000, 20_000
REPEATS = 3  # of the ways to load everything, which alternate
RATIO_BAR = 1.8
VERSIONS = ("numpy", "pandas", "pyarrow", "duckdb")


@dataclass(frozen=True)
class Row:
    """A query, and its target in seconds on the large store."""

    what: str
    query: Query
    bar: float | None = None


ROWS = [
    Row("ledger of one batch, pandas: its folder", store_queries.ledger_of_batch, 0.5),
    Row("  the whole ledger, filtered by folder", store_queries.ledger_filtered_by_folder, 0.5),
    Row("  the whole ledger, filtered by statistics", store_queries.ledger_filtered),
    Row("facts of one batch's crops, by statistics", store_queries.crops_filtered, 0.5),
    Row("10,000 unchanged files: plan and receive", store_queries.redeliver, 2),
    Row("duplicates: look up 1,000 scans", store_queries.find_duplicates),
    Row("load_features of one batch", store_queries.load_batch),
    Row("all embeddings part by part", store_queries.iterate_embeddings),
    Row("one crop's pixels", store_queries.read_crop),
    Row("nearest of one crop: first search", store_queries.nearest_first, 20),
    Row("  second search", store_queries.nearest_again, 2),
    Row("  each search, nothing kept in memory", store_queries.nearest_streamed),
    Row("  the named query", store_queries.nearest_query, 20),
    Row("catalog: open", store_queries.open_catalog),
    Row("catalog: count every batch", store_queries.batches_query),
    Row("catalog: look-alikes of one batch", store_queries.misfiled_query),
    Row("catalog: all checks", store_queries.all_checks),
]


def main(scans: int = 1_000_000, embeddings: int = 100_000) -> None:
    """Make the stores, measure, and print. Takes some minutes on two cores."""
    require(scans, embeddings)
    with tempfile.TemporaryDirectory(prefix="dental-store-") as home:
        roots = [Path(home, "tenth"), Path(home, "full")]
        for root, share in zip(roots, (10, 1), strict=True):
            root.mkdir()
            log_step(f"making a store of {scans // share:,} scans")
            seconds = in_new_process(make_store, root, scans // share, embeddings // share)
            log_step(f"  {seconds:.0f} s, {describe_store(root)}")
        print(title(scans, embeddings))
        Console(width=120).print(time_queries(roots))
        Console(width=120).print(compare_loading(roots[1]))


def make_store(root: Path, scans: int, embeddings: int) -> float:
    """Make a store, in a process of its own: importing TensorFlow takes memory."""
    from benchmarks import large_store_data

    return large_store_data.make(root, scans, embeddings)


def require(scans: int, embeddings: int) -> None:
    """Exit with a message when the sizes are too small or the disk is."""
    if scans < LEAST_SCANS or embeddings < 10:
        sys.exit(
            f"SCANS is {scans} and EMBEDDINGS is {embeddings}, expected {LEAST_SCANS} and 10 or "
            "more: a tenth of the store must hold a night of 10,000 files."
        )
    needed = 1e9 + 1.1 * (scans * BYTES_PER_SCAN + embeddings * BYTES_PER_EMBEDDING)
    if (free := shutil.disk_usage(tempfile.gettempdir()).free) < needed:
        sys.exit(f"{free / 1e9:.1f} GB are free, about {needed / 1e9:.1f} needed; set TMPDIR.")


def describe_store(root: Path) -> str:
    """Files and bytes of every table."""
    texts = []
    for table in ("scans", "crops", "features", "labels"):
        sizes = [path.stat().st_size for path in Path(root, "store", table).rglob("*.parquet")]
        texts.append(f"{table} {len(sizes):,} parts of {sum(sizes) / 1e6:,.0f} MB")
    return ", ".join(texts)


def time_queries(roots: list[Path]) -> Table:
    """The time and memory of every query at both sizes."""
    table = Table(box=SIMPLE, title="Seconds, and peak memory of the process in MB")
    for heading in ("query", "a tenth", "MB", "full", "MB", "bar", ""):
        table.add_column(heading, justify="left" if heading in ("query", "") else "right")
    for row in ROWS:
        log_step(row.what.strip())
        small, full = (measure(row.query, root) for root in roots)
        met = row.bar is None or full.seconds < row.bar
        bar = "" if row.bar is None else f"< {row.bar:g} s"
        table.add_row(row.what, *cells(small), *cells(full), bar, "" if met else "MISSED")
    return table


def cells(measured: Measurement) -> tuple[str, str]:
    return f"{measured.seconds:.2f}", f"{measured.peak_mb:,.0f}"


def compare_loading(root: Path) -> Table:
    """`load_features` and a simple script, measured alternately."""
    ways = {
        "pd.read_parquet and np.stack": store_queries.load_with_pandas,
        "load_features, float16": store_queries.load_float16,
        "load_features, float32": store_queries.load_float32,
    }
    measured: dict[str, list[Measurement]] = {way: [] for way in ways}
    for _ in range(REPEATS):
        for way, query in ways.items():
            log_step(way)
            measured[way].append(measure(query, root))
    table = Table(
        "all embeddings", "s", "MB", "times as fast", "bar", "", box=SIMPLE, title="Medians"
    )
    plain = measured["pd.read_parquet and np.stack"]
    for way, mine in measured.items():
        pairs = zip(plain, mine, strict=True)
        ratio = median(theirs.seconds / ours.seconds for theirs, ours in pairs)
        has_bar = way.endswith("float16")
        table.add_row(
            way,
            f"{median(each.seconds for each in mine):.2f}",
            f"{median(each.peak_mb for each in mine):,.0f}",
            f"{ratio:.2f}",
            f"≥ {RATIO_BAR}" if has_bar else "",
            "MISSED" if has_bar and ratio < RATIO_BAR else "",
        )
    return table


def title(scans: int, embeddings: int) -> str:
    """A description of the stores and of this machine."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in VERSIONS)
    return (
        f"{scans:,} scans and {embeddings:,} embeddings, synthetic, files in the page cache. "
        f"Machine: {os.cpu_count()} cores ({platform.machine()}), load {os.getloadavg()[0]:.1f}; "
        f"Python {platform.python_version()}, {versions}"
    )


# New processes import this module too.
if __name__ == "__main__":
    typer.run(main)
