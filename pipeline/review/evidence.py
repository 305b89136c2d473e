"""What speaks for a prediction: the heat map of a crop, and similar and earlier crops.

Computed on demand from stored embeddings; no scan, trunk or TensorFlow is needed.
"""

from collections.abc import Collection, Mapping

import numpy as np

from pipeline.config import Settings
from pipeline.errors import ConfigError
from pipeline.report.explain_crop import Explainer
from pipeline.review.cards import Cards
from pipeline.store.neighbours import Neighbours
from pipeline.store.store import Store

SIMILAR, EARLIER = 3, 4  # crops that are shown
SAME_PLACE = 0.06  # of the width and of the height: about a tooth's width on a panoramic
MEMORY = 2**30  # bytes of embeddings kept for similar crops: 65,000 of the default trunk


class Evidence:
    """Heat maps and similar crops of one store, by the champion of the moment this was made."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._explainer: Explainer | None = None
        self._neighbours: Neighbours | None = None

    def heat_map(self, row: dict) -> dict | None:
        """The cells of the heat map of a crop, row by row, and the finding they speak for.

        Cells are rounded to 1/127 of the strongest, whose log-odds are `strongest`. None without a
        head, when it does not belong to the crop's trunk, or when embeddings are vectors.
        """
        try:
            self._explainer = self._explainer or Explainer.of(self._settings)
        except ConfigError:
            return None
        explainer = self._explainer
        if row["trunk"] != explainer.champion["trunk"] or explainer.chosen.map is None:
            return None
        found = explainer.explain(explainer.embedding(row))
        strongest = float(np.abs(found.cells).max()) or 1.0
        return {
            "shape": list(found.cells.shape),
            "cells": np.rint(127 * found.cells / strongest).astype(int).ravel().tolist(),
            "strongest": round(strongest, 3),
            "finding": explainer.classes[found.finding],
            "normal": explainer.card["normal_class"],
            "log_odds": round(found.difference, 2),
        }

    def similar(
        self, crop_id: str, cards: Cards, labels: Mapping[str, str], excluded: Collection[str] = ()
    ) -> list[dict]:
        """The most similar labelled crops of other patients, those of the same modality first.

        Returns crop_id, label and similarity of each. `excluded` crops are not shown.
        """
        row = cards.rows[crop_id]
        if self._neighbours is None:
            store = Store(self._settings.store)
            self._neighbours = Neighbours(store, trunk=row["trunk"], memory=MEMORY)
        labelled = labels.keys() - set(excluded)
        alike = {each for each in labelled if _modality(cards, each) == row["modality"]}
        found = []
        for among in (alike, labelled - alike):
            if among and len(found) < SIMILAR:
                nearest = self._neighbours.of(crop_id, SIMILAR - len(found), among=among)
                found += [
                    {"id": each.crop_id, "label": labels[each.crop_id], "like": each.similarity}
                    for each in nearest.itertuples()
                ]
        return [{**each, "like": round(float(each["like"]), 3)} for each in found]


def earlier(crop_id: str, cards: Cards) -> list[str]:
    """Crops of the same patient's other scans that show the same tooth, by batch.

    Where no tooth is known, those at the same place of a scan of the same kind.
    """
    mine, card = cards.rows[crop_id], cards.by_id[crop_id]
    found = [
        row
        for row in cards.rows.values()
        if row["patient_key"] == mine["patient_key"]
        and row["scan_id"] != mine["scan_id"]
        and _same_place(card, cards.by_id[row["crop_id"]])
    ]
    found.sort(key=lambda row: (row["batch"], row["part"], row["crop_id"]))
    return [row["crop_id"] for row in found[:EARLIER]]


def _same_place(one: dict, other: dict) -> bool:
    teeth = {card.get("tooth", card.get("guess")) for card in (one, other)}
    if one["kind"] != other["kind"] or len(teeth) > 1:
        return False
    distances = (abs(a - b) for a, b in zip(_centre(one), _centre(other), strict=True))
    return teeth != {None} or one["kind"] == "whole" or max(distances) < SAME_PLACE


def _centre(card: dict) -> tuple[float, ...]:
    """The centre of a crop's place, as shares of the scan."""
    x, y, width, height = card["place"]
    scan_width, scan_height = card["size"]
    return (x + width / 2) / scan_width, (y + height / 2) / scan_height


def _modality(cards: Cards, crop_id: str) -> str | None:
    row = cards.rows.get(crop_id)
    return row["modality"] if row else None
