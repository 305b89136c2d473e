"""A store with labelled rows, trunks and heads, written part by part without any network."""

import json
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from pipeline import config, schemas
from pipeline.store import part_names, parts

SIDE, WIDTH, RECIPE = 8, 4, "r0"
CLASSES = ("healthy", "abscess", "caries")
TEETH = (36, 46, None)
# 8 × 8 pixels become 2 × 2 × 1 values.
TRUNK = config.Trunk(weights="random", layers=(config.Layer(filters=1, kernel=3, pool_size=4),))


class Stored:
    """Crops of made-up patients, two each in two batches, and what heads say about them."""

    def __init__(self, store, patients=120):
        self.store, self.patients = store, patients
        self.random = np.random.default_rng(0)
        self.labels = self.random.choice(CLASSES, 2 * patients, p=[0.5, 0.3, 0.2])
        write_labels(store, {self.crop_id(n): label for n, label in enumerate(self.labels)})
        self.scans()

    def crop_id(self, number):
        return f"{number:032x}:whole"

    def patient(self, number):
        return f"p{number // 2}"

    def facts(self, number):
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

    def numbers(self, batch):
        return range(batch, 2 * self.patients, 2)

    def scans(self, hashes=lambda number: f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}"):
        """The ledger; hashes of 64 bits that have little in common unless told otherwise."""
        for batch in (0, 1):
            rows = [
                {
                    "batch": f"b{batch}",
                    "scan_id": f"{number:032x}",
                    "status": "accepted",
                    "attempt": 1,
                    "likeness": hashes(number),
                    "patient_key": self.patient(number),
                }
                for number in self.numbers(batch)
            ]
            write(self.store, part_names.scans_name(f"b{batch}", 0), rows, schemas.SCANS)

    def trunk(self, trunk_id="t0", batches=(0, 1)):
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
            numbers = list(self.numbers(batch))
            table = pa.Table.from_pylist([self.facts(n) for n in numbers], schemas.features(WIDTH))
            values = np.zeros((len(numbers), WIDTH), np.float16)
            values[:, 0] = numbers
            item = table.schema.field("embedding").type
            vectors = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), type=item)
            place = table.schema.get_field_index("embedding")
            table = table.set_column(place, table.schema.field("embedding"), vectors)
            table = table.set_column(
                table.schema.get_field_index("trunk"), "trunk", pa.array([trunk_id] * len(numbers))
            )
            name = part_names.features_name(trunk_id, f"b{batch}", 0)
            parts.write_part(self.store, name, table, schemas.features(WIDTH))
        return self

    def says(self, skill):
        """Probabilities (N, 3) of a head that knows so much, -1 to 1, about every label."""
        truth = np.array([CLASSES.index(label) for label in self.labels])
        raw = 4 * skill * np.eye(3)[truth] + np.random.default_rng(1).standard_normal(
            (len(truth), 3)
        )
        return (np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)).astype(np.float32)

    def head(self, head_id, skill, trunk_id="t0", batches=(0, 1), made="2026-11-25"):
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
        write_card(self.store, f"models/heads/{head_id}", card)
        said = self.says(skill)
        for batch in batches:
            rows = [
                {
                    **{name: self.facts(n)[name] for name in KEPT},
                    "trunk": trunk_id,
                    "head": head_id,
                    "predicted": CLASSES[said[n].argmax()],
                    "probabilities": said[n].tolist(),
                    "p_abnormal": 1 - said[n][0],
                    "flagged": bool(1 - said[n][0] >= 0.5),
                    "seen": False,
                }
                for n in self.numbers(batch)
            ]
            name = part_names.predictions_name(head_id, f"b{batch}", 0)
            write(self.store, name, rows, schemas.PREDICTIONS)
        return self

    def champion(self, head_id, trunk_id="t0", number=1):
        record = {"recipe": RECIPE, "trunk": trunk_id, "head": head_id}
        self.store.create(f"models/promotions/{number:05d}.json", json.dumps(record).encode())
        return self


KEPT = ("crop_id", "scan_id", "batch", "recipe", "patient_key")


def write(store, name, rows, schema):
    parts.write_part(store, name, pa.Table.from_pylist(rows, schema), schema)


def write_card(store, home, card):
    store.write_bytes(f"{home}/card.json", json.dumps(card).encode())


def write_labels(store, labels, source="delivered"):
    """Append labels by crop id."""
    when = datetime(2026, 11, 2 if source == "delivered" else 3, tzinfo=UTC)
    rows = [
        {
            "crop_id": crop_id,
            "scan_id": crop_id.split(":")[0],
            "label": label,
            "source": source,
            "labelled_at": when,
        }
        for crop_id, label in labels.items()
    ]
    write(store, part_names.labels_name(source, 0), rows, schemas.LABELS)
