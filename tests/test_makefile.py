"""The targets of the Makefile, as what they would run."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")


@pytest.fixture
def make(tmp_path):
    """`make -n` in a folder whose environment is ready."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".venv").mkdir()
    for name in ("requirements.lock", "requirements-dev.lock", "pyproject.toml"):
        (tmp_path / name).touch()
    for name in ("ready", "dev-ready"):
        (tmp_path / ".venv" / name).touch()

    # `make test` runs these tests: its flags and variables are not those of the `make` tested.
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    environment.pop("MFLAGS", None)

    def run(*arguments):
        return subprocess.run(
            ["make", "-n", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["run-flow", "BATCH=in", "STORE=s", "NAME=n"], 'dental run "in" --store "s" --name "n"'),
        (["run-flow"], "dental run data/sample --store data/sample-store --name sample"),
        (["train"], "dental train"),
        (["feedback", "CSV=reviewed.csv"], 'dental feedback "reviewed.csv"'),
        (["cross-validate", "FOLDS=3"], "dental cross-validate  --folds 3"),
        (["query", "Q=drift batch=b"], "dental query drift batch=b"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_target_is_a_shortcut_of_a_command(make, arguments, command):
    assert command in make(*arguments).stdout


@pytest.mark.parametrize(
    ("typed", "quoted"),
    [
        ("~/scans", '"~/scans"'),
        ("$HOME/$(X)", '"\\$HOME/\\$(X)"'),
        ("a 'b' \"c\" `d` \\ #1?", '"a \'b\' \\"c\\" \\`d\\` \\\\ #1?"'),
    ],
)
def test_a_path_reaches_the_command_as_it_was_typed(make, typed, quoted):
    run = make("run-flow", f"BATCH={typed}", f"STORE={typed}").stdout
    assert f"dental run {quoted} --store {quoted}" in run
    assert f"dental feedback {quoted}" in make("feedback", f"CSV={typed}").stdout
    echoed = subprocess.run(
        ["sh", "-c", f"printf %s {quoted}"], capture_output=True, text=True, check=True
    )
    assert echoed.stdout == typed


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("batch=in", "There is no variable batch. Did you mean BATCH?"),
        ("Batch=in", "Did you mean BATCH?"),
        ("STOR=s", "Did you mean STORE?"),
        ("WHATEVER=1", "Known variables: BATCH, STORE"),
        ("STORE=s", "STORE and NAME need BATCH, the folder of scans"),
        ("NAME=n", "STORE and NAME need BATCH, the folder of scans"),
    ],
)
def test_a_mistake_in_a_variable_is_refused_before_anything_runs(make, given, message):
    done = make("run-flow", given)
    assert done.returncode != 0
    assert message in done.stderr
    assert done.stdout == ""


def test_a_setting_may_be_given_as_a_variable(make):
    assert make("train", "DENTAL_WORKERS=3").returncode == 0
