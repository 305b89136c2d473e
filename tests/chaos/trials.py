"""Trials: inject faults into runs and check the store afterwards.

A trial yields the name of every fault that it injected, and raises AssertionError if something was
lost, doubled or changed.
"""

import errno
import itertools
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from pipeline.store import catalog
from pipeline.store.store import Store
from tests.builders.stores import unfinished_files
from tests.chaos import forked_runs
from tests.chaos.forked_runs import DONE, FAILED, REFUSED
from tests.chaos.moments import failing, kill


class Trials:
    """Trials with one batch, in `home`, all compared with one undisturbed run."""

    def __init__(self, home: Path):
        self.home = home
        self.folder = forked_runs.write_batch(home / "in")
        self._numbers = itertools.count()
        undisturbed = self._root()
        self.moments = self._run(undisturbed).moments
        self.expected = forked_runs.contents(undisturbed)
        assert len(self.expected) >= 10, "the undisturbed run made no parts"

    def _root(self) -> Path:
        """A new folder for a store."""
        root = self.home / f"trial-{next(self._numbers):04d}"
        root.mkdir()
        return root

    def _work(self, root: Path, **more):
        return lambda: forked_runs.process_batch(root, self.folder, "b", **more)

    def _run(self, root: Path, at: int | None = None, fault=None, **more) -> forked_runs.Outcome:
        return forked_runs.run(self._work(root, **more), at, fault)

    def check_recovery(self, root: Path, what: str, keep: bool = False) -> None:
        """Run once more, and check that everything is as after an undisturbed run."""
        final = self._run(root)
        assert final.status == DONE, f"{what}: the final run ended with {final.status}"
        found = forked_runs.contents(root)
        wrong = sorted(
            name
            for name in found.keys() | self.expected
            if found.get(name) != self.expected.get(name)
        )
        assert not wrong, f"{what}: other bytes in {wrong}"
        assert not (left := unfinished_files(root)), f"{what}: unfinished files {left}"
        if not keep:
            shutil.rmtree(root)

    def killed_at_every_moment(self, step: int = 1) -> Iterator[str]:
        """Kill at every `step`-th moment at which the run changes the disk."""
        for at in range(0, self.moments, step):
            root, what = self._root(), f"killed at moment {at} of {self.moments}"
            # Waiting for a lock of the other stage makes moments, so a run may have fewer.
            assert self._run(root, at, kill).status in (-signal.SIGKILL, DONE), what
            self.check_recovery(root, what)
            yield what

    def killed_repeatedly(self, times: int, seed: int = 0) -> Iterator[str]:
        """Kill every run in one store at a random moment, then run to the end."""
        moments, root = random.Random(seed), self._root()
        for number in range(times):
            self._run(root, moments.randrange(self.moments), kill)
            yield f"killed for the {number + 1}. time"
        self.check_recovery(root, f"killed {times} times in a row")

    def killed_at_random(self, times: int, seed: int = 0) -> Iterator[str]:
        """Kill the run and its worker processes together, at random times during decoding."""
        moments = random.Random(seed)
        for number in range(times):
            root, what = self._root(), f"random kill {number}"
            pid, reader = forked_runs.start(self._work(root, real_workers=True))
            time.sleep(moments.uniform(0.5, 4.0))
            forked_runs.kill_tree(pid)
            forked_runs.wait(pid, reader)
            self.check_recovery(root, what)
            yield what

    def failing_disk(self, step: int = 1) -> Iterator[str]:
        """An I/O error and a full disk at every `step`-th moment: reported, and recovered from."""
        for code in (errno.EIO, errno.ENOSPC):
            for at in range(0, self.moments, step):
                root, what = self._root(), f"{errno.errorcode[code]} at moment {at}"
                status = self._run(root, at, failing(code)).status
                assert status in (DONE, REFUSED, FAILED), f"{what}: status {status}"
                self.check_recovery(root, what)
                yield what

    def two_runs_of_one_batch(self, times: int) -> Iterator[str]:
        """One run does the work; the other is refused or runs after it."""
        for number in range(times):
            root, what = self._root(), f"two runs of one batch, {number}"
            pairs = [forked_runs.start(self._work(root)) for _ in range(2)]
            statuses = sorted(forked_runs.wait(*pair).status for pair in pairs)
            assert statuses in ([DONE, DONE], [DONE, REFUSED]), f"{what}: {statuses}"
            self.check_recovery(root, what)
            yield what

    def two_batches_at_once(self, times: int) -> Iterator[str]:
        """Two batches with the same scans: every scan is accepted once, in either order."""
        for number in range(times):
            root, what = self._root(), f"two batches at once, {number}"
            pairs = [
                forked_runs.start(
                    lambda root=root, name=name: forked_runs.process_batch(root, self.folder, name)
                )
                for name in ("b", "c")
            ]
            statuses = [forked_runs.wait(*pair).status for pair in pairs]
            assert statuses == [DONE, DONE], f"{what}: {statuses}"
            assert forked_runs.run(lambda root=root: check_store(root)).status == DONE, what
            shutil.rmtree(root)
            yield what

    def live_and_stale_locks(self) -> Iterator[str]:
        """A stopped run keeps the lock of its batch; that of a killed run is free at once."""
        root, what = self._root(), "a live lock"
        pid, reader = forked_runs.start(self._work(root), self.moments // 2, _stop)
        os.waitpid(pid, os.WUNTRACED)
        assert self._run(root).status == REFUSED, what
        yield what
        os.kill(pid, signal.SIGKILL)
        forked_runs.wait(pid, reader)
        self.check_recovery(root, "a stale lock")
        yield "a stale lock"


def check_store(root: Path) -> None:
    """Check the store: its own checks, and every good scan accepted once in both batches."""
    with catalog.open_store(Store(str(root / "store"))) as con:
        broken = catalog.check(con)
        counts = catalog.query(con, "batches")
    if broken or counts["accepted"].sum() != 10 or counts["duplicate"].sum() != 12:
        raise forked_runs.StageFailure(f"{broken} {counts.to_dict()}")


def _stop(moment: str) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)
