"""Locks: one run per batch, one nightly run, and one commit at a time in the whole store.

Locks are files under STORE/.locks. A lock is released when its process ends, however it ends: in a
folder at once, on S3 when its heartbeat has been missing for a minute. The JSON file of the owner
(pid, started) is used only for messages.
"""

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime

from filelock import Timeout

from pipeline.errors import BatchBusy, NightBusy, PipelineError, StoreError
from pipeline.store.store import Store

FOLDER = ".locks"
COMMIT = "commit"
COMMIT_LOCK = f"{FOLDER}/{COMMIT}.lock"
SERVER = "server"  # held while a Prefect server runs for the store


@contextlib.contextmanager
def batch_lock(store: Store, batch: str) -> Iterator[None]:
    """Keep other runs off `batch`; raises BatchBusy at once when a run holds it already."""
    busy = (
        f"Batch {batch} is being worked on by {{}}, and only one run at a time may do that. Wait "
        "until it ends, then run again."
    )
    with _owned(store, f"batch-{batch}", BatchBusy, busy):
        store.remove(_run_name(batch))  # whoever held the batch before has ended
        yield


def night_lock(store: Store) -> contextlib.AbstractContextManager[None]:
    """Keep other nightly runs off the store; raises NightBusy at once when one is active."""
    busy = (
        "A nightly run is going on already, by {}; it does this one's work, so nothing was to do."
    )
    return _owned(store, "nightly", NightBusy, busy)


@contextlib.contextmanager
def _owned(store: Store, key: str, error: type[PipelineError], busy: str) -> Iterator[None]:
    """Hold the lock `key` as its named owner; raises `error` at once when another holds it."""
    owner = f"{FOLDER}/{key}.json"
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(acquire_lock(store, key, timeout=0))
        except Timeout:
            raise error(busy.format(describe_owner(store, owner))) from None
        started = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
        store.write_bytes(owner, json.dumps({"pid": os.getpid(), "started": started}).encode())
        stack.callback(store.remove, owner)
        yield


def begin_run(store: Store, batch: str) -> str:
    """Name the run that holds the lock of `batch`; the next process to take the lock ends it."""
    run = secrets.token_hex(8)
    store.write_bytes(_run_name(batch), run.encode())
    return run


def is_running(store: Store, batch: str, run: str) -> bool:
    """Whether `run` holds the lock of `batch`, as seen from any process on any machine."""
    if not is_locked(store, f"batch-{batch}"):
        return False
    try:
        return store.read_bytes(_run_name(batch)) == run.encode()
    except FileNotFoundError:
        return False


def _run_name(batch: str) -> str:
    return f"{FOLDER}/run-{batch}"


@contextlib.contextmanager
def commit_lock(store: Store) -> Iterator[None]:
    """Hold the store-wide commit lock, waiting for it as long as needed. Keep it short."""
    with acquire_lock(store, COMMIT, timeout=-1):
        yield


@contextlib.contextmanager
def acquire_lock(store: Store, key: str, timeout: float) -> Iterator[None]:
    """Hold the lock `key`; Timeout when it stays taken, StoreError when none can be made."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(store.lock(_lock_name(key), timeout))
        except Timeout:
            raise
        except (OSError, NotImplementedError) as error:
            raise StoreError(
                f"The store {store.root} cannot be locked ({error}); expected a folder or bucket "
                "that this user may write. Correct its permissions, or set `store` to another one."
            ) from None
        yield


def is_locked(store: Store, key: str) -> bool:
    """Whether any process holds the lock `key` now."""
    return store.is_locked(_lock_name(key))


def _lock_name(key: str) -> str:
    return f"{FOLDER}/{key}.lock"


def describe_owner(store: Store, owner: str) -> str:
    """The owner of a lock as text, as far as it is known."""
    try:
        found = json.loads(store.read_bytes(owner))
        return f"process {found['pid']} since {found['started']}"
    except (OSError, ValueError, KeyError):  # the lock was taken or released just now
        return "another process"
