"""Pages that show scans which are erased: those of batches are written again, others removed."""

from pipeline.upkeep.erase import Traces
from pipeline.upkeep.pages import remove_pages, write_pages
from pipeline.upkeep.undo import undo
from tests.builders.stores import read_table


def scan_of(store, batch):
    scans = read_table(store, "scans").query("batch == @batch and status == 'accepted'")
    return scans["scan_id"].iloc[-1]


def show(store, scan_id):
    """Show a scan on the pages of a head and of batch `two`, as a pair that looks alike does."""
    page = store.read_bytes("reports/two.html")
    store.write_bytes("reports/two.html", page + f'<img alt="scan {scan_id}">'.encode())
    store.write_bytes("reports/evaluation-h.html", f'<img alt="crop {scan_id}:whole">'.encode())
    store.write_bytes("reports/evaluation-g.html", b"of others")


def test_pages_that_show_a_scan_are_found_by_its_id(two):
    store = two[0].store
    scan_id = scan_of(store, "one")
    show(store, scan_id)
    traces = Traces(frozenset([scan_id]))
    removed = remove_pages(store, traces)
    assert "two" in removed
    assert not store.has("reports/evaluation-h.html")
    assert store.has("reports/evaluation-g.html")
    write_pages(store, removed)
    assert store.has("reports/two.html")
    assert store.has("reports/index.html")
    pages = [store.read_bytes(name) for name in store.names("reports") if "one" not in name]
    assert not any(scan_id.encode() in page for page in pages)


def test_undo_leaves_no_page_that_shows_a_lost_scan(two):
    opened, _ = two
    scan_id = scan_of(opened.store, "one")
    show(opened.store, scan_id)
    undo(opened, "one")
    names = opened.store.names("reports")
    assert "reports/evaluation-h.html" not in names
    assert "reports/two.html" in names
    assert not any(scan_id.encode() in opened.store.read_bytes(name) for name in names)
    assert b'href="one.html"' not in opened.store.read_bytes("reports/index.html")
