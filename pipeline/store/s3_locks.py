"""Locks on S3: one object each, which its holder writes again and again while it lives.

Whoever takes or leaves a lock replaces exactly the object it has read (If-Match) or makes a new one
(If-None-Match), so of two that try at once one succeeds. A holder that has not written for a minute
has ended; one of this machine whose process is gone has ended already. A holder that was stopped
for so long finds that out before it writes anything else.
"""

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from filelock import Timeout

from pipeline.errors import StoreError
from pipeline.process_id import ProcessId
from pipeline.s3 import Facts, Prefix, WriteConflict

BEAT_SECONDS = 10.0
ANSWER_SECONDS = 10.0  # for a request; a later answer is as good as none
STALE_SECONDS = 60.0  # by the clock of S3
SURE_SECONDS = 45.0  # by ours: after a beat so long ago another may be about to take the lock
LOOK_SECONDS = 0.2

_held: set["S3Lock"] = set()  # by this process
_left: dict[tuple[str, str], str] = {}  # ETags of locks as this process has left them


class S3Lock:
    """One lock of one store. Its object says who holds it, and is never the same twice."""

    def __init__(self, store: str, objects: Prefix, name: str):
        self._store, self._objects, self._name = store, objects, name
        self._us = secrets.token_hex(8)
        self._etag: str | None = None  # of what we have read or written last
        self._tried = self._lost = False

    @contextlib.contextmanager
    def held(self, timeout: float) -> Iterator[None]:
        """Hold the lock; filelock's Timeout when another does for `timeout` seconds."""
        began = time.monotonic()
        while not (self._taken_blindly() or self._taken()):
            if 0 <= timeout <= time.monotonic() - began:
                raise Timeout(self._name)
            time.sleep(LOOK_SECONDS)
        _held.add(self)
        ending = threading.Event()
        beating = threading.Thread(target=self._beat, args=[ending], daemon=True)
        beating.start()
        try:
            yield
        finally:
            ending.set()
            beating.join()
            _held.discard(self)
            with contextlib.suppress(WriteConflict, OSError):  # else it ends by itself
                self._write(held=False)
                _left[self._store, self._name] = self._etag

    def is_held(self) -> bool:
        """Whether anybody holds it now."""
        if any(lease._name == self._name and lease.is_valid for lease in _held_of(self._store)):
            return True  # we do
        state, facts = self._read()
        return _is_alive(state, facts)

    @property
    def is_valid(self) -> bool:
        """Whether no other can hold it, as far as our clocks tell."""
        return not self._lost and self._written.seconds_ago < SURE_SECONDS

    def _taken_blindly(self) -> bool:
        """Take a lock that is new, or still as we have left it: one request instead of two."""
        if self._tried:
            return False
        self._tried = True
        self._etag = _left.pop((self._store, self._name), None)
        return self._written_or_ours()

    def _taken(self) -> bool:
        state, facts = self._read()
        if _is_alive(state, facts):
            return False
        self._etag = facts.etag if facts else None
        return self._written_or_ours()

    def _written_or_ours(self) -> bool:
        """Write the lock as held; False when another was faster.

        What is in our way may be our own writing, whose answer was lost: then it is replaced.
        """
        for _ in range(2):
            try:
                self._write(held=True)
                return True
            except WriteConflict:
                state, facts = self._read()
                if facts is None or not str(state.get("token")).startswith(self._us):
                    return False
                self._etag = facts.etag
        return False

    def _read(self) -> tuple[dict, Facts | None]:
        try:
            data, facts = self._objects.get(self._name, seconds=ANSWER_SECONDS)
        except FileNotFoundError:
            return {}, None
        try:
            return json.loads(data), facts
        except ValueError:
            return {}, facts

    def _write(self, held: bool) -> None:
        """Replace what was read or written last, or create it. Raises WriteConflict."""
        begun = ServerTime.now()
        # Equal bytes have equal ETags, by which one beat could not be told from the next.
        token = f"{self._us}.{secrets.token_hex(8)}"
        state = {"held": held, "token": token, "writer": str(ProcessId.this())}
        new = self._etag is None
        self._etag = self._objects.put(
            self._name, json.dumps(state).encode(), new, self._etag, ANSWER_SECONDS
        )
        self._written = begun

    def _beat(self, ending: threading.Event) -> None:
        while not ending.wait(BEAT_SECONDS):
            try:
                if not self._written_or_ours():
                    self._lost = True
                    return
            except OSError:
                continue  # S3 may answer at the next beat


@dataclass(frozen=True)
class ServerTime:
    """A moment by two clocks: one stands still while a machine sleeps, the other may be set."""

    monotonic: float
    wall: float

    @classmethod
    def now(cls) -> "ServerTime":
        return cls(time.monotonic(), time.time())

    @property
    def seconds_ago(self) -> float:
        return max(time.monotonic() - self.monotonic, time.time() - self.wall)


def require_held(store: str) -> None:
    """Raise StoreError when this process has lost a lock of the store, so may not write to it."""
    if not all(lease.is_valid for lease in _held_of(store)):
        raise StoreError(
            f"This process was held up, or cut off from {store}, for so long that another may work "
            "there now, so it writes nothing more. Run the same command again."
        )


def _held_of(store: str) -> list["S3Lock"]:
    return [lease for lease in list(_held) if lease._store == store]


def _is_alive(state: dict, facts: Facts | None) -> bool:
    if facts is None or not state.get("held") or facts.age > STALE_SECONDS:
        return False
    return not ProcessId.parse(str(state.get("writer"))).has_ended
