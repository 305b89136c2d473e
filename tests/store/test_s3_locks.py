import json
import os
import subprocess
import sys
import threading
import time

import pytest
from filelock import Timeout

from pipeline.errors import BatchBusy, StoreError
from pipeline.s3 import Prefix, WriteConflict
from pipeline.store import locks, s3_locks
from pipeline.store.s3_locks import S3Lock

LOCK = ".locks/batch-b.lock"
OBJECTS = Prefix.of("s3://bucket/store")


def lease():
    return S3Lock("s3://bucket/store", OBJECTS, LOCK)


def claim(**changes):
    """Hold the lock as another process, whose heart never beats again."""
    state = {"held": True, "token": "theirs", "writer": "elsewhere.1.1", **changes}
    OBJECTS.put(LOCK, json.dumps(state).encode())


def test_only_one_run_at_a_time_holds_a_batch(s3_store):
    with locks.batch_lock(s3_store, "b"):
        with locks.batch_lock(s3_store, "another"):
            pass
        says = rf"Batch b is being worked on by process {os.getpid()} since 20"
        with pytest.raises(BatchBusy, match=says), locks.batch_lock(s3_store, "b"):
            pass
        assert locks.is_locked(s3_store, "batch-b")
    assert not locks.is_locked(s3_store, "batch-b")
    with locks.batch_lock(s3_store, "b"):
        pass


def test_only_one_of_many_threads_holds_a_lock_at_a_time(s3_store):
    inside, most = [], []

    def commit():
        for _ in range(2):
            with locks.commit_lock(s3_store):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.01)
                inside.pop()

    threads = [threading.Thread(target=commit) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 6


def test_the_heartbeat_rewrites_the_lock(s3_store, monkeypatch):
    monkeypatch.setattr(s3_locks, "BEAT_SECONDS", 0.02)
    with lease().acquire(timeout=0):
        beats, deadline = set(), time.monotonic() + 10
        while len(beats) < 3:
            assert time.monotonic() < deadline
            data, facts = OBJECTS.get(LOCK)
            beats.add(facts.etag)
            assert json.loads(data)["held"]
        with pytest.raises(Timeout), lease().acquire(timeout=0):
            pass
    assert not lease().is_held()


def test_the_lock_of_another_machine_is_free_once_its_heartbeat_stops(s3_store, monkeypatch):
    claim()
    with pytest.raises(Timeout), lease().acquire(timeout=0):
        pass
    monkeypatch.setattr(s3_locks, "STALE_SECONDS", -1)  # as if it had been as long ago
    assert not lease().is_held()
    with lease().acquire(timeout=0):
        assert json.loads(OBJECTS.get(LOCK)[0])["token"] != "theirs"


def test_the_lock_of_a_killed_process_of_this_machine_is_free_at_once(s3_store):
    script = (
        "import time; from pipeline.s3 import Prefix; from pipeline.store.s3_locks import S3Lock\n"
        f"with S3Lock('s3://bucket/store', Prefix('bucket', 'store/'), {LOCK!r}).acquire(0):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"held\n"
        assert lease().is_held()
    finally:
        process.kill()
        process.communicate()
    with lease().acquire(timeout=0):
        pass


def test_a_process_that_lost_its_lock_writes_nothing_more(s3_store, monkeypatch):
    monkeypatch.setattr(s3_locks, "BEAT_SECONDS", 0.1)
    with lease().acquire(timeout=0):
        s3_store.write_bytes("a", b"x")
        claim()  # as another does after a minute without a beat
        deadline = time.monotonic() + 5
        while lease().is_held() and next(iter(s3_locks._held)).is_valid:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with pytest.raises(StoreError, match="writes nothing more"):
            s3_store.write_bytes("a", b"y")
    assert s3_store.read_bytes("a") == b"x"
    assert json.loads(OBJECTS.get(LOCK)[0])["token"] == "theirs"


def test_a_lock_survives_a_lost_response(s3_store, monkeypatch):
    """The client asks again when an answer is lost, and hears that the object is there by now."""
    real, errors, asked = Prefix.put, iter([WriteConflict(), None, OSError()]), []

    def put(*given):
        etag = real(*given)
        asked.append(etag)
        if error := next(errors, None):
            raise error
        return etag

    monkeypatch.setattr(Prefix, "put", put)
    monkeypatch.setattr(s3_locks, "BEAT_SECONDS", 0.05)
    with lease().acquire(timeout=0):
        deadline = time.monotonic() + 10
        while len(asked) < 5:  # twice to take it; a beat without an answer, and others
            assert time.monotonic() < deadline
            time.sleep(0.02)
        [mine] = s3_locks._held
        assert mine.is_valid
        with pytest.raises(Timeout), lease().acquire(timeout=0):
            pass


def test_a_process_suspended_too_long_writes_nothing_more(s3_store, monkeypatch):
    with lease().acquire(timeout=0):
        monkeypatch.setattr(s3_locks, "SURE_SECONDS", 0)
        with pytest.raises(StoreError, match="Run the same command again"):
            s3_store.create("a", b"x")
    assert s3_store.names(".") == []


def test_a_missing_bucket_is_an_error_that_says_what_to_do(s3):
    from pipeline.store.store import Store

    says = r"s3://no-such-bucket/x cannot be locked \(.*S3 returned NoSuchBucket\)"
    with (
        pytest.raises(StoreError, match=says),
        locks.batch_lock(Store("s3://no-such-bucket/x"), "b"),
    ):
        pass
