"""No delivered identifier leaves the private folder, whatever fails."""

import base64
import sys

import pytest

from pipeline.jobs import resources
from pipeline.jobs.process_batch import run_batch
from pipeline.report.batch_summary import format_summary
from pipeline.stages.plan import deliver
from pipeline.upkeep import find_traces, forget, undo
from pipeline.upkeep.retry import retry
from tests.builders.fakes import use_fakes
from tests.builders.identifiers import (
    ISSUED,
    MARK,
    files_with_identifiers,
    identifier_batch,
    identifier_pattern,
    new_identifier,
)
from tests.builders.stores import small_store


@pytest.fixture
def store(tmp_path, monkeypatch):
    use_fakes(monkeypatch)
    return small_store(tmp_path / "home", part_size=4)


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode(),
        lambda text: text.encode("utf-16-le"),
        *(lambda text, n=n: base64.b64encode(b"abc"[:n] + text.encode()) for n in range(3)),
    ],
)
def test_the_search_finds_an_identifier_in_every_encoding(tmp_path, encode):
    (tmp_path / "log").write_bytes(b"a line, " + encode(MARK + "NAME001") + b", and so on")
    assert files_with_identifiers(tmp_path)


def test_no_delivered_identifier_leaves_the_private_folder(store, tmp_path, monkeypatch, capfd):
    before = len(ISSUED)  # by other tests
    folder = identifier_batch(tmp_path / "inbox")
    batch = deliver(folder, None, store)

    class Fails:
        @staticmethod
        def embed(crops):
            raise RuntimeError(f"cannot read {folder}/{new_identifier('ERROR')}.png")

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
    assert files_with_identifiers(tmp_path / "home" / "store") == []
    theirs = next(each for each in ISSUED[before:] if each.startswith(f"{MARK}PATIENT"))
    assert forget.forget(store, find_traces.find_patient(store, theirs)).scan_ids
    assert files_with_identifiers(tmp_path / "home" / "store") == []
    printed = capfd.readouterr()
    assert not identifier_pattern().search((printed.out + printed.err).encode())
    assert files_with_identifiers(store.private.root)  # where they belong
    undo.undo(store, batch)
    assert files_with_identifiers(tmp_path / "home" / "store") == []
    assert len(ISSUED) - before >= 80
