"""Measure the bars, each in a process of its own, and keep the newest result of each."""

import importlib
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.bars import results
from benchmarks.bars.inputs import Inputs, new_workers
from benchmarks.bars.processes import make_template
from benchmarks.comparison import Comparison
from benchmarks.progress import log_step
from benchmarks.sample_scans import CACHE, REAL, real_panoramics
from benchmarks.store_queries import in_new_process

# Module and function that measures a bar.
BARS = {
    1: ("processes", "run_against_script"),
    2: ("whole_flow", "received_and_embedded"),
    3: ("whole_flow", "long_run"),
    4: ("whole_flow", "small_films"),
    5: ("receiving", "received_against_decoded"),
    6: ("embedding", "embedded_against_trunk"),
    7: ("whole_flow", "sleeping_trunk"),
    8: ("processes", "first_sample"),
    9: ("processes", "little_to_do"),
    10: ("processes", "memory"),
}


def main(numbers: Sequence[int]) -> None:
    """Measure the bars of these numbers, or all; takes 25 minutes on two cores."""
    if unknown := [str(number) for number in numbers if number not in BARS]:
        raise SystemExit(
            f"There is no bar {', '.join(unknown)}; give numbers from 1 to {len(BARS)}."
        )
    if not real_panoramics():
        log_step(f"no real scans: set {REAL} to a folder with a sub-folder opg")
    started = time.monotonic()
    CACHE.mkdir(parents=True, exist_ok=True)
    # On the file system of the scans, which are linked into batches.
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="temporary-") as root:
        template = Path(root, "template")
        template.mkdir()
        log_step("processing an earlier batch")
        make_template(template)
        for number in numbers or BARS:
            log_step(f"bar {number}")
            busy = [results.others()]
            rows = in_new_process(measure, number, Path(root), template)
            busy.append(results.others())
            results.keep(str(number), rows, max(busy))
    results.show([str(number) for number in numbers or BARS])
    print(f"Measured in {time.monotonic() - started:.0f} s.")


def measure(number: int, root: Path, template: Path) -> list[Comparison]:
    """The rows of one bar."""
    module, function = BARS[number]
    inputs = Inputs(root, template, new_workers())
    try:
        return list(getattr(importlib.import_module(f"benchmarks.bars.{module}"), function)(inputs))
    finally:
        inputs.workers.close()
