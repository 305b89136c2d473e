"""A run on a real Dask scheduler with two workers, of which one is killed, against a calm run."""

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flows import dask_cluster
from flows.part_tasks import executor_of
from pipeline.config import Dask
from pipeline.errors import ConfigError
from pipeline.jobs.part_work import Embed
from pipeline.jobs.process_batch import run_batch
from pipeline.jobs.resources import job_for
from pipeline.stages.parts_loop import StageRun
from pipeline.stages.plan import deliver
from tests.builders.dask_worker import VICTIM
from tests.builders.fakes import use_fakes
from tests.builders.scans import scan, write_files
from tests.builders.stores import small_store, stored_bytes

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TABLES = ("scans", "crops", "features", "labels")


def dask(log, *arguments, **variables):
    with log.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments, "--no-dashboard"],
            cwd=ROOT,
            env={**os.environ, **variables},
            stdout=file,
            stderr=subprocess.STDOUT,
        )


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """The address of a scheduler with two workers, the folder of their logs, and the processes."""
    logs = tmp_path_factory.mktemp("dask")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    address, here = f"tcp://127.0.0.1:{port}", ("--dashboard-address", "127.0.0.1:0")
    started = [dask(logs / "scheduler", "scheduler", "--host", "127.0.0.1", "--port", port, *here)]
    for name in ("one", "two"):
        options = (
            "--nthreads",
            "1",
            "--no-nanny",
            "--preload",
            "tests.builders.dask_worker",
            *here,
        )
        victim = {VICTIM: str(logs / "victim")}
        started.append(dask(logs / name, "worker", address, *options, **victim))
    yield address, logs, started
    for each in started:
        each.kill()
        each.wait()


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    use_fakes(monkeypatch)


def on_dask(settings):
    """The map of the flows, without Prefect's tasks."""

    def map_parts(stage, work, numbers):
        with executor_of(settings, work) as (do, at_once), ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(do, numbers))

    return map_parts


def test_a_run_that_loses_a_worker_gives_the_bytes_of_a_run_on_this_machine(running, tmp_path):
    address, logs, started = running
    same = scan()
    pictures = {f"smith{number}_png": scan() for number in range(6)}
    folder = write_files(
        tmp_path / "Ann Smith", a_png=same, **pictures, z_png=same, y_png=b"broken"
    )
    store = small_store(tmp_path, part_size=2, workers=1, runner="dask", dask=Dask(address=address))
    batch = deliver(folder, "night", store)
    summary = run_batch(store, batch, on_dask(store.settings))
    assert summary.failures == summary.broken_checks == []
    assert summary.counts["duplicate"] == summary.counts["rejected"] == 1
    assert sum(each.poll() is not None for each in started) == 1  # it was killed
    after = stored_bytes(store.store, *TABLES)
    for name in after:
        store.store.remove(name)
    run_batch(store, batch)
    assert stored_bytes(store.store, *TABLES) == after
    for log in ("scheduler", "one", "two"):
        assert b"smith" not in (logs / log).read_bytes().lower(), log


def test_a_missing_worker_is_an_error_that_names_the_resources(running, tmp_path, monkeypatch):
    monkeypatch.setattr(dask_cluster, "PATIENCE_SECONDS", 3)
    store = small_store(tmp_path, runner="dask", dask=Dask(address=running[0], embed={"GPU": 1}))
    work = StageRun("embed", "b", Embed(job_for("run", "b", store, None)), store.private, print)
    with (
        pytest.raises(ConfigError, match=r"stage embed came .* offers GPU=1\. Start one"),
        executor_of(store.settings, work),
    ):
        pass


@pytest.mark.parametrize(
    ("address", "says"),
    [
        (None, "names no scheduler"),
        ("tcp://10.0.0.5:8786", "is tcp://10.0.0.5:8786, expected tls"),
        ("10.0.0.5:8786", "expected tls"),
        ("http://127.0.0.1:8786", "expected tls"),
    ],
)
def test_a_scheduler_that_is_open_to_the_network_is_refused(address, says):
    with pytest.raises(ConfigError, match=says):
        dask_cluster.checked_address(address)


@pytest.mark.parametrize("address", ["tls://10.0.0.5:8786", "tcp://[::1]:8786", "localhost:8786"])
def test_a_scheduler_with_tls_or_of_this_machine_alone_is_taken(address):
    assert dask_cluster.checked_address(address) == address
