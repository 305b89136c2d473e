"""Locks on S3: one object per lock, which its holder rewrites as a heartbeat.

Taking or releasing a lock replaces exactly the object that was read (If-Match) or creates a new one
(If-None-Match), so of two processes that try at once one succeeds. A holder without a heartbeat for
a minute counts as ended, and one of this machine at once when its process is gone. A holder that
was suspended for so long notices before it writes anything else.
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
ANSWER_SECONDS = 10.0  # per request; a later answer is not used
STALE_SECONDS = 60.0  # by the clock of S3
SURE_SECONDS = 45.0  # by our clocks: after this age another process may take the lock soon
LOOK_SECONDS = 0.2

_held: set["S3Lock"] = set()  # by this process
_released: dict[tuple[str, str], str] = {}  # ETags of locks as this process released them


class S3Lock:
    """One lock of one store. Its object names the holder and differs in every write."""

    def __init__(self, store: str, objects: Prefix, name: str):
        self._store, self._objects, self._name = store, objects, name
        self._us = secrets.token_hex(8)
        self._etag: str | None = None  # of the last read or write
        self._tried = self._lost = False

    @contextlib.contextmanager
    def acquire(self, timeout: float) -> Iterator[None]:
        """Hold the lock; filelock's Timeout when it stays taken for `timeout` seconds."""
        began = time.monotonic()
        while not (self._take_without_reading() or self._take()):
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
            with contextlib.suppress(WriteConflict, OSError):  # otherwise it expires
                self._write(held=False)
                _released[self._store, self._name] = self._etag

    def is_held(self) -> bool:
        """Whether any process holds it now."""
        if any(lease._name == self._name and lease.is_valid for lease in _held_of(self._store)):
            return True  # this process does
        state, facts = self._read()
        return _is_alive(state, facts)

    @property
    def is_valid(self) -> bool:
        """Whether no other process can hold it yet, by our clocks."""
        return not self._lost and self._written.seconds_ago < SURE_SECONDS

    def _take_without_reading(self) -> bool:
        """Take a lock that is new or unchanged since our release: one request instead of two."""
        if self._tried:
            return False
        self._tried = True
        self._etag = _released.pop((self._store, self._name), None)
        return self._write_as_holder()

    def _take(self) -> bool:
        state, facts = self._read()
        if _is_alive(state, facts):
            return False
        self._etag = facts.etag if facts else None
        return self._write_as_holder()

    def _write_as_holder(self) -> bool:
        """Write the lock as held; False when another process was faster.

        The conflicting object may be our own write whose answer was lost; then it is replaced.
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
        """Replace the object last read or written, or create it. Raises WriteConflict."""
        begun = ServerTime.now()
        # Equal bytes have equal ETags, so two heartbeats could not be distinguished.
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
                if not self._write_as_holder():
                    self._lost = True
                    return
            except OSError:
                continue  # S3 may answer at the next heartbeat


@dataclass(frozen=True)
class ServerTime:
    """A moment by two clocks: one stops while the machine sleeps, the other can be adjusted."""

    monotonic: float
    wall: float

    @classmethod
    def now(cls) -> "ServerTime":
        return cls(time.monotonic(), time.time())

    @property
    def seconds_ago(self) -> float:
        return max(time.monotonic() - self.monotonic, time.time() - self.wall)


def require_held(store: str) -> None:
    """Raise StoreError when this process has lost a lock of the store and may not write to it."""
    if not all(lease.is_valid for lease in _held_of(store)):
        raise StoreError(
            f"This process was suspended, or cut off from {store}, for so long that another may "
            "work there now, so it writes nothing more. Run the same command again."
        )


def _held_of(store: str) -> list["S3Lock"]:
    return [lease for lease in list(_held) if lease._store == store]


def _is_alive(state: dict, facts: Facts | None) -> bool:
    if facts is None or not state.get("held") or facts.age > STALE_SECONDS:
        return False
    return not ProcessId.parse(str(state.get("writer"))).has_ended
