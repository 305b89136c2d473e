"""A folder to write label files into, and a way to read its annotations."""

import pytest

from pipeline.ingest.labels.read_all import read_annotations
from pipeline.ingest.list_files import list_batch


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A batch folder to write files into, by path, and to read."""
    monkeypatch.setattr("pipeline.ingest.list_files.SECOND_LOOK_SECONDS", 0)

    class Folder:
        root = tmp_path

        def write(self, files):
            for name, text in files.items():
                path = tmp_path / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(text if isinstance(text, bytes) else text.encode())
            return self

        def read(self, settings=None):
            return read_annotations(tmp_path, list_batch(tmp_path), settings)

    return Folder()
