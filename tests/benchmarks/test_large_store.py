"""The synthetic store of `make bench-store` and `make bench-scale` is sound, and can be queried."""

import inspect

import pytest

from benchmarks import large_store_data, store_queries
from pipeline.store import catalog

pytestmark = pytest.mark.slow

# Those are without an annotation of what they return; what they share has one.
QUERIES = {
    name: query
    for name, query in inspect.getmembers(store_queries, inspect.isfunction)
    if [*inspect.get_annotations(query)] == ["root"]
}
SMALL = {"PANORAMICS": 2, "PERIAPICALS": 2, "NIGHT": 20, "BIG": 5, "PART": 8}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Two nights of 20 scans and the last batch of 5, from one panoramic and one film."""
    home = tmp_path_factory.mktemp("large-store")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SMALL.items():
            patch.setattr(large_store_data, name, value)
        large_store_data.make(home, 45, 30)
    return home


def test_a_store_has_the_scans_and_embeddings_asked_for(home):
    with catalog.open_store(home / "store") as con:
        batches = catalog.query(con, "batches").set_index("batch")
        assert batches["accepted"].to_dict() == {"20240101": 20, "20240102": 20, "again": 5}
        assert len(con.sql("select crop_id from features")) >= 30


def test_no_two_scans_look_alike(home):
    assert catalog.ask(home / "store", "near_duplicates").empty


@pytest.mark.parametrize("name", QUERIES)
def test_every_timed_query_works(name, home):
    QUERIES[name](home)()
