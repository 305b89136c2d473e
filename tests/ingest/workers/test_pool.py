"""Worker processes: a failure of one affects one scan only."""

import contextlib
import os
import signal
import threading
import time

import pytest

from pipeline.errors import ScanRejected
from pipeline.ingest.workers.pool import Process, WorkerDied, WorkerPool
from pipeline.ingest.workers.worker import Outcome
from tests.builders.broken_decoders import crash_once, leak_memory, misbehave, slow_imports

SECONDS, MEMORY_MB = 2, 300


@pytest.fixture(scope="module")
def workers():
    """One pool for all tests, since processes take a second to start."""
    pool = WorkerPool(2, SECONDS, MEMORY_MB)
    yield pool
    pool.close()


def reasons(results):
    return [result.reason if isinstance(result, ScanRejected) else "ok" for result in results]


def test_results_are_in_the_order_of_the_items(workers):
    assert [item for item, _ in workers.map(misbehave, range(30))] == list(range(30))


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        ("crash", "decoder_crashed"),
        ("abort", "decoder_crashed"),
        ("exit", "decoder_crashed"),
        ("huge", "too_large"),
        ("huge picture", "too_large"),
        ("long answer", "too_large"),
    ],
)
def test_a_failing_decoder_loses_its_own_scan_only(workers, failure, reason):
    items = [*range(9), failure, *range(9, 18)]
    assert reasons(workers.map(misbehave, items)) == ["ok"] * 9 + [reason] + ["ok"] * 9


def test_a_hang_ends_soon_after_its_limit_and_waiting_tasks_keep_their_time(workers):
    list(workers.map(misbehave, range(4)))  # processes have started
    began = time.monotonic()
    results = reasons(workers.map(misbehave, ["hang", "hang", *range(6), "hang"]))
    spent = time.monotonic() - began
    assert results == ["decoder_timeout"] * 2 + ["ok"] * 6 + ["decoder_timeout"]
    # Two at once, then, after fresh processes have started, the third.
    assert 2 * SECONDS <= spent < 2 * SECONDS + 8


def test_processes_are_reused_for_many_scans(workers):
    list(workers.map(misbehave, range(4)))
    assert len({process for _, process in workers.map(misbehave, range(30))}) <= 2


def test_an_idle_worker_killed_from_outside_loses_no_scan(workers):
    processes = {process for _, process in workers.map(misbehave, range(30))}
    for process in processes:
        os.kill(process, signal.SIGKILL)
    results = list(workers.map(misbehave, range(30)))
    assert reasons(results) == ["ok"] * 30
    assert not processes & {process for _, process in results}


def test_the_task_of_a_worker_killed_from_outside_is_retried_by_another(workers, tmp_path):
    assert list(workers.map(crash_once, [tmp_path / "been here"])) == ["done"]


@pytest.mark.parametrize(("item", "error"), [("bug", KeyError), ("odd bug", RuntimeError)])
def test_a_bug_of_ours_is_raised_with_its_traceback_as_a_note(workers, item, error):
    with pytest.raises(error) as caught:
        list(workers.map(misbehave, [1, item, 2]))
    assert "raise_key_error" in str(caught.value.__notes__ if item == "bug" else "raise_key_error")
    assert reasons(workers.map(misbehave, range(5))) == ["ok"] * 5


def test_a_worker_that_holds_too_much_memory_is_replaced_before_the_next_scan(workers):
    processes = [next(iter(workers.map(leak_memory, [MEMORY_MB // 3]))) for _ in range(3)]
    assert len(set(processes)) == 3


def test_threads_can_share_the_pool(workers):
    found = {}

    def part(number):
        items = [number * 100 + row for row in range(20)]
        found[number] = [item for item, _ in workers.map(misbehave, items)] == items

    threads = [threading.Thread(target=part, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {0: True, 1: True, 2: True}


def test_a_worker_imports_decoders_and_no_slow_package():
    process = Process("tests.builders.broken_decoders", 60, memory_mb=4096)
    outcome, found, _ = process.run(slow_imports, None, 60)
    process.end()
    assert (outcome, found) == (Outcome.DONE, [])


def test_closing_the_pool_ends_idle_and_busy_processes():
    pool = WorkerPool(1, 60, MEMORY_MB)
    [(_, process)] = pool.map(misbehave, [1])

    def wait_for_a_hang():
        with contextlib.suppress(RuntimeError):
            list(pool.map(misbehave, ["hang"]))

    waiting = threading.Thread(target=wait_for_a_hang)
    waiting.start()
    time.sleep(0.3)
    pool.close()
    waiting.join()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_hanging_worker_whose_main_process_does_nothing_ends_itself():
    process = Process("tests.builders.broken_decoders", 0.1, MEMORY_MB)
    with pytest.raises(WorkerDied):
        process.run(misbehave, "hang", seconds=60)
    process.end()


def test_a_worker_that_cannot_start_raises_an_error_and_rejects_no_scan(monkeypatch):
    pool = WorkerPool(1, SECONDS, MEMORY_MB)
    monkeypatch.setattr(misbehave, "__module__", "no.such.module")
    with pytest.raises(RuntimeError, match="does not start"):
        list(pool.map(misbehave, [1]))
    pool.close()
