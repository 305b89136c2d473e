"""A batch in the store in, its page out. Only ids, labels and what was computed stand on it."""

from itertools import groupby
from operator import itemgetter

import pandas as pd

from pipeline.imaging.crops import Place, png
from pipeline.imaging.mosaic import mosaic
from pipeline.report.batch_html import Page, Searched, Shown, render
from pipeline.report.crop_pixels import Picture, read_pictures
from pipeline.report.summary import Summary, last_summary
from pipeline.report.training_summary import METHODS
from pipeline.store import catalog
from pipeline.store.base import Store
from pipeline.store.registry import head_home, read_card, trunk_home

GALLERY = 24
EXAMPLES = 8  # instead, when nothing is ranked
SEARCHED = 4  # panoramics that show where teeth were looked for
BINS = 25  # of the histogram of scores


def write_report(store: Store, summary: Summary) -> str:
    """Write the page of the summary's batch, for its owner alone to read, and return its name.

    The same store and summary give the same bytes. Raises ArtifactError for a damaged part or a
    head without its card.
    """
    name = f"reports/{summary.batch}.html"
    store.write_bytes(name, render(page_of(store, summary)).encode(), mode=0o600)
    return name


def rewrite_report(store: Store, batch: str) -> None:
    """Write a batch's page anew from the store as it is; without a record of a run, remove it."""
    name, summary = f"reports/{batch}.html", last_summary(store, batch)
    if summary is None:
        store.remove(name)
    elif store.has(name):
        with catalog.open_store(store) as con:
            summary.counts = catalog.batch_counts(con, batch)
        write_report(store, summary)


def page_of(store: Store, summary: Summary) -> Page:
    """Everything that stands on the page."""
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
        # A batch whose every scan was rejected never needed its trunk.
        trunk_card=read_card(store, trunk) if store.has(f"{trunk}/card.json") else None,
        head_card=head_card,
        evaluations=evaluations(head_card) if head_card else {},
        unseen=binned(scores, seen=False),
        seen=binned(scores, seen=True),
        flagged=sum(row["flagged"] for row in scores),
        gallery=gallery(store, summary, found["worklist" if scores else "example_crops"]),
        searched=searched(store, summary, found["found_teeth"]),
    )


def query_tables(store: Store, summary: Summary) -> tuple[dict[str, list[dict]], int]:
    """What the named queries say about the batch, as rows with None for what is missing.

    Also the number of pairs of near-duplicates that a scan of the batch belongs to.
    """
    batch, trunk = summary.batch, summary.trunk
    asked = {
        "rejections": {"batch": batch},
        "scan_kinds": {"batch": batch},
        "quality": {"batch": batch},
        "region_kinds": {"batch": batch, "trunk": trunk},
        "class_balance": {"trunk": trunk},
        "example_crops": {"batch": batch, "recipe": summary.recipe, "limit": EXAMPLES},
        "worklist": {"batch": batch, "limit": GALLERY},
        "found_teeth": {"batch": batch, "recipe": summary.recipe, "limit": SEARCHED},
    }
    with catalog.open_store(store) as con:
        found = {name: catalog.query(con, name, **given) for name, given in asked.items()}
        scores = catalog.query(con, "score_histogram", batch=batch, bins=BINS)
        near_duplicates = len(catalog.query(con, "near_duplicates", batch=batch))
    mine = {name: plain(frame[frame["batch"] == batch]) for name, frame in found.items()}
    return mine | {"score_histogram": plain(scores)}, near_duplicates


def plain(frame: pd.DataFrame) -> list[dict]:
    """Rows as dictionaries of Python's own types."""
    # Whole numbers of which one is missing came as floats.
    values = frame.convert_dtypes().astype(object)
    return values.where(values.notna(), None).to_dict("records")


def evaluations(card: dict) -> dict[str, dict]:
    """The scores on a head's card by method in words, the head's first."""
    return {
        words: card["scores"][name] for name, words in METHODS.items() if name in card["scores"]
    }


def binned(scores: list[dict], seen: bool) -> list[int]:
    """Crops per bin of p_abnormal; empty when the batch has no predictions at all."""
    counts = {row["bin"]: row["crops"] for row in scores if row["seen"] == seen}
    return [counts.get(number, 0) for number in range(BINS)] if scores else []


def gallery(store: Store, summary: Summary, rows: list[dict]) -> list[Shown]:
    """The crops of these rows, in their order, with pictures where crops are still stored."""
    # A prediction whose features are gone has no place to show; a check tells of it.
    rows = [row for row in rows if row["box_x"] is not None]
    wanted = {row["crop_id"] for row in rows}
    pictures = read_pictures(store, summary.recipe, summary.batch, wanted)
    return [shown(row, pictures.get(row["crop_id"])) for row in rows]


def searched(store: Store, summary: Summary, rows: list[dict]) -> list[Searched]:
    """Panoramics put together from their crops, with the middle of every crop."""
    wanted = {row["crop_id"] for row in rows}
    pictures = read_pictures(store, summary.recipe, summary.batch, wanted)
    scans = []
    for (scan_id, _), group in groupby(rows, itemgetter("scan_id", "frame")):
        here = list(group)
        squares = [Place(*(row[f"box_{side}"] for side in "xywh")) for row in here]
        size = here[0]["scan_w"], here[0]["scan_h"]
        crops = [pictures[row["crop_id"]].pixels for row in here]
        scans.append(
            Searched(
                scan_id=scan_id,
                scan=size,
                places=[tuple(map(round, square.centre)) for square in squares],
                guesses=[row["tooth_guess"] for row in here],
                ranked=here[0]["p_abnormal"] is not None,
                png=png(mosaic(crops, squares, size)),
            )
        )
    return scans


def shown(row: dict, picture: Picture | None) -> Shown:
    """One row of the work-list, or of the examples, as it stands in the gallery."""
    return Shown(
        **{name: row[name] for name in ("crop_id", "region_kind", "tooth", "label")},
        tooth_guess=row["tooth_guess"],
        tooth_confidence=row["tooth_confidence"],
        **{name: row.get(name) for name in ("p_abnormal", "predicted", "flagged", "seen", "audit")},
        place=(row["box_x"], row["box_y"], row["box_w"], row["box_h"]),
        png=picture and png(picture.pixels),
        scan=picture and picture.scan,
    )
