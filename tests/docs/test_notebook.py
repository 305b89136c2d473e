"""The notebook of the documents runs on the sample store, cell by cell."""

import json
from pathlib import Path

import matplotlib as mpl

NOTEBOOK = Path(__file__).parents[2] / "docs" / "features-in-pandas.ipynb"


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
