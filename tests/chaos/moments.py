"""Every moment at which a process changes the disk, and striking at one of them.

A moment is just before or just after a file is made, synced, renamed, linked or removed, or a
folder is made. Between two moments nothing on the disk changes but the content of files that have
no name in the store yet, so striking at every moment tries every state that a kill can leave.
"""

import os
import signal
from collections.abc import Callable

OPERATIONS = ("open", "fsync", "replace", "link", "unlink", "mkdir")


class Moments:
    """Counts the moments of this process from now on and calls `strike` at the one numbered `at`.

    Counted are the process and what it does in threads; it is meant for a forked child, which
    never takes it back.
    """

    def __init__(self, at: int | None = None, strike: Callable[[str], None] | None = None):
        self.count, self._at, self._strike = 0, at, strike
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
        number, self.count = self.count, self.count + 1
        if number == self._at:
            self._strike(moment)


def kill(moment: str) -> None:
    """`kill -9` of the process itself."""
    os.kill(os.getpid(), signal.SIGKILL)


def failing(code: int) -> Callable[[str], None]:
    """A strike after which the operation fails with this errno, as a bad or full disk makes it."""

    def strike(moment: str) -> None:
        if moment.startswith("before") and not moment.endswith("unlink"):
            raise OSError(code, os.strerror(code))

    return strike
