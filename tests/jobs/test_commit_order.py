"""Parts received side by side come out as if one had been received after the other."""

import pickle
import threading

import pytest

from pipeline.jobs.commit_order import CommitOrder
from pipeline.jobs.part_work import Receive, attempt_elsewhere
from pipeline.jobs.resources import Resources, job_for
from pipeline.store import tables
from pipeline.store.locks import acquire_lock, batch_lock, begin_run
from pipeline.store.run_store import RunStore
from tests.builders.stores import small_store


@pytest.fixture
def run(store):
    """The store as a run may write it that holds batch b."""
    with batch_lock(store, "b"):
        yield RunStore(store.root, "b", begin_run(store, "b"))


class Received:
    """Receives by writing an empty ledger part; remembers in which order."""

    def __init__(self, store, broken=()):
        self.store, self.broken, self.order = store, broken, []

    def __call__(self, number, commits):
        if self.store.local_path(tables.SCANS.part("b", number)).exists():
            return
        if number in self.broken:
            raise OSError("the disk hiccups")
        with commits():
            self.order.append(number)
            path = self.store.local_path(tables.SCANS.part("b", number))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


def test_a_part_waits_for_an_earlier_one_in_progress(run):
    receive = Received(run)
    turns = CommitOrder(run, lambda number: range(number), receive)
    with acquire_lock(run, "parts-b/00000", timeout=0):
        later = threading.Thread(target=turns.take, args=(1,))
        later.start()
        later.join(0.5)
        assert receive.order == []
    turns.take(0)
    later.join()
    assert receive.order == [0, 1]


def test_an_earlier_part_without_a_process_is_received_by_the_waiting_one(run):
    receive = Received(run)
    CommitOrder(run, lambda number: range(number), receive).take(3)
    assert receive.order == [0, 1, 2, 3]


def test_a_failed_part_is_neither_waited_for_nor_tried_again(run):
    receive = Received(run, broken=(0,))
    turns = CommitOrder(run, lambda number: range(number), receive)
    with pytest.raises(OSError, match="hiccups"):
        turns.take(0)
    receive.broken = ()
    turns.take(1)
    assert receive.order == [1]


def test_parts_without_files_of_equal_length_do_not_wait(run):
    receive = Received(run)
    CommitOrder(run, lambda number: [], receive).take(3)
    assert receive.order == [3]


def test_a_process_has_one_store_handle_per_run(tmp_path):
    resources = Resources(job_for("run", "b", small_store(tmp_path), None))
    assert resources.opened.store is resources.store
    assert resources.receiver(lambda _: None).opened.store is resources.store


def test_neither_the_key_nor_the_private_folder_can_be_pickled(tmp_path):
    store = small_store(tmp_path)
    key = (store.private.root / "key").read_bytes().strip()
    work = Receive(job_for("run", "b", store, None))
    for form in (key, bytes.fromhex(key.decode())):
        assert form not in pickle.dumps(work)
    for held_back in (store, store.private, Resources(work.job).opened):
        with pytest.raises(TypeError, match="never sent"):
            pickle.dumps(held_back)


def test_a_worker_with_another_version_refuses_the_part(tmp_path, monkeypatch):
    work = Receive(job_for("run", "b", small_store(tmp_path), None))
    monkeypatch.setattr("pipeline.jobs.part_work.made_with", lambda: "another")
    found = attempt_elsewhere(work, 0)
    assert found.failed
    assert "another version of this pipeline" in found.message


def test_a_worker_that_does_not_see_the_lock_of_the_run_writes_nothing(tmp_path):
    store = small_store(tmp_path)
    found = attempt_elsewhere(Receive(job_for("run", "b", store, None)), 0)
    assert found.failed
    assert found.message is None  # they stand in the private messages of the worker
    assert "does not pass locks" in (store.private.root / "messages.log").read_text()
    assert store.store.names("scans") == []
