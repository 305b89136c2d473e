import pytest

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
