"""The page of a batch: what it shows is read from the store here and rendered by `batch_html`.

The page holds ids, labels and computed values; nothing else that was delivered.
"""

from itertools import groupby
from operator import itemgetter

import pandas as pd

from pipeline.imaging.crop_mosaic import mosaic
from pipeline.imaging.crops import Place, png
from pipeline.report.batch_html import GalleryCrop, Page, SearchedScan, render
from pipeline.report.batch_summary import Summary, last_summary
from pipeline.report.crop_pixels import StoredCrop, read_crops
from pipeline.report.model_facts import evaluations_of
from pipeline.store import catalog
from pipeline.store.registry import head_home, read_card, trunk_home
from pipeline.store.store import Store

GALLERY_CROPS = 24
EXAMPLE_CROPS = 8  # shown instead when nothing is ranked
SEARCHED_SCANS = 4  # panoramics on which the tooth search is shown
BINS = 25  # of the histogram of scores


def write_report(store: Store, summary: Summary) -> str:
    """Write the page of the summary's batch, readable by its owner alone, and return its name.

    The same store and summary give the same bytes. Raises ArtifactError for a damaged part or a
    head without its card.
    """
    name = f"reports/{summary.batch}.html"
    store.write_bytes(name, render(build_page(store, summary)).encode(), mode=0o600)
    return name


def rewrite_report(store: Store, batch: str) -> None:
    """Write a batch's page again from the current store; remove it if no run is on record."""
    name, summary = f"reports/{batch}.html", last_summary(store, batch)
    if summary is None:
        store.remove(name)
    elif store.has(name):
        with catalog.open_store(store) as con:
            summary.counts = catalog.batch_counts(con, batch)
        write_report(store, summary)


def build_page(store: Store, summary: Summary) -> Page:
    """Collect everything that the page shows."""
    found, near_duplicates = query_tables(store, summary)
    trunk = trunk_home(summary.trunk)
    scores = found["score_histogram"] if summary.head else []
    head_card = read_card(store, head_home(summary.head)) if summary.head else None
    return Page(
        batch=summary.batch,
        counts=summary.counts,
        failures=summary.failures,
        broken_checks=summary.broken_checks,
        alerts=summary.alerts,
        notes=summary.notes,
        rejections=found["rejections"],
        kinds=found["scan_kinds"],
        quality=found["quality"],
        near_duplicates=near_duplicates,
        problems=dict(sorted(summary.planned.problems.items())) if summary.planned else {},
        regions={row["region_kind"]: row["crops"] for row in found["region_kinds"]},
        balance=found["class_balance"],
        seconds=summary.seconds,
        worked=summary.worked,
        recipe=summary.recipe,
        trunk=summary.trunk,
        head=summary.head,
        # A batch of rejected scans alone has never needed its trunk.
        trunk_card=read_card(store, trunk) if store.has(f"{trunk}/card.json") else None,
        head_card=head_card,
        evaluations=evaluations_of(head_card) if head_card else {},
        unseen=histogram(scores, seen=False),
        seen=histogram(scores, seen=True),
        flagged=sum(row["flagged"] for row in scores),
        gallery=gallery_crops(store, summary, found["worklist" if scores else "example_crops"]),
        searched=searched_scans(store, summary, found["found_teeth"]),
    )


def query_tables(store: Store, summary: Summary) -> tuple[dict[str, list[dict]], int]:
    """Return the batch's rows of each named query, with None for missing values.

    The second value is the number of near-duplicate pairs with a scan of the batch.
    """
    batch, trunk = summary.batch, summary.trunk
    parameters = {
        "rejections": {"batch": batch},
        "scan_kinds": {"batch": batch},
        "quality": {"batch": batch},
        "region_kinds": {"batch": batch, "trunk": trunk},
        "class_balance": {"trunk": trunk},
        "example_crops": {"batch": batch, "recipe": summary.recipe, "limit": EXAMPLE_CROPS},
        "worklist": {"batch": batch, "limit": GALLERY_CROPS},
        "found_teeth": {"batch": batch, "recipe": summary.recipe, "limit": SEARCHED_SCANS},
    }
    with catalog.open_store(store) as con:
        found = {name: catalog.query(con, name, **given) for name, given in parameters.items()}
        scores = catalog.query(con, "score_histogram", batch=batch, bins=BINS)
        near_duplicates = len(catalog.query(con, "near_duplicates", batch=batch))
    rows = {name: to_rows(frame[frame["batch"] == batch]) for name, frame in found.items()}
    return rows | {"score_histogram": to_rows(scores)}, near_duplicates


def to_rows(frame: pd.DataFrame) -> list[dict]:
    """Return rows as dictionaries of Python's own types."""
    # DuckDB gives a column of integers with missing values as floats.
    values = frame.convert_dtypes().astype(object)
    return values.where(values.notna(), None).to_dict("records")


def histogram(scores: list[dict], seen: bool) -> list[int]:
    """Return the crops per bin of p_abnormal; empty when the batch has no predictions."""
    counts = {row["bin"]: row["crops"] for row in scores if row["seen"] == seen}
    return [counts.get(number, 0) for number in range(BINS)] if scores else []


def gallery_crops(store: Store, summary: Summary, rows: list[dict]) -> list[GalleryCrop]:
    """Return the crops of these rows, in their order, with pixels where crops are still stored."""
    # A prediction whose features are gone has no position to show; a check reports it.
    rows = [row for row in rows if row["box_x"] is not None]
    crop_ids = {row["crop_id"] for row in rows}
    stored = read_crops(store, summary.recipe, summary.batch, crop_ids)
    return [gallery_crop(row, stored.get(row["crop_id"])) for row in rows]


def gallery_crop(row: dict, stored: StoredCrop | None) -> GalleryCrop:
    """Return one row of the work-list, or of the examples, for the gallery."""
    return GalleryCrop(
        **{name: row[name] for name in ("crop_id", "region_kind", "tooth")},
        label=row["delivered"] if "delivered" in row else row["label"],
        tooth_guess=row["tooth_guess"],
        tooth_confidence=row["tooth_confidence"],
        **{name: row.get(name) for name in ("p_abnormal", "predicted", "flagged", "seen", "audit")},
        box=(row["box_x"], row["box_y"], row["box_w"], row["box_h"]),
        png=stored and png(stored.pixels),
        scan_size=stored and stored.scan_size,
    )


def searched_scans(store: Store, summary: Summary, rows: list[dict]) -> list[SearchedScan]:
    """Return panoramics reassembled from their crops, with the centre of every crop."""
    crop_ids = {row["crop_id"] for row in rows}
    stored = read_crops(store, summary.recipe, summary.batch, crop_ids)
    scans = []
    for (scan_id, _), group in groupby(rows, itemgetter("scan_id", "frame")):
        crops = list(group)
        squares = [Place(*(row[f"box_{side}"] for side in "xywh")) for row in crops]
        size = crops[0]["scan_w"], crops[0]["scan_h"]
        pixels = [stored[row["crop_id"]].pixels for row in crops]
        scans.append(
            SearchedScan(
                scan_id=scan_id,
                size=size,
                centres=[tuple(map(round, square.centre)) for square in squares],
                tooth_guesses=[row["tooth_guess"] for row in crops],
                ranked=crops[0]["p_abnormal"] is not None,
                png=png(mosaic(pixels, squares, size)),
            )
        )
    return scans
