"""What is done to runs, and what must hold afterwards. Each trial returns how many faults it tried.

A trial raises AssertionError with the fault's name when something was lost, doubled or changed.
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
from pipeline.store.base import Store
from tests.chaos import victims
from tests.chaos.moments import failing, kill
from tests.chaos.victims import DONE, FAILED, REFUSED


class Trials:
    """Trials over one batch in `home`, all held against one undisturbed run."""

    def __init__(self, home: Path):
        self.home = home
        self.folder = victims.batch(home / "in")
        self._numbers = itertools.count()
        self.calm = self._root()
        self.moments = self._run(self.calm).moments
        self.expected = victims.contents(self.calm)
        assert len(self.expected) >= 10, "the undisturbed run made no parts"

    def _root(self) -> Path:
        """A new place for a store."""
        root = self.home / f"trial-{next(self._numbers):04d}"
        root.mkdir()
        return root

    def _work(self, root: Path, **more):
        return lambda: victims.process_batch(root, self.folder, "b", **more)

    def _run(self, root: Path, at: int | None = None, strike=None, **more) -> victims.Ended:
        return victims.run(self._work(root, **more), at, strike)

    def make_good(self, root: Path, what: str, keep: bool = False) -> None:
        """A final run, after which everything is as if nothing had happened."""
        final = self._run(root)
        assert final.status == DONE, f"{what}: the final run ended with {final.status}"
        found = victims.contents(root)
        wrong = sorted(
            name
            for name in found.keys() | self.expected
            if found.get(name) != self.expected.get(name)
        )
        assert not wrong, f"{what}: other bytes in {wrong}"
        assert not (left := victims.left_over(root)), f"{what}: left over {left}"
        if not keep:
            shutil.rmtree(root)

    def killed_at_every_moment(self, step: int = 1) -> Iterator[str]:
        """`kill -9` at every `step`-th moment at which the run changes the disk."""
        for at in range(0, self.moments, step):
            root, what = self._root(), f"killed at moment {at} of {self.moments}"
            assert self._run(root, at, kill).status == -signal.SIGKILL, what
            self.make_good(root, what)
            yield what

    def killed_again_and_again(self, times: int, seed: int = 0) -> Iterator[str]:
        """One store whose every run is killed at a random moment, until one gets through."""
        moments, root = random.Random(seed), self._root()
        for number in range(times):
            self._run(root, moments.randrange(self.moments), kill)
            yield f"killed for the {number + 1}. time"
        self.make_good(root, f"killed {times} times in a row")

    def killed_at_random(self, times: int, seed: int = 0) -> Iterator[str]:
        """`kill -9` of run and worker processes together, at random times, scans being decoded."""
        moments = random.Random(seed)
        for number in range(times):
            root, what = self._root(), f"random kill {number}"
            pid, reader = victims.start(self._work(root, real_workers=True))
            time.sleep(moments.uniform(0.5, 4.0))
            victims.slay(pid)
            victims.ended(pid, reader)
            self.make_good(root, what)
            yield what

    def failing_disk(self, step: int = 1) -> Iterator[str]:
        """An I/O error and a full disk at every `step`-th moment: told, and made good later."""
        for code in (errno.EIO, errno.ENOSPC):
            for at in range(0, self.moments, step):
                root, what = self._root(), f"{errno.errorcode[code]} at moment {at}"
                status = self._run(root, at, failing(code)).status
                assert status in (DONE, REFUSED, FAILED), f"{what}: status {status}"
                self.make_good(root, what)
                yield what

    def two_runs_of_one_batch(self, times: int) -> Iterator[str]:
        """One does the work, the other is refused in words or comes after it."""
        for number in range(times):
            root, what = self._root(), f"two runs of one batch, {number}"
            pairs = [victims.start(self._work(root)) for _ in range(2)]
            statuses = sorted(victims.ended(*pair).status for pair in pairs)
            assert statuses in ([DONE, DONE], [DONE, REFUSED]), f"{what}: {statuses}"
            self.make_good(root, what)
            yield what

    def two_batches_at_once(self, times: int) -> Iterator[str]:
        """Two batches with the same scans: every scan is accepted once, whichever came first."""
        for number in range(times):
            root, what = self._root(), f"two batches at once, {number}"
            pairs = [
                victims.start(
                    lambda root=root, name=name: victims.process_batch(root, self.folder, name)
                )
                for name in ("b", "c")
            ]
            statuses = [victims.ended(*pair).status for pair in pairs]
            assert statuses == [DONE, DONE], f"{what}: {statuses}"
            assert victims.run(lambda root=root: sound(root)).status == DONE, what
            shutil.rmtree(root)
            yield what

    def live_and_stale_locks(self) -> Iterator[str]:
        """A stopped run keeps its batch, which is told; a killed one gives it free at once."""
        root, what = self._root(), "a live lock"
        pid, reader = victims.start(self._work(root), self.moments // 2, _stop)
        os.waitpid(pid, os.WUNTRACED)
        assert self._run(root).status == REFUSED, what
        yield what
        os.kill(pid, signal.SIGKILL)
        victims.ended(pid, reader)
        self.make_good(root, "a stale lock")
        yield "a stale lock"


def sound(root: Path) -> None:
    """Checks of the store, and every good scan accepted exactly once in all batches."""
    with catalog.open_store(Store(str(root / "store"))) as con:
        broken = catalog.check(con)
        counts = catalog.query(con, "batches")
    if broken or counts["accepted"].sum() != 10 or counts["duplicate"].sum() != 12:
        raise victims.StageFailure(f"{broken} {counts.to_dict()}")


def _stop(moment: str) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)
