"""What the bars of `make bench` measure with: folders of scans, worker processes, a store."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.pool import Pool
from pathlib import Path

from benchmarks import sample_scans
from pipeline import config
from pipeline.ingest.workers.pool import WorkerPool

REPEATS = 5
EARLIER = 24  # panoramics and as many periapicals, in the store before


@dataclass
class Inputs:
    """Made in the process that measures a bar."""

    root: Path  # for temporary files
    template: Path  # a folder with a store in which an earlier batch was processed
    workers: WorkerPool

    def kinds(self, count: int) -> Iterator[tuple[str, Path]]:
        """Panoramics without boxes as PNG: phantoms, and real ones if available."""
        if sample_scans.real_panoramics():
            yield "real panoramics", real(count)
        yield "phantoms", panoramics(count)


def new_workers(count: int = os.cpu_count() or 1) -> WorkerPool:
    """A pool as a run has with the default settings."""
    fields = config.Settings.model_fields
    limits = (fields[name].default for name in ("scan_seconds", "scan_memory_mb"))
    return WorkerPool(count, *limits)


def panoramics(count: int, form: str = "png") -> Path:
    def draw(root: Path, pool: Pool) -> None:
        sample_scans.panoramics(root, pool, count, [form])

    return sample_scans.cached(f"panoramics-{form}-{count}", draw) / f"panoramics-{form}"


def periapicals(count: int) -> Path:
    folder = sample_scans.cached(
        f"periapicals-{count}", lambda root, pool: sample_scans.periapicals(root, pool, count)
    )
    return folder / "periapicals"


def real(count: int) -> Path:
    folder = sample_scans.cached(
        f"real-{count}", lambda root, pool: sample_scans.scaled_panoramics(root, pool, count)
    )
    return folder / "panoramics-png"


def earlier() -> Path:
    """A batch of both kinds of scans, none of which any other folder has."""

    def draw(root: Path, pool: Pool) -> None:
        sample_scans.panoramics(root, pool, EARLIER, ["png"], first=10_000)
        sample_scans.periapicals(root, pool, EARLIER, first=10_000)

    return sample_scans.cached(f"earlier-{EARLIER}", draw)
