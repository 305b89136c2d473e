"""Every Python and SQL snippet of the documents runs on the sample store."""

import duckdb
import pytest

from pipeline.store.base import Store
from pipeline.store.registry import champion
from tests.docs.markdown import blocks


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
