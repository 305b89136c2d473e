"""The pictures of a batch's page: cards of crops, searched panoramics, and scans that look alike.

Positions are source pixels, x to the right and y down. Each picture is shown with its whole scan_id
or crop_id, by which `forget` finds the page.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter

from pipeline.imaging.crop_mosaic import mosaic
from pipeline.imaging.crops import Place, at_most, jpeg
from pipeline.report.batch_summary import Summary
from pipeline.report.card_heat_maps import CardHeatMap, card_heat_maps
from pipeline.report.crop_pixels import StoredCrop, read_crops
from pipeline.store.store import Store

PAIR_EDGE = 480  # pixels of the longer edge of a scan of a pair

Box = tuple[int, int, int, int]  # x, y, width and height


@dataclass(frozen=True, kw_only=True)
class GalleryCrop:
    """One crop of the gallery."""

    crop_id: str
    region_kind: str
    box: Box  # the square that was cut
    delivered: Box | None = None  # the annotated box inside it
    tooth: int | None
    tooth_guess: int | None  # estimated from the position alone
    tooth_confidence: float | None
    label: str | None  # the current one
    quality: Sequence[str] = ()  # flags of the scan
    p_abnormal: float | None = None  # None without a head and of the audit, as the next four
    probabilities: Mapping[str, float] | None = None  # by class
    predicted: str | None = None
    flagged: bool | None = None
    seen: bool | None = None
    audit: bool | None = None  # drawn for the audit, whatever its score
    image: bytes | None = None  # None when the crop was deleted
    heat: CardHeatMap | None = None
    scan_size: tuple[int, int] | None = None  # width and height; None when the crop was deleted


@dataclass(frozen=True, kw_only=True)
class SearchedScan:
    """A panoramic without boxes, and the positions that the tooth search cut crops at."""

    scan_id: str
    size: tuple[int, int]  # width and height
    centres: Sequence[tuple[int, int]]  # of the crops, in the order of p(abnormal) if ranked
    tooth_guesses: Sequence[int | None]  # for each crop
    ranked: bool  # whether a head scored the crops
    image: bytes  # the scan, reassembled from its crops


@dataclass(frozen=True, kw_only=True)
class ScanPair:
    """Two accepted scans that look alike."""

    distance: int  # differing bits of 64
    scan_ids: tuple[str, str]
    batches: tuple[str, str]
    same_patient: bool
    images: tuple[bytes | None, bytes | None]  # None when the crops were deleted


def gallery_crops(
    store: Store,
    summary: Summary,
    rows: list[dict],
    stored: Mapping[str, StoredCrop],
    head_card: dict | None,
) -> tuple[list[GalleryCrop], str | None]:
    """Return the crops of these rows, in their order, with the pixels of those that are stored.

    Also why there are no heat maps, if they cannot be made. Crops without scores have none.
    """
    # A prediction whose features are gone has no position to show; a check reports it.
    rows = [row for row in rows if row["box_x"] is not None]
    classes = head_card["classes"] if head_card else ()
    cards = [gallery_crop(row, stored.get(row["crop_id"]), classes) for row in rows]
    scored = [card.crop_id for card in cards if card.p_abnormal is not None and card.image]
    if not scored:
        return cards, None
    heat, reason = card_heat_maps(store, summary, head_card, scored)
    return [replace(card, heat=heat.get(card.crop_id)) for card in cards], reason


def gallery_crop(row: dict, stored: StoredCrop | None, classes: Sequence[str]) -> GalleryCrop:
    """Return one row of the work-list, or of the examples, for the gallery.

    A crop of the audit has no scores: whoever labels it is to judge by the picture alone.
    """
    places = ("crop_id", "region_kind", "tooth", "tooth_guess", "tooth_confidence", "label")
    scores = () if row.get("audit") else ("p_abnormal", "predicted", "flagged", "seen")
    found = None if row.get("audit") else row.get("probabilities")
    flags = row.get("quality_flags")
    return GalleryCrop(
        **{name: row[name] for name in places},
        **{name: row.get(name) for name in scores},
        audit=row.get("audit"),
        box=tuple(row[f"box_{side}"] for side in "xywh"),
        delivered=tuple(row[f"region_{side}"] for side in "xywh")
        if row["region_kind"] in ("box", "drawn")
        else None,
        quality=() if flags is None else tuple(flags),
        probabilities=None if found is None else dict(zip(classes, found, strict=True)),
        image=stored and jpeg(stored.pixels),
        scan_size=stored and stored.scan_size,
    )


def searched_scans(rows: list[dict], stored: Mapping[str, StoredCrop]) -> list[SearchedScan]:
    """Return panoramics reassembled from their stored crops, with the centre of every crop."""
    scans = []
    for (scan_id, _), group in groupby(rows, itemgetter("scan_id", "frame")):
        crops = list(group)
        scans.append(
            SearchedScan(
                scan_id=scan_id,
                size=(crops[0]["scan_w"], crops[0]["scan_h"]),
                centres=[tuple(map(round, square_of(row).centre)) for row in crops],
                tooth_guesses=[row["tooth_guess"] for row in crops],
                ranked=crops[0]["p_abnormal"] is not None,
                image=assembled(crops, stored),
            )
        )
    return scans


def scan_pairs(
    store: Store, recipe: str, pairs: list[dict], crops: Iterable[dict]
) -> list[ScanPair]:
    """Return pairs of the query near_duplicates with both scans, put together from `crops`."""
    by_scan: dict[str, list[dict]] = {}
    for row in crops:
        by_scan.setdefault(row["scan_id"], []).append(row)
    stored: dict[str, StoredCrop] = {}
    for batch in {rows[0]["batch"] for rows in by_scan.values()}:
        mine = {
            row["crop_id"] for rows in by_scan.values() for row in rows if row["batch"] == batch
        }
        stored |= read_crops(store, recipe, batch, mine)
    images = {scan_id: assembled(rows, stored, PAIR_EDGE) for scan_id, rows in by_scan.items()}
    return [
        ScanPair(
            distance=pair["distance"],
            scan_ids=(pair["scan_id"], pair["other_scan_id"]),
            batches=(pair["batch"], pair["other_batch"]),
            same_patient=pair["patient_key"] == pair["other_patient_key"] is not None,
            images=(images.get(pair["scan_id"]), images.get(pair["other_scan_id"])),
        )
        for pair in pairs
    ]


def assembled(
    crops: list[dict], stored: Mapping[str, StoredCrop], edge: int | None = None
) -> bytes | None:
    """A scan put together from its stored crops, black where none was cut, as JPEG."""
    found = [row for row in crops if row["crop_id"] in stored]
    # One crop of the whole scan needs no others.
    found = [row for row in found if row.get("region_kind") == "whole"][:1] or found
    if not found:
        return None
    pixels = [stored[row["crop_id"]].pixels for row in found]
    size = found[0]["scan_w"], found[0]["scan_h"]
    scan = mosaic(pixels, [square_of(row) for row in found], size)
    return jpeg(at_most(scan, edge) if edge else scan)


def square_of(row: Mapping) -> Place:
    """The square that a crop was cut from."""
    return Place(*(row[f"box_{side}"] for side in "xywh"))
