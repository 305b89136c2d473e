"""The wheel contains every file that the code reads, and works outside the clone."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from tests.builders.commands import run_dental

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel's content, unpacked as an installer would."""
    folder = tmp_path_factory.mktemp("wheel")
    [wheel] = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_contains_sql_templates_types_and_licence(installed):
    names = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    assert "pipeline/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    for pattern in (
        "sql/views",
        "sql/queries",
        "sql/internal",
        "sql/checks",
        "sql/kept",
        "pipeline",
        "flows",
    ):
        ours = {
            str(path.relative_to(ROOT))
            for path in (ROOT / pattern).rglob("*")
            if path.suffix in (".sql", ".j2", ".py", ".npz")
        }
        assert ours <= names, ours - names


def test_the_wheel_works_outside_the_clone(installed, tmp_path):
    asked = run_dental("query", cwd=tmp_path, PYTHONPATH=str(installed))
    assert "batches" in asked.stdout, asked.stderr
    where = subprocess.run(
        [sys.executable, "-c", "import pipeline; print(pipeline.__file__)"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(installed) in where.stdout
