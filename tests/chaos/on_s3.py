"""Kill runs whose store is on S3, before, during and after every request that writes.

The server, a process of its own, kills the client: before it handles the request, in the middle of
its body, or after it handled it and before the client reads the response.
"""

import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from pipeline import s3  # noqa: F401  (imported here once, for all forked runs)
from tests.builders.s3_server import BUCKET, PHASES, KillAt, S3Server
from tests.chaos import forked_runs
from tests.chaos.forked_runs import DONE, REFUSED, TABLES


class TrialsOnS3:
    """Trials with one batch, each under its own prefix, compared with one undisturbed run."""

    def __init__(self, home: Path, server: S3Server):
        self.home = home
        self.folder = forked_runs.write_batch(home / "in-s3")
        self._numbers = itertools.count()
        self._server = server
        undisturbed = self._place()
        assert self._run(undisturbed) == DONE, "the undisturbed run failed"
        self.writes = server.writes
        self.expected = self._contents(undisturbed)
        assert len(self.expected) >= 10, "the undisturbed run made no parts"

    def killed_at_every_write(self, step: int = 1) -> Iterator[str]:
        """Kill at every `step`-th request that writes, in all three phases."""
        for at, phase in itertools.product(range(0, self.writes, step), PHASES):
            place, what = self._place(), f"killed {phase} write {at} of {self.writes}"
            assert self._run(place, at, phase) == -signal.SIGKILL, what
            self._check_objects(place, what)
            self._check_recovery(place, what)
            yield what

    def two_runs_of_one_batch(self, times: int) -> Iterator[str]:
        """One run does the work; the other is refused or runs after it."""
        for number in range(times):
            place, what = self._place(), f"two runs of one batch on S3, {number}"
            pairs = [forked_runs.start(self._work(place)) for _ in range(2)]
            statuses = sorted(forked_runs.wait(*pair).status for pair in pairs)
            assert statuses in ([DONE, DONE], [DONE, REFUSED]), f"{what}: {statuses}"
            self._check_recovery(place, what)
            yield what

    def _place(self) -> str:
        return f"trial-{next(self._numbers):04d}"

    def _work(self, place: str, at: int | None = None, phase: str = ""):
        def work() -> None:
            os.environ.update(self._server.environment)
            self._server.reset(None if at is None else KillAt(os.getpid(), at, phase))
            root = self.home / place
            store = {"store": f"s3://{BUCKET}/{place}", "private": root / "store.private"}
            forked_runs.process_batch(root, self.folder, "b", **store)

        return work

    def _run(self, place: str, at: int | None = None, phase: str = "") -> int:
        return forked_runs.run(self._work(place, at, phase)).status

    def _check_recovery(self, place: str, what: str) -> None:
        status = self._run(place)
        assert status == DONE, f"{what}: the final run ended with {status}"
        found = self._contents(place)
        names = found.keys() | self.expected
        wrong = sorted(name for name in names if found.get(name) != self.expected.get(name))
        assert not wrong, f"{what}: other bytes in {wrong}"
        assert not self._server.control("uploads"), f"{what}: an upload was left unfinished"

    def _check_objects(self, place: str, what: str) -> None:
        for name, digest in self._contents(place).items():
            assert digest == self.expected.get(name), f"{what}: {name} is not whole"

    def _contents(self, place: str) -> dict[str, str]:
        """SHA-256 of every part of every table."""
        found = self._server.control("contents").items()
        mine = {k.removeprefix(f"{place}/"): v for k, v in found if k.startswith(f"{place}/")}
        return {name: digest for name, digest in mine.items() if name.split("/")[0] in TABLES}
