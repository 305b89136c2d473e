"""Inject a fault at any moment at which a process changes the disk.

A moment is just before or just after a file is created, synced, renamed, linked or removed, or a
folder is created. Between two moments nothing on the disk changes except the content of files that
are not yet in the store, so faults at every moment cover every state that a kill can leave.
"""

import os
import signal
import threading
from collections.abc import Callable

OPERATIONS = ("open", "fsync", "replace", "link", "unlink", "mkdir")


class Moments:
    """Counts the moments of this process and its threads, and calls `fault` at number `at`.

    Meant for a forked child: the patched functions are never restored.
    """

    def __init__(self, at: int | None = None, fault: Callable[[str], None] | None = None):
        self.count, self._at, self._fault = 0, at, fault
        self._lock = threading.Lock()  # a run embeds in a thread of its own
        for name in OPERATIONS:
            setattr(os, name, self._watched(name, getattr(os, name)))

    def _watched(self, name: str, real: Callable) -> Callable:
        def operation(*given, **named):
            changes = name != "open" or (len(given) > 1 and given[1] & os.O_CREAT)
            if changes:
                self._pass(f"before {name}")
            result = real(*given, **named)
            if changes:
                self._pass(f"after {name}")
            return result

        return operation

    def _pass(self, moment: str) -> None:
        with self._lock:
            number, self.count = self.count, self.count + 1
        if number == self._at:
            self._fault(moment)


def kill(moment: str) -> None:
    """Kill this process by `kill -9`."""
    os.kill(os.getpid(), signal.SIGKILL)


def failing(code: int) -> Callable[[str], None]:
    """A fault that makes the operation fail with this errno, as on a bad or full disk."""

    def fail(moment: str) -> None:
        if moment.startswith("before") and not moment.endswith("unlink"):
            raise OSError(code, os.strerror(code))

    return fail
