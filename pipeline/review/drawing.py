"""Findings that a reviewer draws on a scan: a box and its label, stored together.

The next run over the store cuts and scores the crop of the box, which is a card like others then.
"""

from collections import defaultdict
from collections.abc import Sequence

from pipeline.errors import ConfigError
from pipeline.imaging.crops import Place, within
from pipeline.learn.decisions import Decision
from pipeline.review.cards import scan_key, to_rows
from pipeline.review.review import Review
from pipeline.store import catalog
from pipeline.store.regions import DrawnRegion, append_regions, frame_number
from pipeline.store.store import Store

SMALLEST = 4  # pixels of an edge


def drawn_boxes(store: Store) -> dict[str, list[dict]]:
    """The boxes in force that reviewers drew, by scan or frame of a scan."""
    with catalog.open_store(store) as con:
        rows = to_rows(catalog.query(con, "review_regions"))
    found = defaultdict(list)
    for row in rows:
        box = {"id": row["crop_id"], "box": [row[edge] for edge in "xywh"], "by": row["reviewer"]}
        found[scan_key(row)].append(box | ({"label": row["label"]} if row["label"] else {}))
    return found


def draw_missed(
    review: Review, reviewer: str, crop_id: str, box: Sequence[int], label: str
) -> DrawnRegion:
    """Store a finding without a box on the scan of a crop, and its label.

    `box` is left, top, width and height in source pixels. Stored once, however often it is sent.
    Raises ConfigError for an unknown crop, a label that cannot be given, or a box outside the scan.
    """
    cards, row = review.require(crop_id)
    if label not in cards.classes.labels:
        expected = ", ".join(cards.classes.labels)
        raise ConfigError(f"A missed finding needs a label, one of {expected}.")
    place = within(Place(*box), row["scan_w"], row["scan_h"])
    if min(place.w, place.h) < SMALLEST:
        raise ConfigError(
            f"The box is {place.w} wide and {place.h} high inside the scan; draw one of at least "
            f"{SMALLEST} pixels."
        )
    has_frames = scan_key(row) != row["scan_id"]
    frame = frame_number(row["region"]) if has_frames else None
    drawn = DrawnRegion.missed(row["scan_id"], row["batch"], place, reviewer, frame=frame)
    append_regions(review.store, [drawn])
    review.record(Decision(drawn.crop_id, "label", label, reviewer), row["batch"])
    return drawn


def take_back(review: Review, reviewer: str, crop_id: str, drawn_id: str) -> None:
    """Take back a box that the reviewer drew on the scan of a crop; ConfigError for any other."""
    _, row = review.require(crop_id)
    own = {
        each["id"]: each
        for each in drawn_boxes(review.store).get(scan_key(row), [])
        if each["by"] == reviewer
    }
    if drawn_id not in own:
        raise ConfigError("You drew no such box on this scan, or took it back already.")
    place, region = Place(*own[drawn_id]["box"]), drawn_id.partition(":")[2]
    drawn = DrawnRegion(row["scan_id"], row["batch"], region, "missed", reviewer, place)
    append_regions(review.store, [drawn.taken_back()])
    review.record(Decision(drawn_id, "undo", None, reviewer), row["batch"])
