import threading
from contextlib import nullcontext

import pytest

from pipeline.errors import StoreError
from pipeline.store import tables
from pipeline.store.locks import batch_lock, begin_run, commit_lock
from pipeline.store.run_store import RunStore

PART = tables.SCANS.part("b", 0)


@pytest.fixture(params=["store", "s3_store"])
def run(request):
    """A store as a run writes it that holds batch b."""
    store = request.getfixturevalue(request.param)
    with batch_lock(store, "b"):
        yield RunStore(store.root, "b", begin_run(store, "b"))


def test_nothing_appears_once_the_run_has_ended_or_another_has_begun(store):
    with batch_lock(store, "b"):
        run = RunStore(store.root, "b", begin_run(store, "b"))
        run.write_bytes("models/one", b"")
    for hold in (nullcontext, lambda: batch_lock(store, "b")):
        with hold(), pytest.raises(StoreError, match="does not hold its batch b"):
            run.write_bytes("models/two", b"")
    assert store.names("models") == ["models/one"]


def test_a_file_of_a_run_waits_for_another_commit(run):
    with commit_lock(run):
        writing = threading.Thread(target=run.write_bytes, args=("models/one", b""))
        writing.start()
        writing.join(0.3)
        assert not run.has("models/one")
    writing.join()
    assert run.has("models/one")


def test_a_thread_that_commits_writes_without_waiting_for_itself(run):
    with commit_lock(run), commit_lock(run):
        run.write_bytes("models/one", b"1")
    run.write_bytes("models/one", b"2")  # the lock is free again
    assert run.read_bytes("models/one") == b"2"


def test_a_commit_replaces_the_part_that_a_killed_attempt_left(run):
    run.write_bytes(PART, b"left")
    with commit_lock(run):
        run.write_bytes(PART, b"decided now")
    assert run.read_bytes(PART) == b"decided now"


def test_a_part_on_s3_that_exists_stays_unless_the_run_commits(s3_store):
    with batch_lock(s3_store, "b"):
        run = RunStore(s3_store.root, "b", begin_run(s3_store, "b"))
        run.write_bytes(PART, b"erased since")
        run.write_bytes(PART, b"computed before")
        run.write_bytes("reports/b.html", b"old")
        run.write_bytes("reports/b.html", b"new")
    assert run.read_bytes(PART) == b"erased since"
    assert run.read_bytes("reports/b.html") == b"new"
