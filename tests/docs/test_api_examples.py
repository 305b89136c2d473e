"""The examples in the docstrings of the Python front run on the sample store."""

import doctest

import pandas as pd
import pytest

import pipeline
from pipeline.api.store_reader import StoreReader

EXAMPLES = [
    each for each in doctest.DocTestFinder().find(StoreReader, "StoreReader") if each.examples
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.name)
def test_an_example_of_a_docstring_runs(example, sample_store):
    scan = next((sample_store.parent / "20261123").rglob("*.png"))
    example.globs |= {"store": pipeline.open(sample_store), "scan": scan}
    assert doctest.DocTestRunner().run(example).failed == 0


def test_a_prediction_has_the_bits_of_a_run(sample_store):
    store = pipeline.open(sample_store)
    index = pd.read_parquet(sample_store.with_name("store.private") / "index")
    novelty = store.query("novel", limit=10_000).set_index("crop_id")
    stored = store.predictions().set_index("crop_id").join(novelty[["gaussian", "neighbour"]])
    compared = 0
    for scan_id, path in index.drop_duplicates("scan_id").itertuples(index=False):
        expected = stored[stored["scan_id"] == scan_id]
        if len(expected) and not expected.index.str.contains(":box-").any():
            found = store.predict(sample_store.parent / "20261123" / path.decode())
            found = found.set_index("crop_id").loc[expected.index]
            assert found["p_abnormal"].tolist() == expected["p_abnormal"].tolist()
            assert found["novelty_gaussian"].tolist() == expected["gaussian"].tolist()
            assert found["novelty_neighbour"].tolist() == expected["neighbour"].tolist()
            compared += 1
    assert compared > 5
