"""Bars 2, 3, 4 and 7: a run after start-up, against scripts that embed the same scans.

Excluded on both sides, because it is done once per run and not per scan: importing TensorFlow,
building the network and tracing it, starting worker processes, opening the store. Ours includes
everything else: listing, ledger, hashes, crops, features, novelty, drift, checks, report.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.bars.inputs import REPEATS, Inputs, panoramics, periapicals
from benchmarks.bars.receiving import received, receiver
from benchmarks.comparison import Comparison, excess, rates, seconds_of
from benchmarks.progress import log_step
from benchmarks.temporary_stores import BATCH, fresh_store, planned_parts
from pipeline.ingest.workers.pool import WorkerPool
from pipeline.jobs.process_batch import BatchRun
from pipeline.jobs.ready_parts import ReadyParts
from pipeline.model.trunk_weights import PHANTOMS
from pipeline.stages.embed import embed_part
from pipeline.stages.parts_loop import one_by_one
from pipeline.store.locks import batch_lock
from pipeline.store.registry import choose_models, embedder

FEW, MANY, LONG = 60, 600, 2  # panoramics; repeats with many, each of which takes two minutes
SLEPT, PART_SIZE = 128, 16  # panoramics and scans in a part for a trunk that sleeps


class TimedRun(BatchRun):
    """A run that notes when the last crop was embedded."""

    def _embed(self, ready: ReadyParts, embedded: ReadyParts) -> None:
        super()._embed(ready, embedded)
        self.embedded = time.perf_counter()


@dataclass
class Flow:
    """Repeats of the whole flow over one batch, and their time by stage."""

    folder: Path
    root: Path
    workers: WorkerPool
    template: Path | None = None  # of the store; None for a new one
    part_size: int = 128
    embed: Callable | None = None  # instead of the trunk
    stages: list[dict[str, float]] = field(default_factory=list)  # seconds by stage, every repeat

    def whole(self) -> float:
        """Seconds of one run, given the worker processes and the network."""
        return self._run()[0]

    def until_embedded(self) -> float:
        """Seconds of one run until all crops are embedded."""
        return self._run()[1]

    def _run(self) -> tuple[float, float]:
        with (
            fresh_store(self.root, self.folder, self.template, self.part_size) as opened,
            batch_lock(opened.store, BATCH),
        ):
            run = TimedRun(opened, BATCH, one_by_one, only_new=False)
            run.tools.workers = self.workers
            run.tools.embed = self.embed or embedder(opened.store, run.chosen).embed
            started = time.perf_counter()
            whole = seconds_of(run.whole)
            del run.tools.workers  # shared by all repeats
            run.close()
        if run.summary.failures:
            raise SystemExit(f"{len(run.summary.failures)} parts failed, so nothing was measured")
        self.stages.append({**run.summary.seconds, "whole": whole})
        return whole, run.embedded - started

    def stage_times(self) -> str:
        """Seconds by stage of the median repeat, the longest stage first."""
        times = dict(sorted(self.stages, key=lambda stage: stage["whole"])[len(self.stages) // 2])
        whole = times.pop("whole")
        longest = sorted(times.items(), key=lambda stage: -stage[1])
        return f"{whole:.2f} s: " + ", ".join(f"{name} {each:.2f}" for name, each in longest)

    def against(
        self,
        what: str,
        ours: Callable[[], float],
        script: tuple[str, Callable[[Path, Path], object]],
        bar: float | None,
        repeats: int,
    ) -> Comparison:
        """Scans per second of `ours` and of a script, which takes a folder and a target."""
        name, work = script
        count = len(list(self.folder.iterdir())), "scans"

        def reference() -> float:
            return seconds_of(lambda: work(self.folder, self.root / "script.parquet"))

        row = rates(what, count, ours, (name, reference), bar, repeats)
        if self.stages:
            log_step(f"{what}: {self.stage_times()}")
        return row


def threads_script() -> tuple[str, Callable[[Path, Path], object]]:
    """The script with threads, its network loaded and traced."""
    from benchmarks.scripts import threads

    trunk = threads.load_trunk(str(PHANTOMS))
    return "threads script", lambda folder, target: threads.embed_folder(folder, trunk, target)


def received_and_embedded(inputs: Inputs) -> Iterator[Comparison]:
    """Bar 2, and how a tuned tf.data pipeline compares with the same script."""
    from benchmarks.scripts import tf_data, threads

    script = threads_script()
    for kind, folder in inputs.kinds(FEW):
        flow = Flow(folder, inputs.root, inputs.workers, inputs.template)
        flow.until_embedded(), script[1](folder, inputs.root / "script.parquet")  # warm-up
        what = f"receive + embed, imports done, {FEW} {kind}"
        yield flow.against(what, flow.until_embedded, script, 1.05, REPEATS)
    trunk = threads.load_trunk(str(PHANTOMS))

    def tuned() -> float:
        target = inputs.root / "script.parquet"
        return seconds_of(lambda: tf_data.embed_folder(folder, trunk, target))

    tuned()
    flow.stages.clear()
    yield flow.against(f"tuned tf.data pipeline instead, {FEW} {kind}", tuned, script, None, 3)


def long_run(inputs: Inputs) -> Iterator[Comparison]:
    """Bar 3."""
    script = threads_script()
    warm, target = panoramics(FEW), inputs.root / "script.parquet"
    Flow(warm, inputs.root, inputs.workers, inputs.template).whole(), script[1](warm, target)
    flow = Flow(panoramics(MANY), inputs.root, inputs.workers, inputs.template)
    what = f"whole run after start-up, {MANY} phantoms"
    yield flow.against(what, flow.whole, script, 0.9, LONG)


def small_films(inputs: Inputs) -> Iterator[Comparison]:
    """Bar 4, in a new store: the first model of novelty is included."""
    from benchmarks.scripts import plain_keras

    model = plain_keras.load_model(str(PHANTOMS))
    for count, bar in ((1000, 1.4), (200, 1.1)):
        flow = Flow(periapicals(count), inputs.root, inputs.workers)

        def work(folder: Path, target: Path) -> None:
            plain_keras.embed_folder(folder, model, target)

        flow.whole(), work(flow.folder, inputs.root / "script.parquet")
        what = f"whole run after start-up, {count:,} periapicals"
        yield flow.against(what, flow.whole, ("plain Keras script", work), bar, REPEATS)


def sleeping_trunk(inputs: Inputs) -> Iterator[Comparison]:
    """Bar 7: a trunk that takes as long as receiving, and no CPU, as one on a GPU.

    The slower of receive and embed is measured alone, part after part, each time before the run.
    """
    folder, root, workers = panoramics(SLEPT), inputs.root, inputs.workers
    alone = received(folder, root, workers, PART_SIZE), received(folder, root, workers, PART_SIZE)
    trunk = Sleeper(alone[1] / (48 * SLEPT))
    flow = Flow(folder, root, workers, inputs.template, PART_SIZE, trunk)
    flow.whole()
    slower, whole = [], []
    for _ in range(REPEATS):
        slower.append(max(received(folder, root, workers, PART_SIZE), embedded(flow)))
        whole.append(flow.whole())
    log_step(f"with a trunk that sleeps: {flow.stage_times()}")
    what = f"whole run of {SLEPT // PART_SIZE} parts, trunk on another device"
    yield excess(what, "s", whole, ("slower of receive and embed", slower), 1.15)


class Sleeper:
    """Stands in for a trunk on another device: sleeps, and returns the same random rows."""

    def __init__(self, seconds: float, width: int = 8192):
        self.seconds = seconds  # of a crop
        self.rows = np.random.default_rng(0).random((256, width)).astype(np.float16)

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        time.sleep(self.seconds * len(crops))
        return self.rows[: len(crops)]


def embedded(flow: Flow) -> float:
    """Seconds to embed every part of a batch that is received."""
    with fresh_store(flow.root, flow.folder, part_size=flow.part_size) as opened:
        chosen, parts = choose_models(opened.settings, opened.store), planned_parts(opened)
        receive = receiver(opened, flow.workers)
        for number in parts:
            receive.receive_part(number)
        store = opened.store
        return seconds_of(
            lambda: [
                embed_part(store, BATCH, number, chosen, flow.embed, lambda _: None)
                for number in parts
            ]
        )
