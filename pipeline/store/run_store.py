"""The store as one run may write it: nothing appears there once the run has ended.

Processes on other machines may work on parts of a run that was killed. Whoever takes the batch
then, another run or `forget`, must not find rows that were decided before.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from pipeline.errors import StoreError
from pipeline.store.base import Store
from pipeline.store.locks import commit_lock, is_running


@dataclass(frozen=True)
class RunStore(Store):
    """A store whose files appear under the commit lock, while `run` holds its batch."""

    replaces: ClassVar[bool] = False  # what stands is the same, or came after this run
    batch: str
    run: str

    @contextlib.contextmanager
    def publishing(self) -> Iterator[None]:
        with self.commits():
            yield

    @contextlib.contextmanager
    def commits(self) -> Iterator[None]:
        """Be the one who commits to the store, for the run. Hold it shortly."""
        with commit_lock(self):
            self.require()
            yield

    def require(self) -> None:
        """Raise StoreError unless the run works on its batch, seen from this process."""
        if not is_running(self, self.batch, self.run):
            raise StoreError(
                f"The run does not hold its batch {self.batch}, as far as this process sees, so "
                "nothing was written. Either it has ended; or the store is another folder on this "
                "machine; or its file system does not pass locks on to other machines: mount NFS "
                "as version 4, without local_lock or nolock."
            )
