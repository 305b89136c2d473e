"""`dental review export` and `import`, as a person types them."""

import csv

import pytest

from tests.builders.commands import run_dental
from tests.builders.stores import small_store
from tests.builders.tables import feature_row, prediction_row, promote, write_labels, write_table

pytestmark = pytest.mark.slow

SCANS = [letter * 32 for letter in "abc"]


@pytest.fixture
def root(tmp_path):
    """A store of three predicted crops, two of them with a delivered label."""
    store = small_store(tmp_path).store
    write_table(store, "features", [feature_row(each) for each in SCANS])
    write_table(store, "predictions", [prediction_row(each) for each in SCANS])
    write_labels(store, {f"{each}:whole": "abnormal" for each in SCANS[:2]})
    promote(store)
    return tmp_path


def test_a_table_is_exported_compared_and_taken(root):
    def dental(*arguments):
        return run_dental(*arguments, "--store", root / "store")

    file = root / "out.csv"
    done = dental("review", "export", file, "--reviewer", "KL")
    assert done.stdout == f"3 crops in {file}. Fill in labels, then: dental review import {file}\n"

    untouched = dental("review", "import", file)
    assert (untouched.returncode, untouched.stderr) == (0, "")
    assert "3 lines blank" in untouched.stdout
    assert "No label in force has changed, so no head was trained" in untouched.stdout

    rows = list(csv.DictReader(file.read_text().splitlines()))
    rows[0]["label"] = "withdraw"
    file.write_text("\n".join(map(",".join, [rows[0], *(row.values() for row in rows)])))
    held = dental("feedback", file)
    assert held.returncode == 2
    assert f"{rows[0]['crop_id']} abnormal (delivered), now withdraw (kl)" in held.stdout
    assert "Nothing was written: it withdraws 1 labels" in held.stdout

    agreed = dental("review", "import", file, "--yes")
    # The labels are stored, and training is tried, for which this store lacks its trunk.
    assert "1 withdrawn" in agreed.stdout
    assert "models/trunks/t0 has no card.json" in agreed.stderr
