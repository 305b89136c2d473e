"""Cards of the review page: one per crop, with everything that is shown with its picture.

A card is a dictionary that becomes JSON. Keys without a value are left out. Positions are source
pixels. Patients are numbers that mean nothing outside one page.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

import pandas as pd

from pipeline.config import Settings
from pipeline.store import catalog
from pipeline.store.registry import champion, head_home, read_card
from pipeline.store.store import Store

MOST_CARDS = 20_000  # of one page; a batch with more is shown from the top of its work-list
# Scores and labels of a crop, hidden while a reader is to judge it by its picture alone.
HIDDEN = (
    *("predicted", "probabilities", "p", "flagged", "seen", "repeat", "novelty", "next"),
    *("label", "source", "suggested", "doubt"),
)
PLACES = {"box": "box", "place": "region"}  # name on the card: prefix of the columns


@dataclass(frozen=True)
class Classes:
    """What a crop can be labelled, and how the champion scores it."""

    labels: tuple[str, ...]  # findings, those of the champion first
    normal: str
    scored: tuple[str, ...] = ()  # in the order of the probabilities; empty without a head
    threshold: float | None = None
    head: str | None = None


@dataclass(frozen=True)
class Cards:
    """The crops of a store, as of one moment."""

    by_id: Mapping[str, dict]  # in the order of the work-list
    rows: Mapping[str, dict]  # where each crop is stored: trunk, recipe, batch, part, square
    scans: Mapping[str, list[str]]  # crops of each scan, or of each frame of it
    classes: Classes
    total: int  # crops there are, also those beyond the first 20,000
    batches: list[str]  # of the whole store


STORED = (
    *("crop_id", "scan_id", "batch", "part", "recipe", "trunk", "region", "patient_key"),
    *("modality", "tooth", "scan_w", "scan_h", "box_x", "box_y", "box_w", "box_h"),
)


def read_cards(settings: Settings, batch: str | None = None, limit: int = MOST_CARDS) -> Cards:
    """Read the cards of a batch, or of all, from the store."""
    store = Store(settings.store).snapshot()
    with catalog.open_store(store) as con:
        found = catalog.query(con, "review_cards", batch=batch, limit=limit)
        batches = catalog.query(con, "batches")["batch"].tolist()
        next_ids = catalog.query(con, "label_next", batch=batch, limit=limit)["crop_id"]
        known = catalog.query(con, "known_labels")["label"].tolist()
    rows = to_rows(found)
    patients = {key: number for number, key in enumerate(found["patient_key"].unique())}
    turns = {crop_id: number for number, crop_id in enumerate(next_ids)}
    cards, scans = {}, defaultdict(list)
    for row in rows:
        scans[scan_key(row)].append(row["crop_id"])
        card = to_card(row, patients[row["patient_key"]], turns.get(row["crop_id"]))
        cards[row["crop_id"]] = card
    return Cards(
        by_id=cards,
        rows={row["crop_id"]: {name: row[name] for name in STORED} for row in rows},
        scans=scans,
        classes=classes_of(settings, store, known),
        total=rows[0]["all_crops"] if rows else 0,
        batches=batches,
    )


def read_readings(store: Store) -> list[tuple[str, str, str, str | None]]:
    """Every decision in effect, the latest last: crop_id, reviewer, decision and label."""
    with catalog.open_store(store) as con:
        return [tuple(row.values()) for row in to_rows(catalog.query(con, "review_readings"))]


def classes_of(settings: Settings, store: Store, known: list[str]) -> Classes:
    """The labels that a reviewer may give: the champion's, the settings', those ever given."""
    current = champion(store)
    card = read_card(store, head_home(current["head"])) if current else {}
    scored = tuple(card.get("classes", ()))
    normal = card.get("normal_class", settings.normal_class)
    labels = dict.fromkeys((*scored, *settings.classes, *sorted(known), settings.normal_class))
    labels.pop(normal, None)
    head = current["head"] if current else None
    return Classes(tuple(labels), normal, scored, card.get("threshold"), head)


def to_card(row: dict, patient: int, turn: int | None) -> dict:
    """One crop's card, without keys that have no value."""
    probabilities = row["probabilities"]
    card = {
        "id": row["crop_id"],
        "scan": scan_key(row),
        "batch": row["batch"],
        "patient": patient,
        "kind": row["region_kind"],
        "tooth": row["tooth"],
        "guess": row["tooth_guess"],
        "sure": rounded(row["tooth_confidence"], 2),
        "modality": row["modality"] or ("PX" if row["panoramic"] else None),
        "size": [row["scan_w"], row["scan_h"]],
        "quality": list(row["quality_flags"] if row["quality_flags"] is not None else ()) or None,
        "audit": row["audit"] or None,
        "predicted": row["predicted"],
        "probabilities": None
        if probabilities is None
        else [round(float(p), 3) for p in probabilities],
        "p": rounded(row["p_abnormal"], 4),
        "flagged": row["flagged"] or None,
        "seen": row["seen"] or None,
        "repeat": row["again"] or None,
        "novelty": rounded(row["novelty_place"], 3),
        "label": row["label"],
        "source": row["source"],
        "suggested": row["suggested"],
        "doubt": None if row["self_confidence"] is None else rounded(1 - row["self_confidence"], 3),
        "next": turn,
    }
    for name, prefix in PLACES.items():
        card[name] = [row[f"{prefix}_{edge}"] for edge in "xywh"]
    return {name: value for name, value in card.items() if value is not None}


def scan_key(row: Mapping) -> str:
    """The picture that a crop was cut from: its scan_id, with the frame of a scan of several."""
    frame = row["region"].partition("-")[0]
    return f"{row['scan_id']}/{frame}" if frame[1:].isdigit() else row["scan_id"]


def rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(float(value), digits)


def to_rows(frame: pd.DataFrame) -> list[dict]:
    """Rows as dictionaries of Python's own types, None for missing values."""
    columns = {}
    for name in frame:
        values = frame[name]
        if values.dtype.kind == "f" and name.startswith("tooth") and name != "tooth_confidence":
            values = values.astype("Int64")  # DuckDB gives integers with missing values as floats
        columns[name] = values.astype(object).where(values.notna(), None)
    lists = [columns[name].tolist() for name in columns]
    return [dict(zip(columns, values, strict=True)) for values in zip(*lists, strict=True)]


def blind(card: dict) -> dict:
    """The card of a crop whose scores and labels a reader may not know yet."""
    return {name: value for name, value in card.items() if name not in HIDDEN} | {"blind": True}


def interleave(ranked: list[dict], unranked: list[dict]) -> list[dict]:
    """Both in one list: an unranked card, in the order of its id, after every third ranked one.

    The order of the unranked depends on nothing that a head computed.
    """
    rest = iter(sorted(unranked, key=lambda card: card["id"]))
    found = []
    for start in range(0, len(ranked), 3):
        found += ranked[start : start + 3]
        found += islice(rest, 1)
    return found + list(rest)
