"""Parts are embedded and scored while others are received; resume, failures and times hold too."""

import threading
from types import SimpleNamespace

import pytest

from pipeline.jobs import part_work, process_batch, ready_parts, resources, stage_clock
from pipeline.jobs.process_batch import run_batch
from pipeline.jobs.stage_clock import StageClock
from pipeline.report.batch_summary import format_progress
from pipeline.stages.plan import deliver
from pipeline.stages.score_novelty import NoveltyModel
from tests.builders.fakes import FakeTrunk, InProcessPool, use_fakes
from tests.builders.scans import scan, write_files
from tests.builders.stores import process_folder, small_store, stored_bytes

pytestmark = pytest.mark.slow
PATIENCE = 60


@pytest.fixture(autouse=True)
def _fakes(monkeypatch):
    use_fakes(monkeypatch)


def pictures(tmp_path, count):
    return write_files(tmp_path / "in", **{f"s{number}_png": scan() for number in range(count)})


def with_model(tmp_path, monkeypatch, score):
    """Let a novelty model be in force, which scores parts by calling `score`."""
    model = NoveltyModel(small_store(tmp_path).store, "model")
    monkeypatch.setattr(process_batch, "current_novelty", lambda *_: model)
    monkeypatch.setattr(part_work, "score_part", score)


def test_a_part_is_embedded_before_the_last_is_received(tmp_path, monkeypatch):
    embedded, late = threading.Event(), []

    class Trunk:
        @staticmethod
        def embed(crops):
            embedded.set()
            return FakeTrunk.embed(crops)

    class WaitingPool(InProcessPool):
        def map(self, work, items):
            for number, outcome in enumerate(super().map(work, items)):
                if number == len(late) == 0:
                    late.append("the first part is read without waiting")
                elif not embedded.wait(PATIENCE):
                    late.append("no part was embedded")
                yield outcome

    monkeypatch.setattr(resources, "embedder", lambda store, chosen: Trunk)
    monkeypatch.setattr(resources, "WorkerPool", WaitingPool)
    summary = process_folder(small_store(tmp_path, part_size=1), pictures(tmp_path, 3))
    assert late == ["the first part is read without waiting"]
    assert summary.worked["receive"] == summary.worked["embed"] == summary.counts["features"] == 3


def test_a_part_is_scored_before_the_last_is_embedded(tmp_path, monkeypatch):
    scored, late = threading.Event(), []
    with_model(tmp_path, monkeypatch, lambda *_: scored.set())

    def embed(crops):
        if not late:
            late.append("the first part is embedded without waiting")
        elif not scored.wait(PATIENCE):
            late.append("no part was scored")
        return FakeTrunk.embed(crops)

    monkeypatch.setattr(resources, "embedder", lambda *_: SimpleNamespace(embed=embed))
    summary = process_folder(small_store(tmp_path, part_size=1), pictures(tmp_path, 3))
    assert late == ["the first part is embedded without waiting"]
    assert summary.worked["embed"] == summary.worked["novelty"] == 3


def test_parts_embedded_by_an_earlier_run_are_scored_and_a_failure_is_told_once(
    tmp_path, monkeypatch
):
    store, folder = small_store(tmp_path, part_size=1), pictures(tmp_path, 2)
    process_folder(store, folder)
    scored = []

    def score(store, batch, number, *_):
        scored.append(number)
        if number == 1:
            raise OSError("the disk hiccups")

    with_model(tmp_path, monkeypatch, score)
    store.store.remove(next(iter(stored_bytes(store.store, "features"))))
    summary = process_folder(store, folder)
    assert summary.failures == ["stage novelty could not finish part 1 of batch b"]
    assert scored == [0, 1]


def test_crops_without_a_ledger_are_not_embedded_before_they_are_received_again(tmp_path):
    store, folder = small_store(tmp_path, part_size=1), pictures(tmp_path, 2)
    process_folder(store, folder)
    tables = ("scans", "crops", "features")
    before = stored_bytes(store.store, *tables)
    # As a killed run leaves them: crops that are decided anew, without ledger and features.
    crops = [name for name in before if name.startswith("crops")]
    for name in before:
        if "part-00001" in name and name not in crops:
            store.store.remove(name)
    store.store.write_bytes(crops[1], before[crops[0]])
    process_folder(store, folder)
    assert stored_bytes(store.store, *tables) == before


def test_a_run_resumes_with_the_parts_that_were_received_but_not_embedded(tmp_path):
    store, folder = small_store(tmp_path, part_size=1), pictures(tmp_path, 3)
    process_folder(store, folder)
    before = stored_bytes(store.store, "features")
    for name in list(before)[:2]:
        store.store.remove(name)
    summary = process_folder(store, folder)
    assert "receive" not in summary.worked
    assert summary.worked["embed"] == 2
    assert stored_bytes(store.store, "features") == before


def test_a_part_that_cannot_be_received_fails_alone_and_the_others_are_embedded(
    tmp_path, monkeypatch
):
    store, folder = small_store(tmp_path, part_size=1), pictures(tmp_path, 3)
    real = resources.Receiver.receive_part

    def broken(receiver, number, commits=None):
        if number == 1:
            raise OSError("the disk hiccups")
        return real(receiver, number, commits)

    monkeypatch.setattr(resources.Receiver, "receive_part", broken)
    batch = deliver(folder, "b", store)
    summary = run_batch(store, batch)
    assert summary.failures == ["stage receive could not finish part 1 of batch b"]
    kept = "Finished and kept so far: 2 parts received, 2 embedded."
    assert format_progress(store.settings, "b") == kept


def test_an_error_while_embedding_is_raised_once_everything_is_received(tmp_path):
    received = []

    def broken(numbers):
        raise ValueError(f"no worker for part {next(iter(numbers))}")

    def receive():
        with ready_parts.in_background(broken) as ready:
            for number in (4, 5):
                ready.add(number)
                received.append(number)

    with pytest.raises(ValueError, match="no worker for part 4"):
        receive()
    assert received == [4, 5]


def test_an_error_while_receiving_ends_embedding_after_the_part_in_work():
    taken, begun, goes_on = [], threading.Event(), threading.Event()

    def slow(numbers):
        for number in numbers:
            begun.set()
            goes_on.wait(PATIENCE)
            taken.append(number)

    def receive():
        with ready_parts.in_background(slow) as ready:
            ready.add(0, 1, 1, 2)
            begun.wait(PATIENCE)
            threading.Timer(0.1, goes_on.set).start()
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        receive()
    assert taken == [0]


def test_times_of_stages_that_overlap_add_up_to_the_time_that_passed(monkeypatch):
    clock, seconds = iter([0, 4, 10, 11]), {}
    monkeypatch.setattr(stage_clock.time, "monotonic", lambda: next(clock))

    def charge(stage, more):
        seconds[stage] = seconds.get(stage, 0) + more

    stages = StageClock(charge)
    with stages.timed("receive"), stages.timed("embed"):  # from 0 to 11, and from 4 to 10
        pass
    assert seconds == {"receive": 4 + 3 + 1, "embed": 3}


def test_a_model_put_in_force_during_a_run_scores_what_the_run_embeds(tmp_path, monkeypatch):
    scored = []
    store = small_store(tmp_path, part_size=1)
    with_model(
        tmp_path,
        monkeypatch,
        lambda _, batch, number, chosen, fitted, advance: scored.append(
            (fitted.novelty_id, number)
        ),
    )
    theirs = NoveltyModel(store.store, "theirs")
    models = iter([None])  # when the run begins
    monkeypatch.setattr(process_batch, "current_novelty", lambda *_: next(models, theirs))
    monkeypatch.setattr(process_batch.BatchRun, "_fit_and_score", lambda _: pytest.fail("fitted"))
    summary = process_folder(store, pictures(tmp_path, 2))
    assert sorted(scored) == [("theirs", 0), ("theirs", 1)]
    assert summary.worked["novelty"] == 2


def test_a_run_that_was_stopped_while_it_learned_is_finished_by_the_next_night(
    tmp_path, monkeypatch
):
    store, folder = small_store(tmp_path, part_size=1), pictures(tmp_path, 1)
    process_folder(store, folder)
    write_files(folder, more_png=scan())
    batch = deliver(folder, "b", store)
    with monkeypatch.context() as patch:
        patch.setattr(process_batch.BatchRun, "_first_novelty", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run_batch(store, batch, only_new=True)
    page = store.store.read_bytes("reports/b.html")
    summary = run_batch(store, batch, only_new=True)
    assert summary.worked
    assert store.store.read_bytes("reports/b.html") != page
    assert summary.counts["features"] == 2


def test_a_missing_comparison_is_no_reason_for_a_night_to_learn(tmp_path, monkeypatch):
    store, folder = small_store(tmp_path), pictures(tmp_path, 2)
    process_folder(store, folder)
    store.store.remove(next(iter(stored_bytes(store.store, "drift"))))
    compare, learned = process_batch.compare_batch, []
    seen = threading.Event()

    def comparing(*arguments):
        seen.set()
        return compare(*arguments)

    def learn(run):
        seen.wait(PATIENCE)
        learned.append(run)

    monkeypatch.setattr(process_batch, "compare_batch", comparing)
    monkeypatch.setattr(process_batch.BatchRun, "_first_novelty", learn)
    assert run_batch(store, "b", only_new=True).worked == {"drift": 1}
    assert not learned
    store.store.remove(next(iter(stored_bytes(store.store, "drift"))))
    run_batch(store, "b")
    assert len(learned) == 1
