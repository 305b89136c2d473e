"""Every snippet, the notebook and the examples of docstrings run on the sample store.

They are in one file, since the store is made once for each process, and a file runs in one.
"""

import doctest
import json

import duckdb
import matplotlib as mpl
import pandas as pd
import pytest

import pipeline
from pipeline.api.store_reader import StoreReader
from pipeline.store import catalog
from pipeline.store.registry import champion
from pipeline.store.store import Store
from tests.docs.markdown import ROOT, blocks, query_lines

NOTEBOOK = ROOT / "docs" / "features-in-pandas.ipynb"
EXAMPLES = [
    each for each in doctest.DocTestFinder().find(StoreReader, "StoreReader") if each.examples
]


@pytest.fixture
def folder(sample_store, tmp_path, monkeypatch):
    """A current folder where data/store is the sample store."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "store").symlink_to(sample_store)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_a_python_snippet_runs(block, folder):
    trunk = champion(Store("data/store"))["trunk"]
    exec(block.text.replace("/TRUNK", f"/{trunk}"), {})


@pytest.mark.parametrize("block", blocks("sql"), ids=str)
def test_an_sql_snippet_runs(block, folder):
    assert len(duckdb.sql(block.text).fetchall())


@pytest.mark.parametrize("line", query_lines())
def test_a_query_runs(line, folder):
    name, *pairs = line.split()
    parameters = dict(pair.split("=") for pair in pairs)
    with catalog.open_store("data/store") as con:
        if parameters.get("crop_id") == "ID":
            parameters["crop_id"] = catalog.query(con, "worklist")["crop_id"][0]
        catalog.query(con, name, **parameters)


def test_every_cell_of_the_notebook_runs(sample_store):
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    names: dict = {}
    with mpl.rc_context():
        mpl.use("agg")
        for cell in cells:
            if cell["cell_type"] == "code":
                assert not cell["outputs"], "outputs show crops of whoever ran it last"
                code = "".join(cell["source"]).replace("data/sample-store", str(sample_store))
                exec(code, names)
    assert len(names["titles"]) == 5
    assert 0 <= names["scores"].min() <= names["scores"].max() <= 1


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
