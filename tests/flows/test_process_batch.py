"""Real Prefect runs of real flows, started by the `dental` command."""

import json
import sqlite3

import pandas as pd
import pytest

from tests.builders.commands import SMALL_SETTINGS, run_dental
from tests.builders.identifiers import files_with_identifiers, identifier_batch, identifier_pattern
from tests.builders.scans import scan, write_files

pytestmark = pytest.mark.slow

SETTINGS = {**SMALL_SETTINGS, "DENTAL_PART_SIZE": "2"}


def dental(*arguments, module="pipeline.cli", **variables):
    """Run `dental …` with small parts."""
    return run_dental(*arguments, module=module, **{**SETTINGS, **variables})


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """A batch full of planted identifiers, scans among it that cannot be used; its first run."""
    root = tmp_path_factory.mktemp("flows")
    folder = identifier_batch(root / "Ann Smith")
    run = dental("run", folder, "--store", root / "store", "--name", "night")
    return root, folder, run


def test_a_batch_goes_from_files_to_features_and_the_summary_names_their_folder(batch):
    root, _, run = batch
    assert run.returncode == 2, run.stderr  # four of nine rejected: above the share of 10 %
    assert "5 accepted, 0 duplicate, 4 rejected" in run.stdout
    [trunk] = (root / "store" / "features").iterdir()
    assert str(trunk) in run.stdout
    assert "REJECTED    more than 10% of the files" in run.stdout
    assert run.stdout.splitlines()[-1].startswith("Next: dental query batches --store")
    features = pd.read_parquet(trunk)
    assert set(features["batch"]) == {"night"}
    assert features["embedding"].map(len).unique().tolist() == [8 * 8 * 8]


def test_a_run_with_nothing_to_do_prints_the_same_without_prefect_keras_and_duckdb(batch):
    root, folder, _ = batch
    arguments = ("run", folder, "--store", root / "store", "--name", "night")
    # The first one asks the catalog, the second one has its answers.
    runs = [dental(*arguments, PYTHONPROFILEIMPORTTIME="1") for _ in range(2)]
    first, run = (
        [line for line in each.stdout.splitlines() if "time" not in line] for each in runs
    )
    assert first == run
    assert "5 accepted, 0 duplicate, 4 rejected" in "".join(run)
    # For a table of the batch that cannot be read.
    assert "1 scan waiting for 1 table" in "".join(run)
    assert [each.returncode for each in runs] == [2, 2]
    imported = {line.split("|")[-1].strip() for line in runs[1].stderr.splitlines()}
    assert "pyarrow" in imported
    slow = {
        "prefect",
        "tensorflow",
        "keras",
        "duckdb",
        "pandas",
        "pydicom",
        "matplotlib",
        "sklearn",
    }
    assert not imported & slow


def test_no_planted_identifier_is_in_prefects_database_the_store_or_the_logs(batch):
    root, _, run = batch
    home = root / "store.private" / "prefect"
    with sqlite3.connect(home / "prefect.db") as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
        runs = connection.execute("select count(*) from task_run").fetchone()[0]
    assert runs >= 4  # two parts, received and embedded
    assert files_with_identifiers(home) == files_with_identifiers(root / "store") == []
    assert not identifier_pattern().search((run.stdout + run.stderr).encode())
    for path in home.rglob("*"):
        assert not path.is_file() or b"Ann Smith" not in path.read_bytes(), path


def test_a_run_has_tags_and_its_tasks_have_none_that_the_server_would_look_up_limits_of(batch):
    root, _, _ = batch
    with sqlite3.connect(root / "store.private" / "prefect" / "prefect.db") as connection:
        of_runs, of_tasks = (
            {tags for (tags,) in connection.execute(f"select tags from {table}")}
            for table in ("flow_run", "task_run")
        )
    assert "store:store" in str(of_runs)
    assert of_tasks == {"[]"}


@pytest.mark.parametrize(
    ("folder", "variables", "says"),
    [
        ("gone", {}, "does not exist. Give the folder that holds the scans"),
        ("empty", {}, "holds no scans"),
        ("empty", {"DENTAL_PART_SISE": "3"}, "Did you mean `DENTAL_PART_SIZE`?"),
    ],
)
def test_a_first_mistake_gives_one_sentence_and_status_1(tmp_path, folder, variables, says):
    (tmp_path / "empty").mkdir()
    run = dental("run", tmp_path / folder, "--store", tmp_path / "store", **variables)
    assert run.returncode == 1
    assert says in run.stderr
    assert "Traceback" not in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1


def test_a_batch_that_holds_the_store_is_refused_before_anything_is_written(tmp_path):
    write_files(tmp_path, a_png=scan())
    run = dental("run", tmp_path, "--store", tmp_path / "store")
    assert run.returncode == 1
    assert "holds the store" in run.stderr
    assert "Traceback" not in run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("flow", "says"),
    [("train", "Too few labels to train a head"), ("cross-validate", "5 folds need at least 6")],
)
def test_an_error_in_a_flow_is_printed_without_a_traceback(batch, flow, says):
    root, _, _ = batch
    run = dental(flow, "--store", root / "store", "--json")
    assert run.stdout == ""
    assert run.returncode == 1
    assert says in run.stderr
    assert "Traceback" not in run.stderr
    assert "leaked" not in run.stderr  # as DuckDB has it while a thread of Prefect's goes on


def test_json_of_a_run_is_all_there_is_on_standard_output(batch):
    root, folder, _ = batch
    run = dental("run", folder, "--store", root / "store", "--name", "night", "--json")
    assert run.returncode == 2
    assert json.loads(run.stdout)["counts"]["rejected"] == 4
    assert "Starting: batch night" in run.stderr


def test_the_earlier_command_forwards_with_a_notice_and_the_same_exit_status(batch):
    root, folder, _ = batch
    arguments = ("process_batch", folder, "--store", root / "store", "--name", "night")
    run = dental(*arguments, module="flows")
    assert run.returncode == 2
    assert "`python -m flows process_batch` is deprecated" in run.stderr
    assert "use `dental run`" in run.stderr
    assert "5 accepted, 0 duplicate, 4 rejected" in run.stdout
