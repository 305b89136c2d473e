"""Kill the whole flow under Prefect, including its server, with the real trunk."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.builders.commands import ROOT, SMALL_SETTINGS
from tests.builders.stores import KEY
from tests.chaos.forked_runs import contents, kill_tree, write_batch

SETTINGS = {**SMALL_SETTINGS, "DENTAL_PART_SIZE": "4"}


def killed_flows(home: Path, times: int, seed: int = 0) -> Iterator[str]:
    """Kill the flow `times` times within one batch, then run it to the end."""
    folder, root, moments = write_batch(home / "in"), home / "flow", random.Random(seed)
    (root / "store.private").mkdir(parents=True, mode=0o700)
    (root / "store.private" / "key").write_text(KEY)
    for number in range(times):
        process = _flow(folder, root)
        before, deadline = len(contents(root)), time.monotonic() + 240
        while len(contents(root)) == before and process.poll() is None:
            assert time.monotonic() < deadline, "the flow made no part in four minutes"
            time.sleep(0.05)
        time.sleep(moments.uniform(0, 1.5))
        kill_tree(process.pid)
        process.wait()
        yield f"flow killed for the {number + 1}. time"
    final = _flow(folder, root)
    assert final.wait() in (0, 2), "the final run of the flow failed"
    after = contents(root)
    for name in after:
        (root / "store" / name).unlink()
    assert _flow(folder, root).wait() in (0, 2)
    assert contents(root) == after, "killed flows left other bytes than an undisturbed flow"


def _flow(folder: Path, root: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "pipeline.cli", "run", str(folder)]
    return subprocess.Popen(
        [*command, "--store", str(root / "store"), "--name", "b"],
        cwd=ROOT,
        env={**os.environ, **SETTINGS},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
