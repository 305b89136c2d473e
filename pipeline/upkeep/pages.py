"""Pages and records of runs that show erased scans: removed, and those of batches written again.

Every picture on a page is shown with its whole id, by which it is found here. A page of a batch may
show a scan of another batch next to one of its own.
"""

from collections.abc import Iterable

from pipeline.report.batch_report import page_name, rewrite_report
from pipeline.report.index_page import QUESTIONS, index_facts, write_index
from pipeline.store import catalog
from pipeline.store.store import Store
from pipeline.store.tables import SCANS
from pipeline.upkeep.erase import Traces


def remove_pages(store: Store, traces: Traces) -> set[str]:
    """Remove all pages and records that contain one of the ids; return the batches of the pages.

    What is not written again at once, the next run or the same command writes.
    """
    batches = {page_name(batch): batch for batch in SCANS.batches(store)}
    removed = set()
    for folder in ("reports", "runs"):
        for name in store.names(folder):
            data = store.read_bytes(name)
            if any(text in data for text in traces.texts):
                store.remove(name)
                removed.add(name)
    return {batches[name] for name in removed if name in batches}


def write_pages(store: Store, batches: Iterable[str]) -> None:
    """Write the pages of batches again from what the store holds now, and the overview."""
    for batch in sorted(batches):
        rewrite_report(store, batch)
    with catalog.open_store(store, *QUESTIONS) as con:
        write_index(store, index_facts(con))
