"""`kill -9` of runs whose store lies on S3: around and amid every request that changes it.

The server is a process of its own, which kills whoever sends the request it was told: before that
is done, in the middle of its body, or after it was done and before the answer is read.
"""

import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from pipeline import s3  # noqa: F401  (imported once, here, for all victims)
from tests.builders.s3_server import BUCKET, PHASES, KillAt, S3Server
from tests.chaos import victims
from tests.chaos.victims import DONE, REFUSED, TABLES


class TrialsOnS3:
    """Trials over one batch, each below a prefix of its own, against one undisturbed run."""

    def __init__(self, home: Path, server: S3Server):
        self.home = home
        self.folder = victims.batch(home / "in-s3")
        self._numbers = itertools.count()
        self._server = server
        calm = self._place()
        assert self._run(calm) == DONE, "the undisturbed run failed"
        self.writes = server.writes
        self.expected = self._contents(calm)
        assert len(self.expected) >= 10, "the undisturbed run made no parts"

    def killed_around_every_write(self, step: int = 1) -> Iterator[str]:
        """At every `step`-th request that writes, in all three phases."""
        for at, phase in itertools.product(range(0, self.writes, step), PHASES):
            place, what = self._place(), f"killed {phase} write {at} of {self.writes}"
            assert self._run(place, at, phase) == -signal.SIGKILL, what
            self._no_half_object(place, what)
            self._make_good(place, what)
            yield what

    def two_runs_of_one_batch(self, times: int) -> Iterator[str]:
        """One does the work, the other is refused in words or comes after it."""
        for number in range(times):
            place, what = self._place(), f"two runs of one batch on S3, {number}"
            pairs = [victims.start(self._work(place)) for _ in range(2)]
            statuses = sorted(victims.ended(*pair).status for pair in pairs)
            assert statuses in ([DONE, DONE], [DONE, REFUSED]), f"{what}: {statuses}"
            self._make_good(place, what)
            yield what

    def _place(self) -> str:
        return f"trial-{next(self._numbers):04d}"

    def _work(self, place: str, at: int | None = None, phase: str = ""):
        def work() -> None:
            os.environ.update(self._server.environment)
            self._server.reset(None if at is None else KillAt(os.getpid(), at, phase))
            root = self.home / place
            store = {"store": f"s3://{BUCKET}/{place}", "private": root / "store.private"}
            victims.process_batch(root, self.folder, "b", **store)

        return work

    def _run(self, place: str, at: int | None = None, phase: str = "") -> int:
        return victims.run(self._work(place, at, phase)).status

    def _make_good(self, place: str, what: str) -> None:
        status = self._run(place)
        assert status == DONE, f"{what}: the final run ended with {status}"
        found = self._contents(place)
        names = found.keys() | self.expected
        wrong = sorted(name for name in names if found.get(name) != self.expected.get(name))
        assert not wrong, f"{what}: other bytes in {wrong}"
        assert not self._server.control("uploads"), f"{what}: an upload was left unfinished"

    def _no_half_object(self, place: str, what: str) -> None:
        for name, digest in self._contents(place).items():
            assert digest == self.expected.get(name), f"{what}: {name} is not whole"

    def _contents(self, place: str) -> dict[str, str]:
        """SHA-256 of every part of every table."""
        found = self._server.control("contents").items()
        mine = {k.removeprefix(f"{place}/"): v for k, v in found if k.startswith(f"{place}/")}
        return {name: digest for name, digest in mine.items() if name.split("/")[0] in TABLES}
