"""Bars 1, 8, 9 and 10: commands as processes, from their start to their end."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import psutil

from benchmarks.bars.inputs import EARLIER, REPEATS, Inputs, earlier, panoramics
from benchmarks.comparison import Comparison, excess, rates, seconds, seconds_of
from benchmarks.sample_scans import linked
from benchmarks.temporary_stores import temporary_home
from pipeline.model.trunk_weights import PHANTOMS

ROOT = Path(__file__).parents[2]
DENTAL = str(Path(sys.executable).with_name("dental"))
FEW = 60  # panoramics
SMALL_PARTS = {"DENTAL_PART_SIZE": "16"}  # so that the fewer scans already fill some parts
FEWER, TIMES_AS_MANY = 48, 10


def make_template(home: Path) -> None:
    """Process a first batch, so that the store has a trunk, a novelty model and a database."""
    run([DENTAL, "run", str(earlier()), "--store", f"{home}/store", "--name", "earlier"], home)


def run(command: Sequence[str], folder: Path, variables: Mapping[str, str] | None = None) -> None:
    """Run a command in `folder`, without the user's settings; stop if it fails."""
    done = subprocess.run(
        command, cwd=folder, env=environment(variables), capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's variables without the user's settings and those of a `make` around.

    Also without the one by which Python compiles our modules again at every start: few users set
    it, containers do. It took 0.3 of 1.35 s of a run with nothing new.
    """
    left_out = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHONDONTWRITEBYTECODE")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("DENTAL_") and name not in left_out
    }
    return {**kept, "PYTHONPATH": str(ROOT), **(variables or {})}


def run_seconds(inputs: Inputs, folder: Path) -> float:
    """Seconds of `dental run` as a process, in a store that has a batch already."""
    with temporary_home(inputs.root, inputs.template) as home:
        command = [DENTAL, "run", str(folder), "--store", f"{home}/store"]
        return seconds_of(lambda: run(command, home))


def run_against_script(inputs: Inputs) -> Iterator[Comparison]:
    """Bar 1."""
    for kind, folder in inputs.kinds(FEW):
        ours = partial(run_seconds, inputs, folder)

        def reference(folder=folder) -> float:
            script = [sys.executable, "-m", "benchmarks.scripts.threads"]
            command = [*script, str(folder), str(PHANTOMS), "script.parquet"]
            return seconds_of(lambda: run(command, inputs.root))

        ours(), reference()
        what = f"dental run as a process, {FEW} {kind}"
        against = "threads script as a process", reference
        yield rates(what, (FEW, "scans"), ours, against, 0.7, REPEATS)


def first_sample(inputs: Inputs) -> Iterator[Comparison]:
    """Bar 8: `make run-flow` in a folder without a sample, with the environment of this process."""

    def ours() -> float:
        with temporary_home(inputs.root) as home:
            for name in ("Makefile", "pyproject.toml", "requirements.lock"):
                (home / name).symlink_to(ROOT / name)
            ready = f"{sys.prefix}/ready"  # not made again, whatever its age
            command = ["make", "run-flow", f"VENV={sys.prefix}", "-o", ready]
            return seconds_of(lambda: run(command, home))

    yield seconds("first make run-flow, environment ready", ours, 35, 1)


def little_to_do(inputs: Inputs) -> Iterator[Comparison]:
    """Bar 9."""
    with temporary_home(inputs.root, inputs.template) as home:
        inbox = home / "inbox"
        inbox.mkdir()
        linked(earlier() / "panoramics-png", inbox / "earlier", EARLIER)
        store, variables = ["--store", f"{home}/store"], {"DENTAL_INBOX": str(inbox)}
        nothing_new = [DENTAL, "run", str(earlier()), "--name", "earlier", *store]
        commands = {
            "dental run with nothing new": (nothing_new, 1.5),
            "idle dental nightly": ([DENTAL, "nightly", *store], 1.5),
            "dental doctor": ([DENTAL, "doctor", *store], 3),
            # Nothing of ours: it tells how fast this machine starts programs.
            "importing TensorFlow alone": ([sys.executable, "-c", "import tensorflow"], None),
            "dental --help": ([DENTAL, "--help"], 0.3),
        }
        for what, (command, bar) in commands.items():

            def ours(command=command) -> float:
                return seconds_of(lambda: run(command, home, variables))

            ours()
            yield seconds(what, ours, bar, REPEATS)


def memory(inputs: Inputs) -> Iterator[Comparison]:
    """Bar 10: proportional set sizes, summed over the processes of a run."""
    peaks = []
    for count in (FEWER, FEWER * TIMES_AS_MANY):
        with temporary_home(inputs.root) as home:
            folder = linked(panoramics(600), home / "batch", count)
            peaks.append(
                peak_memory([DENTAL, "run", str(folder), "--store", f"{home}/store"], home)
            )
    what = f"peak memory, {FEWER * TIMES_AS_MANY} phantoms in parts of 16"
    yield excess(what, "MB", peaks[1:], (f"of {FEWER}", peaks[:1]), 1.1)


def peak_memory(command: list[str], folder: Path) -> float:
    """The largest sum of memory in MB that the processes of a command had at a time."""
    peak, log = 0, folder / "output.txt"
    with log.open("w") as output:
        process = psutil.Popen(
            command, cwd=folder, env=environment(SMALL_PARTS), stdout=output, stderr=output
        )
        while process.poll() is None:
            peak = max(peak, sum(map(memory_of, [process, *process.children(recursive=True)])))
            time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{log.read_text()}")
    return peak / 2**20


def memory_of(process: psutil.Process) -> int:
    try:
        # Pages that processes share are counted once; only Linux has this.
        full = process.memory_full_info()
        return getattr(full, "pss", full.rss)
    except psutil.Error:
        return 0  # it has just ended
