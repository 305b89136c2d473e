"""The whole flow after start-up against a plain script that makes the same embeddings.

Left out on both sides, because it is paid once per run and not per scan: importing TensorFlow,
making the network and its first traced call, starting worker processes, opening the store. Ours
has everything else: listing, ledger, hashes, crops, features, checks, report.
"""

from pathlib import Path

from benchmarks.comparison import Comparison, clocked, rates
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
    """Repeats of the whole flow over one batch, and where their time went."""

    def __init__(self, folder: Path, root: Path, workers: WorkerPool):
        self.folder, self.root, self.workers = folder, root, workers
        self.stages: list[dict[str, float]] = []  # seconds by stage, one for every repeat

    def compare(self, repeats: int) -> Comparison:
        """Scans per second, each with one crop and one stored embedding."""
        model = plain_model(SIDE)
        target = self.root / "script.parquet"

        def reference() -> float:
            return clocked(lambda: plain_script(self.folder, SIDE, model, target))

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
        """Seconds of one run, `process` with what costs start-up time made before."""
        with fresh_store(self.root, self.folder) as opened, batch_lock(opened.store, BATCH):
            run = BatchRun(opened, BATCH, one_by_one, only_new=False)
            run.tools.workers = self.workers
            run.tools.embed = embedder(opened.store, run.chosen).embed
            spent = clocked(run.whole)
            del run.tools.workers  # they serve all repeats
            run.close()
        self.stages.append({**run.summary.seconds, "whole": spent})
        return spent

    def where(self) -> dict[str, float]:
        """Seconds by stage of the repeat in the middle, the longest stage first."""
        middle = sorted(self.stages, key=lambda stage: stage["whole"])[len(self.stages) // 2]
        return dict(sorted(middle.items(), key=lambda item: -item[1]))
