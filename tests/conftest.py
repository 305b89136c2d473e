import os

import pytest

from pipeline.api import predict_files
from pipeline.ingest.workers.pool import WorkerPool
from pipeline.jobs import resources
from pipeline.stages import find_masks
from pipeline.store.store import Store
from tests.builders.s3_server import S3Server


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    (tmp_path / "store").mkdir()
    return Store(str(tmp_path / "store"))


@pytest.fixture(scope="session")
def s3_server():
    """A real S3 API on the loopback, for the whole session."""
    with S3Server() as server:
        yield server


@pytest.fixture
def s3(s3_server, monkeypatch):
    """The server with nothing in its bucket, found by environment as any S3 is."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    s3_server.control("clear")
    s3_server.reset()
    return s3_server


@pytest.fixture
def s3_store(s3):
    """An empty store on S3."""
    return Store("s3://bucket/store")


@pytest.fixture(scope="session", autouse=True)
def shared_workers():
    """Decoding processes that the runs of all tests share: each takes a second of CPU to start.

    Tests of the pool itself make their own.
    """
    pools: dict[tuple, SharedPool] = {}

    def shared(*limits):
        key = os.getpid(), *limits  # a forked run has none of its parent's threads
        if key not in pools:
            pools[key] = SharedPool(*limits)
        return pools[key]

    with pytest.MonkeyPatch.context() as patch:
        for module in (resources, find_masks, predict_files):
            patch.setattr(module, "WorkerPool", shared)
        yield
    for pool in pools.values():
        WorkerPool.close(pool)


class SharedPool(WorkerPool):
    """A pool that a run does not close."""

    def close(self):
        pass
