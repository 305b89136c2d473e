"""What a process needs to work for a run, made once per process and run.

A `Job` describes the run and can be sent to other processes. `Resources` take time to make (the
network, decoding processes, the ledger so far) and never leave their process.
"""

import hashlib
import importlib.metadata
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import Settings
from pipeline.ingest.delivery_lists import DeliveryLists
from pipeline.ingest.workers.pool import WorkerPool
from pipeline.progress import Advance, log
from pipeline.stages.duplicates import AcceptedInStore
from pipeline.stages.predict import Head
from pipeline.stages.receive import Receiver
from pipeline.stages.score_novelty import NoveltyModel
from pipeline.store.open_store import OpenStore, open_for_writing
from pipeline.store.registry import ModelChoice, choose_models, cost_line, embedder
from pipeline.store.run_store import RunStore

if TYPE_CHECKING:
    from pipeline.model.network import Embedder

# Libraries that affect the bytes of a part.
VERSIONS = ("keras", "numpy", "opencv-python-headless", "pillow", "pyarrow", "pydicom")
RUNS = 2  # a process keeps the resources of so many runs, the newest


@dataclass(frozen=True)
class Job:
    """The description of a run for its processes. Its text may appear in logs."""

    run: str
    batch: str
    settings: Settings = field(repr=False)
    chosen: ModelChoice = field(repr=False)
    made_with: str = field(repr=False)


def job_for(run: str, batch: str, opened: OpenStore, chosen: ModelChoice) -> Job:
    """The job of a run, with absolute paths, since processes have other working folders."""
    settings = opened.settings
    paths = {
        "store": opened.store.absolute_root(),
        "private": settings.private_folder.absolute(),
    }
    return Job(run, batch, settings.model_copy(update=paths), chosen, made_with())


@cache
def made_with() -> str:
    """A digest of this code and of the libraries that affect the bytes of a part."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.read_bytes())
    for name in VERSIONS:
        digest.update(importlib.metadata.version(name).encode())
    return digest.hexdigest()


class Resources:
    """What one process makes for a run, each when first needed."""

    def __init__(self, job: Job, opened: OpenStore | None = None):
        self.job, self._opened = job, opened
        self.store = RunStore(job.settings.store, job.batch, job.run)

    @cached_property
    def opened(self) -> OpenStore:
        """The same store with its private folder, which not every worker has."""
        opened = self._opened or open_for_writing(self.job.settings)
        return replace(opened, store=self.store)

    @cached_property
    def workers(self) -> WorkerPool:
        settings = self.job.settings
        # The default is of the machine that started the run; this one may have other cores.
        is_set = "workers" in settings.model_fields_set
        count = settings.workers if is_set else os.cpu_count() or 1
        return WorkerPool(count, settings.scan_seconds, settings.scan_memory_mb)

    @cached_property
    def accepted(self) -> AcceptedInStore:
        lengths = DeliveryLists(self.opened.private, self.job.batch).file_sizes()
        return AcceptedInStore(self.store, lengths)

    @cached_property
    def embed(self) -> Callable:
        chosen = self.job.chosen
        loaded = _embedders.pop((self.store.absolute_root(), chosen.trunk_id), None)
        ready = loaded or embedder(self.store, chosen)
        if line := cost_line(self.store, chosen):
            log.info(line)
        return ready.embed

    @cached_property
    def head(self) -> Callable[[str], Head]:
        """Stored heads by id, each read once."""
        return cache(partial(Head, self.store))

    @cached_property
    def fitted(self) -> Callable[[str], NoveltyModel]:
        """Novelty models by id, each read once."""
        return cache(partial(NoveltyModel, self.store))

    def receiver(self, advance: Advance) -> Receiver:
        job = self.job
        return Receiver(self.opened, job.batch, job.chosen, self.workers, self.accepted, advance)

    def close(self) -> None:
        if "workers" in self.__dict__:
            self.workers.close()


_resources: dict[str, Resources] = {}
_embedders: dict[tuple[str, str], "Embedder"] = {}  # by store and trunk, for runs that begin soon


def load_embedder(opened: OpenStore) -> None:
    """Load the embedder of a run that begins soon, for its `Resources`.

    An error is left to that run, which meets it again where it is reported.
    """
    with suppress(Exception):
        chosen = choose_models(opened.settings, opened.store)
        key = opened.store.absolute_root(), chosen.trunk_id
        _embedders[key] = embedder(opened.store, chosen)


def resources_for(job: Job, opened: OpenStore | None = None) -> Resources:
    """The resources of a run in this process; `opened` if it has opened the store already."""
    if job.run not in _resources:
        while len(_resources) >= RUNS:
            _resources.pop(next(iter(_resources))).close()
        _resources[job.run] = Resources(job, opened)
    return _resources[job.run]


def release_resources(job: Job) -> None:
    """Release the resources of a run in this process."""
    if resources := _resources.pop(job.run, None):
        resources.close()
