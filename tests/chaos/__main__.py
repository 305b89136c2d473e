"""`make chaos`: inject every fault, print a table, and exit with status 1 if one left a trace."""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.builders.s3_server import S3Server
from tests.chaos import disks, prefect_runs
from tests.chaos.on_s3 import TrialsOnS3
from tests.chaos.trials import Trials


def main() -> int:
    """Run all trials. Takes about half an hour on two cores."""
    failed = 0
    with tempfile.TemporaryDirectory(prefix="dental-chaos-") as folder:
        home = Path(folder)
        trials = Trials(home)
        for name, faults in all_trials(trials, home):
            failed += not passed(name, faults)
    return 1 if failed else 0


def all_trials(trials: Trials, home: Path) -> Iterator[tuple[str, Iterator[str]]]:
    """Names of the trials and their faults, the fast ones first."""
    yield "locks, live and stale", trials.live_and_stale_locks()
    yield f"kill -9 at each of {trials.moments} moments", trials.killed_at_every_moment()
    yield "kill -9 repeatedly in one store", trials.killed_repeatedly(50)
    yield "kill -9 at random, with worker processes", trials.killed_at_random(20)
    yield "I/O errors and a full disk", trials.failing_disk(step=5)
    if disks.can_mount():
        yield "small disks that fill up", disks.full_disks(trials, range(16, 176, 16))
        yield "a read-only disk", disks.read_only_disk(trials)
    else:
        print("skipped: small and read-only disks, which only root on Linux can mount")
    yield "two runs of one batch", trials.two_runs_of_one_batch(10)
    yield "two batches at once", trials.two_batches_at_once(10)
    with S3Server() as server:
        on_s3 = TrialsOnS3(home, server)
        yield "kill -9 at every third write to S3", on_s3.killed_at_every_write(step=3)
        yield "two runs of one batch on S3", on_s3.two_runs_of_one_batch(5)
    (home / "prefect").mkdir()
    yield "kill -9 of the flow under Prefect", prefect_runs.killed_flows(home / "prefect", 5)


def passed(name: str, faults: Iterator[str]) -> bool:
    """Run one trial and print a line; whether nothing was lost."""
    started, count = time.monotonic(), 0
    try:
        for _ in faults:
            count += 1
    except AssertionError as error:
        print(f"  FAILED {name} after {count} faults: {error}", flush=True)
        return False
    seconds = time.monotonic() - started
    print(f"  {name:<44}{count:>5} faults, nothing lost  {seconds:>6.0f} s", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
