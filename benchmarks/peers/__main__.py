"""`make bench-peers`: Daft and Ray Data against `dental run`, as processes: python -m … PYTHON.

PYTHON is that of the environment in which they are installed.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.bars import results
from benchmarks.bars.inputs import Inputs, new_workers
from benchmarks.bars.processes import make_template, run, run_seconds
from benchmarks.comparison import Comparison, rates, seconds_of
from benchmarks.progress import log_step
from benchmarks.sample_scans import CACHE
from pipeline.model.trunk_weights import PHANTOMS

PEERS = {"Daft": "daft_script", "Ray Data": "ray_script"}
SCANS, REPEATS = 60, 3


def main() -> None:
    """Measure and print; takes some minutes on two cores."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="temporary-") as root:
        template = Path(root, "template")
        template.mkdir()
        log_step("processing an earlier batch")
        make_template(template)
        load = results.others()
        rows = list(compare(Inputs(Path(root), template, new_workers())))
        results.keep("peers", rows, max(load, results.others()))
    results.show(["peers"])


def compare(inputs: Inputs) -> Iterator[Comparison]:
    """Scans per second of `dental run` and of each peer."""
    python = str(Path(sys.argv[1]).absolute())  # commands run in other folders
    for kind, folder in inputs.kinds(SCANS):
        ours = partial(run_seconds, inputs, folder)
        for name, script in PEERS.items():

            def reference(folder=folder, script=script) -> float:
                module = f"benchmarks.peers.{script}"
                target = inputs.root / "peer"
                shutil.rmtree(target, ignore_errors=True)
                command = [python, "-m", module, str(folder), str(PHANTOMS), str(target)]
                return seconds_of(lambda: run(command, inputs.root))

            log_step(f"{name}, {kind}")
            ours(), reference()
            what = f"dental run as a process, {SCANS} {kind}"
            yield rates(what, (SCANS, "scans"), ours, (name, reference), None, REPEATS)


if __name__ == "__main__":
    main()
