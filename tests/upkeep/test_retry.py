"""`dental retry` on two batches that share a scan."""

from pipeline.upkeep.retry import retry
from pipeline.upkeep.why import explain_file
from tests.builders.scans import scan, write_files
from tests.builders.stores import process_folder, read_table


def test_retry_lists_a_rejected_file_for_one_more_attempt(two, monkeypatch):
    store, root = two
    tried = retry(store, "one")
    assert (tried.listed, tried.gone, tried.waiting) == (1, 0, 1)
    assert (
        explain_file(store, str(root / "one/c.png")).attempts[-1].remedy.startswith("run the batch")
    )
    assert retry(store, "one").listed == 0
    summary = process_folder(store, root / "one", "one")
    attempts = read_table(store.store, "scans").query("batch == 'one' and status == 'rejected'")[
        "attempt"
    ]
    assert sorted(attempts) == [1, 2]
    assert summary.counts["rejected"] == 1
    assert summary.broken_checks == []
    # A repaired file is taken without a retry.
    write_files(root / "one", c_png=scan())
    assert process_folder(store, root / "one", "one").counts["rejected"] == 0
    assert retry(store, "one").listed == 0
