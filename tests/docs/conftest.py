"""A small store of phantoms, on which the documents' snippets run."""

import pytest

from pipeline.phantoms import write_batch
from pipeline.store.registry import champion
from tests.builders.stores import process_folder, small_store

BATCH = "20261123"  # the one that the documents name


@pytest.fixture(scope="session")
def sample_store(tmp_path_factory):
    """The path of a store with a champion, made by the pipeline from 50 phantoms."""
    root = tmp_path_factory.mktemp("sample")
    write_batch(root / BATCH, 50, seed=0, height=100, workers=1)
    small = small_store(root)
    process_folder(small, root / BATCH, BATCH)
    assert champion(small.store), "the sample has too few labelled patients for a head"
    return root / "store"
