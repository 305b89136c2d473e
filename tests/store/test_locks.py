import multiprocessing
import os
import re
import subprocess
import sys
import threading
import time

import pytest

from pipeline.errors import BatchBusy, StoreError
from pipeline.store import locks
from pipeline.store.parts import Store


def holder(store, batch):
    """Another process that holds the lock of `batch`."""
    script = f"""
import time
from pipeline.store.locks import batch_lock
from pipeline.store.parts import Store
with batch_lock(Store({store.root!r}), {batch!r}):
    print("held", flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    return process


def sleep_long():
    time.sleep(60)


def test_only_one_run_at_a_time_holds_a_batch(store):
    with locks.batch_lock(store, "b"):
        with locks.batch_lock(store, "another"):
            pass
        says = rf"Batch b is being worked on by process {os.getpid()} since 20\d\d-.* UTC"
        with pytest.raises(BatchBusy, match=says), locks.batch_lock(store, "b"):
            pass
    with locks.batch_lock(store, "b"):
        pass


def test_the_lock_of_a_killed_run_is_free_at_once(store):
    process = holder(store, "b")
    try:
        with (
            pytest.raises(BatchBusy, match=f"process {process.pid} "),
            locks.batch_lock(store, "b"),
        ):
            pass
    finally:
        process.kill()
        process.communicate()
    with locks.batch_lock(store, "b"):
        pass


def test_a_child_does_not_keep_the_lock_of_its_parent(store):
    child = multiprocessing.get_context("spawn").Process(target=sleep_long)
    try:
        with locks.batch_lock(store, "b"):
            child.start()
        with locks.batch_lock(store, "b"):
            assert child.is_alive()
    finally:
        child.kill()
        child.join()


def test_an_exception_releases_the_lock(store):
    with pytest.raises(ZeroDivisionError), locks.batch_lock(store, "b"):
        raise ZeroDivisionError
    with locks.batch_lock(store, "b"):
        pass


def test_a_busy_lock_without_a_known_owner_is_an_error_too(store):
    with locks.batch_lock(store, "b"):
        store.remove(".locks/batch-b.json")
        with pytest.raises(BatchBusy, match="by another process"), locks.batch_lock(store, "b"):
            pass


def test_commits_wait_for_each_other(store):
    inside, most = [], []

    def commit():
        for _ in range(3):
            with locks.commit_lock(store):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.01)
                inside.pop()

    threads = [threading.Thread(target=commit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 12


def test_a_folder_that_cannot_be_locked_is_an_error_that_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("no folder")
    store = Store(str(tmp_path / "file" / "store"))
    says = rf"{re.escape(store.root)} cannot be locked .* permissions"
    with pytest.raises(StoreError, match=says), locks.batch_lock(store, "b"):
        pass
    with pytest.raises(StoreError, match=says), locks.commit_lock(store):
        pass
