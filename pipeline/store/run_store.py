"""The store as one run writes it: nothing appears in it once the run has ended.

Processes on other machines may work on parts of a run that was killed. Whoever takes the batch
next, another run or `forget`, must not find rows that were decided before.
"""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from pipeline.errors import StoreError
from pipeline.store.locks import COMMIT_LOCK, commit_lock, is_running
from pipeline.store.store import Store
from pipeline.store.tables import parse


@dataclass(frozen=True)
class RunStore(Store):
    """A store whose files appear under the commit lock, while `run` holds its batch.

    A thread that holds the commit lock through this handle writes without taking it again.
    """

    batch: str
    run: str

    @cached_property
    def _thread(self) -> threading.local:
        return threading.local()

    @property
    def _commits(self) -> bool:
        return getattr(self._thread, "commits", False)

    def replaces(self, name: str) -> bool:
        # A part that exists is the same, or was written after this run, unless the run decides
        # right now what is in it: a killed attempt may have left it without its ledger.
        return self._commits or parse(name) is None

    def publishing(self) -> contextlib.AbstractContextManager[None]:
        return commit_lock(self)

    @contextlib.contextmanager
    def lock(self, name: str, timeout: float) -> Iterator[None]:
        """Hold a lock; the commit lock only while the run holds its batch.

        Raises StoreError when it does not.
        """
        if name != COMMIT_LOCK:
            with super().lock(name, timeout):
                yield
        elif self._commits:
            yield
        else:
            with super().lock(name, timeout):
                self.require()
                self._thread.commits = True
                try:
                    yield
                finally:
                    self._thread.commits = False

    def require(self) -> None:
        """Raise StoreError unless the run holds its batch, seen from this process."""
        if not is_running(self, self.batch, self.run):
            raise StoreError(
                f"The run does not hold its batch {self.batch}, as far as this process sees, so "
                "nothing was written. Either it has ended; or the store is another folder on this "
                "machine; or its file system does not pass locks on to other machines: mount NFS "
                "as version 4, without local_lock or nolock."
            )
