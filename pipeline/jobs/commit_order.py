"""The commit order of parts that are received in parallel: as if one came after the other.

Of two equal scans the one in the earlier part is accepted and the other is the duplicate, so a part
waits for the earlier parts that may hold one of its scans. An earlier part that no process works
on, because its process was killed, is received by the waiting process itself: otherwise all workers
might wait for a part that none of them is free to receive. Parts that failed are not waited for.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from pipeline.stages.receive import Commits
from pipeline.store.locks import FOLDER, acquire_lock, commit_lock, is_locked
from pipeline.store.run_store import RunStore
from pipeline.store.store import Store
from pipeline.store.tables import SCANS

LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class CommitOrder:
    """The order in which the parts of a run's batch are committed."""

    store: RunStore
    rivals: Callable[[int], Iterable[int]]  # of a part: earlier ones that may hold its scans
    receive: Callable[[int, Commits], object]

    def take(self, number: int) -> None:
        """Receive one part in its turn, in one process only; raises what `receive` raises."""
        with acquire_lock(self.store, self._key(number), timeout=-1):
            try:
                self.receive(number, lambda: self._commits(number))
            except Exception:
                self.store.write_bytes(self._failed(number), b"")
                raise

    @contextmanager
    def _commits(self, number: int) -> Iterator[None]:
        for earlier in self.rivals(number):
            while not self._settled(earlier):
                if is_locked(self.store, self._key(earlier)):
                    time.sleep(LOOK_SECONDS)
                    continue
                # An error is reported where the part is processed in its own turn.
                with suppress(Exception):
                    self.take(earlier)
        with commit_lock(self.store):
            yield

    def _settled(self, number: int) -> bool:
        received = SCANS.has(self.store, self.store.batch, number)
        return received or self.store.has(self._failed(number))

    def _key(self, number: int) -> str:
        return f"parts-{self.store.batch}/{number:05d}"

    def _failed(self, number: int) -> str:
        return f"{FOLDER}/{self._key(number)}.failed"


def clear_commit_order(store: Store, batch: str) -> None:
    """Remove the locks of parts and the marks of failed ones; for the holder of the batch lock."""
    store.remove_all(f"{FOLDER}/parts-{batch}")
