"""Compare the whole flow after start-up with a simple script that makes the same embeddings.

Excluded on both sides, because it is done once per run and not per scan: importing TensorFlow,
building the network and tracing it, starting worker processes, opening the store. Ours includes
everything else: listing, ledger, hashes, crops, features, checks, report.
"""

from pathlib import Path

from benchmarks.comparison import Comparison, rates, seconds_of
from benchmarks.plain_script import plain_model, plain_script
from benchmarks.temporary_stores import BATCH, fresh_store
from pipeline.ingest.workers.pool import WorkerPool
from pipeline.jobs.process_batch import BatchRun
from pipeline.stages.parts_loop import one_by_one
from pipeline.store.locks import batch_lock
from pipeline.store.registry import embedder

BAR = 1.4
SIDE = 256


class Flow:
    """Repeats of the whole flow over one batch, and their time by stage."""

    def __init__(self, folder: Path, root: Path, workers: WorkerPool):
        self.folder, self.root, self.workers = folder, root, workers
        self.stages: list[dict[str, float]] = []  # seconds by stage, for every repeat

    def compare(self, repeats: int) -> Comparison:
        """Scans per second, each with one crop and one stored embedding."""
        model = plain_model(SIDE)
        target = self.root / "script.parquet"

        def reference() -> float:
            return seconds_of(lambda: plain_script(self.folder, SIDE, model, target))

        self.seconds(), reference()
        self.stages.clear()
        return rates(
            "whole flow after start-up",
            (len(list(self.folder.iterdir())), "scans"),
            self.seconds,
            ("plain Keras script", reference),
            BAR,
            repeats,
        )

    def seconds(self) -> float:
        """Seconds of one run, given the worker processes and the network."""
        with fresh_store(self.root, self.folder) as opened, batch_lock(opened.store, BATCH):
            run = BatchRun(opened, BATCH, one_by_one, only_new=False)
            run.tools.workers = self.workers
            run.tools.embed = embedder(opened.store, run.chosen).embed
            spent = seconds_of(run.whole)
            del run.tools.workers  # shared by all repeats
            run.close()
        self.stages.append({**run.summary.seconds, "whole": spent})
        return spent

    def seconds_by_stage(self) -> dict[str, float]:
        """Seconds by stage of the median repeat, the longest stage first."""
        middle = sorted(self.stages, key=lambda stage: stage["whole"])[len(self.stages) // 2]
        return dict(sorted(middle.items(), key=lambda item: -item[1]))
