"""Explanation of the champion's prediction for a crop: a heat map from the stored embedding."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.config import Settings
from pipeline.errors import ConfigError
from pipeline.model.explain import Explanation, explain
from pipeline.model.head import dense
from pipeline.model.head.abnormal_probability import to_predictions
from pipeline.report.crop_pixels import read_crops
from pipeline.report.heat_map import Overlay, draw
from pipeline.report.source_scan import read_source_scan
from pipeline.store import catalog, tables
from pipeline.store.parts import embedding_values, find_rows
from pipeline.store.regions import frame_number
from pipeline.store.registry import ModelChoice, champion, head_home, read_card, stored_choice
from pipeline.store.store import Store


@dataclass(frozen=True)
class CropExplanation:
    """The champion's prediction for one crop, with the evidence for and against it."""

    explanation: Explanation
    finding: str  # the class that is compared with `normal`
    normal: str
    place: dict  # the row of the query `whereabouts`
    facts: dict[str, str]  # for people to read


@dataclass(frozen=True)
class Explainer:
    """The champion, loaded once to explain its predictions for many crops."""

    store: Store
    champion: dict  # its promotion
    card: dict
    head: dense.DenseNetwork
    chosen: ModelChoice

    @classmethod
    def of(cls, settings: Settings) -> "Explainer":
        """Load the champion; raises ConfigError when there is none."""
        store = Store(settings.store)
        current = champion(store)
        if current is None:
            raise ConfigError(
                f"The store {settings.store} has no head yet, so there is no prediction to "
                "explain. Train one with: dental train"
            )
        home = head_home(current["head"])
        head = dense.from_bytes(store.read_bytes(f"{home}/model.keras"))
        chosen = stored_choice(store, current["trunk"])
        return cls(store, current, read_card(store, home), head, chosen)

    @property
    def classes(self) -> list[str]:
        return self.card["classes"]

    @property
    def normal(self) -> int:
        """The number of the normal class."""
        return self.classes.index(self.card["normal_class"])

    def embedding(self, place: dict) -> np.ndarray:
        """The stored embedding, float16 (width,), of a crop by its trunk, batch, part and id."""
        features = tables.features(place["trunk"], self.chosen.width)
        name, crop_ids = features.part(place["batch"], place["part"]), [place["crop_id"]]
        rows = find_rows(self.store, name, features.schema, "crop_id", crop_ids, ["embedding"])
        if not rows.num_rows:
            raise ConfigError(f"{name} was replaced while it was read; run the command again.")
        return embedding_values(rows)[0]

    def explain(self, embedding: np.ndarray) -> Explanation:
        """Explain the most probable finding for one embedding.

        Raises ConfigError when embeddings are vectors, which have no map.
        """
        shape = self.chosen.map
        if shape is None:
            raise ConfigError(
                f"Trunk {self.chosen.trunk_id} stores vectors, which have no map, so there is no "
                "heat map. Use a trunk with a map: set `trunk.pool` to none or to a number of "
                "cells, run the batches again, then: dental train"
            )
        return explain(self.head.only(len(self.classes)), embedding, self.normal, shape)


def explain_crop(settings: Settings, crop_id: str) -> CropExplanation:
    """Explain the champion's prediction for the stored embedding of a crop.

    Raises ConfigError when there is no champion or no embedding of that crop by its trunk.
    """
    explainer = Explainer.of(settings)
    current, card, normal = explainer.champion, explainer.card, explainer.normal
    place = _place(explainer.store, crop_id, current["trunk"])
    embedding = explainer.embedding(place)
    found = explainer.explain(embedding)
    outputs = dense.softmax(explainer.head.logits(embedding))[np.newaxis]
    kinds = [place["region_kind"]]
    [probabilities], [abnormal] = to_predictions(outputs, len(explainer.classes), normal, kinds)
    flag = "flagged" if abnormal >= card["threshold"] else "not flagged"
    facts = {
        "crop": crop_id,
        "predicted": card["classes"][int(probabilities.argmax())],
        "p(abnormal)": f"{abnormal:.3f} ({flag}; threshold {card['threshold']:.3f})",
        "label": place["label"] or "none",
        "head": current["head"],
    }
    return CropExplanation(
        found, card["classes"][found.finding], card["normal_class"], place, facts
    )


def heat_map_png(
    settings: Settings, found: CropExplanation, scan: Path | None, on_scan: bool
) -> bytes:
    """Return the heat map as a PNG file, drawn over the stored crop or over the original scan.

    The scan is used with `on_scan`, when `scan` names its file, and when the crop was deleted.
    Raises ConfigError when the scan is needed and cannot be read.
    """
    place, store = found.place, Store(settings.store)
    crop_id, batch = place["crop_id"], place["batch"]
    stored = read_crops(store, place["recipe"], batch, {crop_id}).get(crop_id)
    if on_scan or scan or stored is None:
        frames = read_source_scan(settings, place["scan_id"], batch, place["part"], scan)
        pixels = frames[frame_number(place["region"])]
        square = tuple(place[f"box_{side}"] for side in "xywh")
    else:
        pixels, square = stored.pixels, (0, 0, *stored.pixels.shape)
    overlay = Overlay(
        pixels=pixels,
        square=square,
        cells=found.explanation.cells,
        constant=found.explanation.constant,
        finding=found.finding,
        normal=found.normal,
        facts=found.facts,
    )
    return draw(overlay)


def _place(store: Store, crop_id: str, trunk_id: str) -> dict:
    """Return the crop's row of `whereabouts` as Python types, None for missing values."""
    rows = catalog.ask(store, "whereabouts", crop_id=crop_id, trunk=trunk_id)
    if rows.empty:
        raise ConfigError(
            f"There is no crop `{crop_id}` with an embedding of the champion's trunk {trunk_id}. "
            "Copy an id from the work-list: dental worklist"
        )
    row = rows.astype(object).iloc[0]
    return row.where(row.notna(), None).to_dict()
