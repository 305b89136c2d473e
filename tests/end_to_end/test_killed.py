"""`kill -9` of a run at random moments: nothing is lost or duplicated, and no byte differs."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.ingest import list_files
from pipeline.jobs import process_batch as process_module
from pipeline.jobs import resources
from pipeline.stages.plan import deliver, plan_batch
from pipeline.store import catalog
from tests.builders.fakes import FakeTrunk
from tests.builders.scans import scan, write_files
from tests.builders.stores import small_store, stored_bytes

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TABLES = ("scans", "crops", "features", "labels", "audits", "drift")
KILLS = 4
RUN = """
import sys
from pathlib import Path

from tests.end_to_end.test_killed import run

if __name__ == "__main__":
    run(Path(sys.argv[1]))
"""


def run(root):
    """The program that is killed: receives and embeds the batch with a fake trunk."""
    resources.embedder = lambda store, chosen: FakeTrunk
    process_module.run_batch(small_store(root, part_size=1), "b")


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """A store whose batch is listed but not received, and the program that processes it."""
    monkeypatch.setattr(list_files, "SECOND_LOOK_SECONDS", 0)
    monkeypatch.setattr(resources, "embedder", lambda store, chosen: FakeTrunk)
    same = scan()
    pictures = {f"s{number:02d}_png": scan(300, 200) for number in range(32)}
    folder = write_files(tmp_path / "in", **pictures, t_png=same, u_png=same, v_png=b"broken")
    store = small_store(tmp_path, part_size=1)
    deliver(folder, "b", store)
    plan_batch("b", store)
    program = tmp_path / "run.py"
    program.write_text(RUN)
    return store, program


def start(program, root):
    return subprocess.Popen(
        [sys.executable, program, root],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
        stderr=subprocess.PIPE,
    )


def test_a_run_killed_at_random_moments_ends_like_an_uninterrupted_one(planned, tmp_path):
    store, program = planned
    moments = random.Random(0)
    killed = 0
    for _ in range(KILLS):
        victim = start(program, tmp_path)
        before, deadline = len(stored_bytes(store.store, *TABLES)), time.monotonic() + 120
        # Wait until the run writes, then kill it a little later, somewhere inside a part.
        while len(stored_bytes(store.store, *TABLES)) == before and victim.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.05))
        if victim.poll() is None:
            os.killpg(victim.pid, signal.SIGKILL)
            killed += 1
        victim.wait()
        victim.stderr.close()
    process_module.run_batch(store, "b")
    after = stored_bytes(store.store, *TABLES)
    for name in after:
        store.store.remove(name)
    uninterrupted = process_module.run_batch(store, "b")
    assert stored_bytes(store.store, *TABLES) == after
    assert killed == KILLS
    assert uninterrupted.counts["accepted"] == 33
    assert uninterrupted.counts["duplicate"] == uninterrupted.counts["rejected"] == 1
    with catalog.open_store(store.store) as con:
        assert catalog.check(con) == []
    assert not list((tmp_path / "store" / ".tmp").glob("*"))
