import pytest

from pipeline.store.folder import Store


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    (tmp_path / "store").mkdir()
    return Store(str(tmp_path / "store"))


@pytest.fixture(scope="session")
def s3_server():
    """A real S3 API on the loopback, for the whole session."""
    from tests.s3_server import Server

    server = Server()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def s3(s3_server, monkeypatch):
    """The server with nothing in its bucket, found by environment as any S3 is."""
    from pipeline import s3
    from tests.s3_server import BUCKET, CREDENTIALS

    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": s3_server.url}.items():
        monkeypatch.setenv(name, value)
    objects = s3.Prefix(BUCKET, "")
    objects.delete([facts.name for facts in objects.list()])
    s3_server.expect()
    return s3_server


@pytest.fixture
def s3_store(s3):
    """An empty store on S3."""
    return Store("s3://bucket/store")
