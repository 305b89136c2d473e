"""The page of a batch: what it shows is read from the store here and rendered by `batch_html`.

The page holds ids, labels and computed values; nothing else that was delivered.
"""

from pipeline.report.batch_html import Page, render
from pipeline.report.batch_pictures import gallery_crops, scan_pairs, searched_scans
from pipeline.report.batch_summary import Summary, last_summary
from pipeline.report.crop_pixels import read_crops
from pipeline.report.model_facts import evaluations_of
from pipeline.store import catalog
from pipeline.store.registry import head_home, read_card, trunk_home
from pipeline.store.store import Store
from pipeline.store.views.kept import keep_ledger, only_batch

GALLERY_CROPS = 48
EXAMPLE_CROPS = 8  # shown instead when nothing is ranked
SEARCHED_SCANS = 4  # panoramics on which the tooth search is shown
PAIRS = 4  # of scans that look alike
REJECTED = 50  # files listed one by one
BINS = 25  # of the histogram of scores
# What the page takes from the run's summary as it is.
OF_SUMMARY = (
    *("batch", "recipe", "trunk", "head", "counts", "seconds", "worked"),
    *("failures", "broken_checks", "alerts", "notes"),
)


def page_name(batch: str) -> str:
    """The name of a batch's page in the store."""
    return f"reports/{batch}.html"


def write_report(con: catalog.Connection, store: Store, summary: Summary) -> str:
    """Write the page of the summary's batch, readable by its owner alone, and return its name.

    `con` is the store's catalog. Sets the summary's `marks`. The same store and summary give the
    same bytes. Raises ArtifactError for a damaged part or a head without its card.
    """
    page = build_page(con, store, summary)
    summary.marks = {"flagged": page.flagged, "near_duplicates": page.near_duplicates}
    summary.marks |= {row["flag"]: row["scans"] for row in page.quality}
    store.write_bytes(page_name(summary.batch), render(page).encode(), mode=0o600)
    return page_name(summary.batch)


def rewrite_report(store: Store, batch: str) -> None:
    """Write a batch's page again from the current store; remove it if no run is on record."""
    name, summary = page_name(batch), last_summary(store, batch)
    if summary is None:
        store.remove(name)
        return
    with catalog.open_store(store) as con:
        keep_ledger(con)
        summary.counts = catalog.batch_counts(con, batch)
        write_report(con, store, summary)


def build_page(con: catalog.Connection, store: Store, summary: Summary) -> Page:
    """Collect everything that the page shows."""
    found = query_tables(con, summary)
    trunk = trunk_home(summary.trunk)
    scores = found["score_histogram"] if summary.head else []
    head_card = read_card(store, head_home(summary.head)) if summary.head else None
    pairs = found["near_duplicates"]
    shown = found["gallery" if scores else "example_crops"]
    crop_ids = {row["crop_id"] for row in [*shown, *found["found_teeth"]]}
    stored = read_crops(store, summary.recipe, summary.batch, crop_ids)
    gallery, no_heat = gallery_crops(store, summary, shown, stored, head_card)
    return Page(
        **{name: getattr(summary, name) for name in OF_SUMMARY},
        rejections=found["rejections"],
        rejected=found["rejected_files"],
        duplicates=found["duplicate_sources"],
        kinds=found["scan_kinds"],
        quality=found["quality"],
        near_duplicates=len(pairs),
        pairs=scan_pairs(store, summary.recipe, pairs[:PAIRS], found["crops_of_scans"]),
        drift=found["drift"],
        problems=dict(sorted(summary.planned.problems.items())) if summary.planned else {},
        regions={row["region_kind"]: row["crops"] for row in found["region_kinds"]},
        balance=found["class_balance"],
        predicted=found["predicted_classes"] if scores else [],
        # A batch of rejected scans alone has never needed its trunk.
        trunk_card=read_card(store, trunk) if store.has(f"{trunk}/card.json") else None,
        head_card=head_card,
        evaluations=evaluations_of(head_card) if head_card else {},
        unseen=histogram(scores, seen=False),
        seen=histogram(scores, seen=True),
        flagged=sum(row["flagged"] for row in scores),
        gallery=gallery,
        no_heat=no_heat,
        searched=searched_scans(found["found_teeth"], stored),
    )


def query_tables(con: catalog.Connection, summary: Summary) -> dict[str, list[dict]]:
    """Return the rows of each named query about the batch, with None for missing values."""
    batch, trunk, recipe = summary.batch, summary.trunk, summary.recipe
    parameters = {
        "rejections": {"batch": batch},
        "rejected_files": {"batch": batch, "limit": REJECTED},
        "duplicate_sources": {"batch": batch},
        "scan_kinds": {"batch": batch},
        "quality": {"batch": batch},
        "drift": {"batch": batch},
        "region_kinds": {"batch": batch, "trunk": trunk},
        "class_balance": {"trunk": trunk},
        "found_teeth": {"batch": batch, "recipe": recipe, "limit": SEARCHED_SCANS},
    }
    if summary.head:
        parameters["predicted_classes"] = {"batch": batch}
        parameters["gallery"] = {"batch": batch, "limit": GALLERY_CROPS}
    with only_batch(con, batch):
        rows = {name: catalog.query_rows(con, name, **given) for name, given in parameters.items()}
        rows["score_histogram"] = catalog.query_rows(con, "score_histogram", batch=batch, bins=BINS)
    rows["near_duplicates"] = pairs = catalog.query_rows(con, "near_duplicates", batch=batch)
    scans = {pair[name] for pair in pairs[:PAIRS] for name in ("scan_id", "other_scan_id")}
    rows["crops_of_scans"] = []
    if scans:
        rows["crops_of_scans"] = catalog.query_rows(
            con, "crops_of_scans", scan_ids=sorted(scans), recipe=recipe
        )
    rows["example_crops"] = []
    if not (rows["score_histogram"] and summary.head):
        examples = {"batch": batch, "recipe": recipe, "limit": EXAMPLE_CROPS}
        rows["example_crops"] = catalog.query_rows(con, "example_crops", **examples)
    return rows


def histogram(scores: list[dict], seen: bool) -> list[int]:
    """Return the crops per bin of p_abnormal; empty when the batch has no predictions."""
    counts = {row["bin"]: row["crops"] for row in scores if row["seen"] == seen}
    return [counts.get(number, 0) for number in range(BINS)] if scores else []
