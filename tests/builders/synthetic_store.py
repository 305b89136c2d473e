"""A store with labelled crops, trunks and heads, written part by part without any network."""

import numpy as np

from pipeline import config, schemas
from pipeline.store import tables
from pipeline.store.registry import write_patients
from tests.builders.tables import (
    CROP_KEYS,
    promote,
    write_card,
    write_features,
    write_labels,
    write_rows,
)

SIDE, WIDTH, RECIPE = 8, 4, "r0"
CLASSES = ("healthy", "abscess", "caries")
TEETH = (36, 46, None)
# 8 × 8 pixels become 2 × 2 × 1 values.
TRUNK = config.Trunk(weights="random", layers=(config.Layer(filters=1, kernel=3, pool_size=4),))


class SyntheticStore:
    """Crops of made-up patients, two each in the batches b0 and b1, and predictions of heads."""

    def __init__(self, store, patients=120):
        self.store, self.patients = store, patients
        self.random = np.random.default_rng(0)
        self.labels = self.random.choice(CLASSES, 2 * patients, p=[0.5, 0.3, 0.2])
        write_labels(store, {self.crop_id(n): label for n, label in enumerate(self.labels)})
        self.write_scans()

    def crop_id(self, number):
        return f"{number:032x}:whole"

    def patient(self, number):
        return f"p{number // 2}"

    def crop_facts(self, number):
        return {
            "crop_id": self.crop_id(number),
            "scan_id": f"{number:032x}",
            "batch": f"b{number % 2}",
            "recipe": RECIPE,
            "patient_key": self.patient(number),
            "region": "whole",
            "region_kind": "whole",
            "tooth": TEETH[number % 3],
            "modality": "PX" if number % 5 else None,
        }

    def crop_numbers(self, batch):
        return range(batch, 2 * self.patients, 2)

    def write_scans(
        self,
        hashes=lambda number: f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}",
        given=lambda number: None,
    ):
        """Write the ledger; by default perceptual hashes of 64 bits with little in common.

        `given` is the side that the folder of a scan gives.
        """
        for batch in (0, 1):
            rows = [
                {
                    "batch": f"b{batch}",
                    "scan_id": f"{number:032x}",
                    "status": "accepted",
                    "attempt": 1,
                    "likeness": hashes(number),
                    "patient_key": self.patient(number),
                    "given_side": given(number),
                }
                for number in self.crop_numbers(batch)
            ]
            write_rows(self.store, tables.SCANS.part(f"b{batch}", 0), rows, schemas.SCANS)

    def add_trunk(self, trunk_id="t0", batches=(0, 1)):
        """A trunk's card and its features; an embedding's first value is the crop's number."""
        card = {
            "trunk": trunk_id,
            "recipe_id": RECIPE,
            "recipe": config.Recipe(side=SIDE).model_dump(mode="json"),
            "settings": TRUNK.model_dump(mode="json"),
            "made_at": "2026-11-24",
        }
        write_card(self.store, f"models/trunks/{trunk_id}", card)
        for batch in batches:
            rows = [self.crop_facts(number) for number in self.crop_numbers(batch)]
            columns = {name: [row[name] for row in rows] for name in rows[0]}
            values = np.zeros((len(rows), WIDTH))
            values[:, 0] = self.crop_numbers(batch)
            write_features(
                self.store, values, **columns | {"batch": f"b{batch}", "trunk": trunk_id}
            )
        return self

    def probabilities(self, skill):
        """Probabilities (N, 3) of a head; `skill` from -1 to 1 is how well it knows the labels."""
        truth = np.array([CLASSES.index(label) for label in self.labels])
        raw = 4 * skill * np.eye(3)[truth] + np.random.default_rng(1).standard_normal(
            (len(truth), 3)
        )
        return (np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)).astype(np.float32)

    def add_head(
        self,
        head_id,
        skill,
        trunk_id="t0",
        batches=(0, 1),
        made="2026-11-25",
        learned_from=(),
    ):
        """A head's card and its predictions."""
        card = {
            "head": head_id,
            "trunk": trunk_id,
            "recipe_id": RECIPE,
            "classes": list(CLASSES),
            "normal_class": CLASSES[0],
            "threshold": 0.5,
            "made_at": made,
        }
        write_patients(self.store, f"models/heads/{head_id}", learned_from)
        write_card(self.store, f"models/heads/{head_id}", card)
        predicted = self.probabilities(skill)
        for batch in batches:
            rows = [
                {
                    **{name: self.crop_facts(n)[name] for name in CROP_KEYS},
                    "trunk": trunk_id,
                    "head": head_id,
                    "predicted": CLASSES[predicted[n].argmax()],
                    "probabilities": predicted[n].tolist(),
                    "p_abnormal": 1 - predicted[n][0],
                    "flagged": bool(1 - predicted[n][0] >= 0.5),
                    "seen": False,
                }
                for n in self.crop_numbers(batch)
            ]
            name = tables.predictions(head_id).part(f"b{batch}", 0)
            write_rows(self.store, name, rows, schemas.PREDICTIONS)
        return self

    def promote(self, head_id, trunk_id="t0", number=1):
        promote(self.store, number, head_id, trunk_id, RECIPE)
        return self
