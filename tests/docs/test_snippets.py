"""Every Python and SQL snippet of the documents runs on the sample store."""

import duckdb
import pytest

from pipeline.store import catalog
from pipeline.store.registry import champion
from pipeline.store.store import Store
from tests.docs.markdown import blocks, query_lines


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
