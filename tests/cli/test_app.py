"""The `dental` command, as a person types it."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.jobs.process_batch import run_batch
from pipeline.stages.plan import deliver
from tests.builders.commands import run_dental
from tests.builders.scans import scan, write_files
from tests.builders.stores import small_store

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def dental(*arguments, cwd=ROOT, **variables):
    """Run `dental …` on a terminal of 160 columns."""
    return run_dental(*arguments, cwd=cwd, **{"COLUMNS": "160", **variables})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    root = tmp_path_factory.mktemp("cli")
    folder = write_files(root / "in", a_png=scan(), b_png=scan(), c_png=scan(), d_png=b"broken")
    small = small_store(root)
    run_batch(small, deliver(folder, "night", small))
    return root / "store"


ARENAS = """
import ctypes, threading
from pipeline.cli.__main__ import use_few_arenas

use_few_arenas()
together = threading.Barrier(8)

def take():
    together.wait()
    taken.append(bytearray(50_000))
    together.wait()

taken, threads = [], [threading.Thread(target=take) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas")
@pytest.mark.parametrize(
    ("variables", "most"),
    [
        ({}, 2),
        ({"MALLOC_ARENA_MAX": "8"}, 8),
        ({"GLIBC_TUNABLES": "glibc.malloc.arena_max=8"}, 8),
    ],
)
def test_threads_share_two_arenas_of_memory_unless_the_environment_says_otherwise(variables, most):
    set_here = ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")
    others = {name: value for name, value in os.environ.items() if name not in set_here}
    run = subprocess.run(
        [sys.executable, "-c", ARENAS], env=others | variables, capture_output=True, text=True
    )
    assert run.stdout.count("<heap nr=") == most


def test_query_without_a_name_lists_what_can_be_asked():
    asked = dental("query")
    for name in ("batches", "rejections", "class_balance", "flagged", "nearest", "worklist"):
        assert name in asked.stdout


def test_query_prints_rows_as_a_table_or_as_csv(store):
    assert "night" in dental("query", "batches", "--store", store).stdout
    header, row, *_ = dental("query", "batches", "--csv", "--store", store).stdout.splitlines()
    assert header.startswith("batch,delivered,accepted,duplicate,rejected")
    assert row.startswith("night,4,3,0,1")


def test_a_query_of_many_columns_is_printed_whole_to_a_pipe(store):
    header, *rows = dental("query", "example_crops", "--csv", "--store", store).stdout.splitlines()
    output = dental("query", "example_crops", "--store", store, COLUMNS="80").stdout
    crop_ids = [row.split(",")[0] for row in rows]
    assert len(crop_ids) == 3
    assert all(crop_id in output for crop_id in crop_ids)
    assert all(f"{name} " in output for name in header.split(",") if name.startswith("box_"))


def test_query_takes_parameters(store):
    rows = dental("query", "labelled", "--csv", "--store", store).stdout.splitlines()
    assert rows[0] == "crop_id,patient_key,label"
    features = min(store.glob("features/*/night/*.parquet"))
    import pyarrow.parquet as pq

    crop = pq.read_table(features)["crop_id"][0].as_py()
    found = dental("query", "nearest", f"crop_id={crop}", "k=1", "--csv", "--store", store)
    assert len(found.stdout.splitlines()) == 2, found.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["query", "batch"], "There is no query `batch`. Did you mean `batches`?"),
        (["query", "nearest"], "lacks crop_id"),
        (["query", "nearest", "crop_id"], "`crop_id` is no parameter; write NAME=VALUE"),
        (["query", "batches", "k=3"], "has no parameter `k`"),
        (["query", "worklist", "limit=-1"], "was given limit=-1, expected 0 or more"),
    ],
)
def test_a_mistake_in_a_query_gives_one_sentence(store, arguments, says):
    asked = dental(*arguments, "--store", store)
    assert asked.returncode == 1
    assert says in asked.stderr
    assert "Traceback" not in asked.stderr


def test_a_missing_store_is_an_error_that_names_it(tmp_path):
    asked = dental("query", "batches", "--store", tmp_path / "gone")
    assert asked.returncode == 1
    assert "There is no store" in asked.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["query"]], ids=" ".join)
def test_help_and_queries_import_nothing_slow(arguments):
    imported = {
        line.split("|")[-1].strip()
        for line in dental(*arguments, PYTHONPROFILEIMPORTTIME="1").stderr.splitlines()
    }
    assert "typer" in imported
    assert not imported & {"prefect", "tensorflow", "keras", "sklearn", "matplotlib"}


def test_a_run_says_what_it_starts_before_it_opens_anything(tmp_path):
    run = dental("run", tmp_path / "Ann Smith", "--store", tmp_path / "store", "--name", "night")
    assert run.stdout == f"Starting: batch night into store {tmp_path / 'store'}\n"
    assert "does not exist" in run.stderr
    unnamed = dental("run", tmp_path / "Ann Smith", "--store", tmp_path / "store", "--json")
    assert unnamed.stdout == ""
    assert unnamed.stderr.startswith("Starting: a batch into store")


def test_version_is_that_of_the_package():
    assert dental("--version").stdout.startswith("dental-pipeline 0.")


def test_a_query_for_the_code_alone_is_not_reachable(store):
    asked = dental("query", "crop_labels", "--store", store)
    assert asked.returncode == 1
    assert "There is no query `crop_labels`" in asked.stderr


def test_a_query_takes_shortened_ids_and_refuses_unknown_ones(store):
    header, *rows = dental("query", "example_crops", "--csv", "--store", store).stdout.splitlines()
    crop_id = rows[0].split(",")[header.split(",").index("crop_id")]
    found = dental("query", "crops_of_scan", f"scan_id={crop_id[:8]}", "--csv", "--store", store)
    assert crop_id in found.stdout
    for query, name in (("nearest", "crop_id"), ("crops_of_scan", "scan_id")):
        asked = dental("query", query, f"{name}=0123abcd", "--store", store)
        assert asked.returncode == 1
        assert "`0123abcd` in the store" in asked.stderr


def test_trunk_describe_prints_the_arithmetic_of_the_notes():
    output = dental("trunk", "describe").stdout
    for figure in ("976", "808", "3,216", "4,640", "9,640", "16 × 16 × 32", "8192", "64 px"):
        assert figure in output


def test_phantoms_are_drawn_and_called_synthetic(tmp_path):
    output = dental("phantoms", tmp_path / "out", "--scans", 3, "--seed", 1, "--height", 100).stdout
    assert "Synthetic" in output
    assert len([p for p in (tmp_path / "out").iterdir() if p.stem.startswith("phantom")]) >= 3
    again = dental("phantoms", tmp_path / "out", "--scans", 3)
    assert again.returncode == 1
    assert "Traceback" not in again.stderr
