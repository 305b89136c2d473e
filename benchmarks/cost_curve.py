"""`make bench-scale`: the cost of a scan in batches of 100, 1,000 and 10,000, and the second core.

Whole runs after start-up, each in a new store: small periapicals, whose fixed cost weighs most, and
panoramics for the cores.
"""

import os
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from multiprocessing.pool import Pool
from pathlib import Path

from benchmarks import sample_scans
from benchmarks.bars import results
from benchmarks.bars.inputs import new_workers, panoramics
from benchmarks.comparison import Comparison, Spread, excess
from benchmarks.progress import log_step
from benchmarks.sample_scans import CACHE, linked
from benchmarks.store_queries import in_new_process

SIZES = (100, 1_000, 10_000)
HEIGHT = 350  # of a panoramic as large; films of 325 × 250
PANORAMICS, REPEATS = 60, 3
BAR = 1.05


def main() -> None:
    """Measure and print; takes some minutes on two cores."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="temporary-") as root:
        load = results.others()
        rows = [*curve(Path(root)), cores(Path(root))]
        results.keep("scale", rows, max(load, results.others()))
    results.show(["scale"])


def curve(root: Path) -> Iterator[Comparison]:
    """Milliseconds of a scan by the size of its batch; then those of each scan more."""
    everything, seconds = small_periapicals(), {}
    for size in SIZES:
        log_step(f"{size:,} small periapicals")
        folder = linked(everything, root / f"batch-{size}", size)
        seconds[size] = in_new_process(run_seconds, folder, root, 0)
        each = Spread((1000 * seconds[size] / size,))
        what = f"whole run after start-up, {size:,} small periapicals, per scan"
        yield Comparison(what, "ms", each, "", None, None, "", None)
    first, second = (
        1000 * (seconds[many] - seconds[few]) / (many - few) for few, many in pairwise(SIZES)
    )
    what = "each scan more, from 1,000 to 10,000"
    yield excess(what, "ms", [second], ("from 100 to 1,000", [first]), BAR)


def cores(root: Path) -> Comparison:
    """Scans per second of panoramics on all cores and on one."""
    seconds = {count: [] for count in (0, 1)}
    for _ in range(REPEATS):
        for count, spent in seconds.items():
            log_step(f"{PANORAMICS} panoramics on {count or 'all'} core(s)")
            spent.append(in_new_process(run_seconds, panoramics(PANORAMICS), root, count))
    every, one = (Spread(tuple(PANORAMICS / each for each in seconds[count])) for count in (0, 1))
    ratio = Spread(
        tuple(here / there for here, there in zip(every.values, one.values, strict=True))
    )
    what = f"whole run after start-up, {PANORAMICS} phantoms, {os.cpu_count()} cores"
    return Comparison(what, "scans/s", every, "one core", one, ratio, "", None)


def run_seconds(folder: Path, root: Path, cores: int) -> float:
    """Seconds of the second of two runs, in a process of its own, on so many cores; 0 is all."""
    if cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    from benchmarks.bars.whole_flow import Flow

    workers, warm = new_workers(cores or os.cpu_count() or 1), root / "warm"
    if not warm.is_dir():
        linked(panoramics(PANORAMICS), warm, 16)
    try:
        Flow(warm, root, workers).whole()
        return Flow(folder, root, workers).whole()
    finally:
        workers.close()


def small_periapicals() -> Path:
    """As many small films as the largest batch has."""

    def draw(root: Path, pool: Pool) -> None:
        sample_scans.periapicals(root, pool, max(SIZES), "jpeg", height=HEIGHT)

    return sample_scans.cached(f"periapicals-small-{max(SIZES)}", draw) / "periapicals"


if __name__ == "__main__":
    main()
