"""Parts that are received side by side, committed as if one had been received after the other.

Of two equal scans the one in the earlier part is accepted and the other is the duplicate, so a
part waits for the earlier parts that may hold a scan of its own. One of these that nobody works on,
since its process was killed, is received by the process that waits: the place it would be given may
be the very one that waits for it. A part that failed is waited for no longer.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from pipeline.stages.receive import Commits
from pipeline.store.base import Store
from pipeline.store.locks import FOLDER, acquire_lock, commit_lock, is_locked
from pipeline.store.run_store import RunStore
from pipeline.store.tables import SCANS

LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class CommitOrder:
    """The order in which the parts of a run's batch are committed."""

    store: RunStore
    rivals: Callable[[int], Iterable[int]]  # of a part: earlier ones that it may have to wait for
    receive: Callable[[int, Commits], object]

    def take(self, number: int) -> None:
        """Receive one part in its turn, alone among all processes; raises what `receive` raises."""
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
                # Whatever goes wrong is told where that part is worked on in its own right.
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
    """Forget which parts failed, and remove their locks; for the holder of the batch's lock."""
    store.remove_all(f"{FOLDER}/parts-{batch}")
