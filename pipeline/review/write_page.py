"""The review page of one batch as one self-contained file, for readers without the store.

It has crops, scans put together from them, and for the first hundred crops heat maps and similar
crops. Audit crops are left out. Every picture is listed by its crop_id, so that `forget` finds the
pages that show a patient.
"""

import base64
import hashlib

from pipeline.config import Settings
from pipeline.errors import ConfigError
from pipeline.progress import progress
from pipeline.review.cards import Cards, read_cards
from pipeline.review.evidence import Evidence, earlier
from pipeline.review.page import file_html
from pipeline.review.pictures import Pictures

QUALITY = 80  # of WebP: 8 KB a crop
EXPLAINED = 100  # crops with heat map and similar crops
MOST = 5000  # crops of one file: 50 MB


def page_name(batch: str) -> str:
    """The name of a batch's page in the store."""
    return f"reports/review/{batch}.html"


def build_page(settings: Settings, batch: str) -> str:
    """Return the page of a batch; ConfigError when it has no crops that can be shown."""
    cards = read_cards(settings, batch, MOST)
    if not cards.by_id:
        raise ConfigError(
            f"Batch {batch} has no crops to review. Batches with crops are listed by: dental query "
            "batches"
        )
    shown = [card for card in cards.by_id.values() if not card.get("audit")]
    pictures = Pictures(settings, QUALITY)
    wanted = [card["id"] for card in shown]
    about, heat = explained(settings, cards, wanted[:EXPLAINED])
    similar = {each["id"] for found in about.values() for each in found["similar"]}
    data = {
        "batch": batch,
        # Decisions are kept in the browser under it: two versions of a page do not mix.
        "key": hashlib.sha256("".join(wanted).encode()).hexdigest()[:12],
        "cards": shown,
        "total": len(shown),
        "batches": [batch],
        "classes": vars(cards.classes),
        "about": about,
        "heat": heat,
        "scans": scans(pictures, cards, shown),
        "pictures": crops(pictures, cards, [*wanted, *sorted(similar.difference(wanted))]),
    }
    return file_html(batch, data)


def explained(settings: Settings, cards: Cards, crop_ids: list[str]) -> tuple[dict, dict]:
    """Similar and earlier crops, and heat maps, of some crops by their id."""
    evidence, about, heat = Evidence(settings), {}, {}
    audited = {crop_id for crop_id, card in cards.by_id.items() if card.get("audit")}
    labels = {
        crop_id: card["label"]
        for crop_id, card in cards.by_id.items()
        if "label" in card and crop_id not in audited
    }
    with progress("explain", len(crop_ids)) as advance:
        for crop_id in crop_ids:
            before = [each for each in earlier(crop_id, cards) if each not in audited]
            about[crop_id] = {
                "similar": evidence.similar(crop_id, cards, labels),
                "earlier": [
                    {"id": each, "label": labels.get(each), "batch": cards.rows[each]["batch"]}
                    for each in before
                ],
            }
            if found := evidence.heat_map(cards.rows[crop_id]):
                heat[crop_id] = found
            advance(1)
    return about, heat


def crops(pictures: Pictures, cards: Cards, crop_ids: list[str]) -> dict[str, str]:
    """Crops in base64 by their id."""
    found = {}
    with progress("pictures", len(crop_ids)) as advance:
        for row in pictures.in_stored_order(cards.rows[crop_id] for crop_id in crop_ids):
            if data := pictures.crop(row):
                found[row["crop_id"]] = base64.b64encode(data).decode()
            advance(1)
    return found


def scans(pictures: Pictures, cards: Cards, shown: list[dict]) -> dict[str, str]:
    """Scans put together from their crops, in base64; a whole crop is its own scan.

    Never the delivered files: names may be burned into their margins.
    """
    found = {}
    for scan in dict.fromkeys(card["scan"] for card in shown if card["kind"] != "whole"):
        if data := pictures.mosaic([cards.rows[crop_id] for crop_id in cards.scans[scan]]):
            found[scan] = base64.b64encode(data).decode()
    return found
