"""No identifier that came with a delivery leaves the private folder, whatever fails on the way."""

import base64
import sys

import pytest

from pipeline.jobs import resources
from pipeline.jobs.process_batch import run_batch
from pipeline.report.summary import format_summary
from pipeline.stages.plan import deliver
from pipeline.upkeep import find_traces, forget, undo
from pipeline.upkeep.retry import retry
from tests.batches import opened, without_waiting
from tests.planted import MARK, found_in, mark, patterns, plant, planted


@pytest.fixture
def store(tmp_path, monkeypatch):
    without_waiting(monkeypatch)
    return opened(tmp_path / "home", part_size=4)


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode(),
        lambda text: text.encode("utf-16-le"),
        *(lambda text, n=n: base64.b64encode(b"abc"[:n] + text.encode()) for n in range(3)),
    ],
)
def test_the_search_finds_a_mark_in_every_form(tmp_path, encode):
    (tmp_path / "log").write_bytes(b"a line, " + encode(MARK + "NAME001") + b", and so on")
    assert found_in(tmp_path)


def test_no_planted_identifier_leaves_the_private_folder(store, tmp_path, monkeypatch, capfd):
    before = len(planted)  # by other tests
    folder = plant(tmp_path / "inbox")
    batch = deliver(folder, None, store)

    class Fails:
        @staticmethod
        def embed(crops):
            raise RuntimeError(f"cannot read {folder}/{mark('ERROR')}.png")

    with monkeypatch.context() as broken:
        broken.setattr(resources, "embedder", lambda *_: Fails)
        summary = run_batch(store, batch)
    assert summary.failures
    print("\n".join(format_summary(summary, store.settings)))
    summary = run_batch(store, batch)
    print("\n".join(format_summary(summary, store.settings)), file=sys.stderr)
    assert summary.failures == summary.broken_checks == []
    assert summary.counts["accepted"] >= 5
    assert summary.counts["rejected"] >= 4
    assert summary.planned.problems == {} or sum(summary.planned.problems.values())
    retry(store, batch)
    run_batch(store, batch)
    assert found_in(tmp_path / "home" / "store") == []
    theirs = next(each for each in planted[before:] if each.startswith(f"{MARK}PATIENT"))
    assert forget.forget(store, find_traces.find_patient(store, theirs)).scan_ids
    assert found_in(tmp_path / "home" / "store") == []
    said = capfd.readouterr()
    assert not patterns().search((said.out + said.err).encode())
    assert found_in(store.private.root)  # where they belong
    undo.undo(store, batch)
    assert found_in(tmp_path / "home" / "store") == []
    assert len(planted) - before >= 80
