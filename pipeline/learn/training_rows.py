"""Labelled crops of a store: check that there are enough to train a head, and read their rows.

Nothing here imports Keras or scikit-learn, so that checking is fast.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.config import Settings
from pipeline.errors import NotEnoughData
from pipeline.learn.background_rows import BackgroundRows, background_rows
from pipeline.model.head.rows import Embeddings, over_rows
from pipeline.model.scores import splits
from pipeline.store import catalog
from pipeline.store.crop_query import add_label, labels_in_force
from pipeline.store.embeddings import StoredEmbeddings, held_if_small
from pipeline.store.features import FACTS
from pipeline.store.parts import pixel_values, read_part
from pipeline.store.patient_sides import patient_sides, sides_for
from pipeline.store.registry import ModelChoice, trunk_patients
from pipeline.store.store import Store
from pipeline.store.tables import Table

SPOILT = "spoilt"


@dataclass(frozen=True)
class TrainingRows:
    """Labelled crops: row i of everything belongs to one crop."""

    facts: pd.DataFrame
    embeddings: Embeddings  # of N rows, held or in Parquet
    classes: tuple[str, ...]  # the normal class first
    truth: np.ndarray  # class numbers (N,)
    sides: np.ndarray  # train, validation or test (N,)
    background: BackgroundRows | None = None  # other rows, of places without a tooth

    @property
    def patients(self) -> np.ndarray:
        return self.facts["patient_key"].to_numpy()

    def embeddings_of(self, mask: np.ndarray) -> np.ndarray:
        """Read the embeddings of the rows of `mask` (N,), float16 (n, width), into memory."""
        return over_rows(self.embeddings, mask, lambda rows: rows)


def require_enough(store: Store, chosen: ModelChoice, settings: Settings) -> None:
    """Raise NotEnoughData, with counts, unless each side has enough patients and both kinds.

    Reads labels and patients only.
    """
    with catalog.open_store(store, "labelled", "given_sides") as con:
        labelled = catalog.query(con, "labelled", trunk=chosen.trunk_id)
        labelled["side"] = _sides_on(store, con, chosen, labelled["patient_key"])
    labelled["normal"] = labelled["label"] == settings.normal_class
    counts = []
    for side in splits.SIDES:
        rows = labelled[labelled["side"] == side]
        normal = int(rows["normal"].sum())
        counts.append((side, rows["patient_key"].nunique(), normal, len(rows) - normal))
    least = settings.head.min_patients
    if all(patients >= least and normal and abnormal for _, patients, normal, abnormal in counts):
        return
    sides = "; ".join(
        f"{side} side: {patients} patients, {normal} normal and {abnormal} abnormal crops"
        for side, patients, normal, abnormal in counts
    )
    raise NotEnoughData(
        f"Too few labels to train a head. {sides}. Each side needs {least} patients and crops of "
        f"both kinds, normal being `{settings.normal_class}`. Deliver more labelled scans, or set "
        "`normal_class` to your label for it."
    )


def labelled_rows(store: Store, chosen: ModelChoice, settings: Settings) -> TrainingRows:
    """Read every crop with an embedding and a label in force, in the order of their ids.

    Raises NotEnoughData when nothing was embedded with the trunk.
    """
    names = chosen.features.names(store)
    if not names:
        raise NotEnoughData(
            f"The store has no embedding by trunk {chosen.trunk_id}. Run its batches with it "
            "first: dental run path/to/folder"
        )
    columns = [name for name in FACTS if name != "label"]
    tables = [read_part(store, name, chosen.features.schema, columns) for name in names]
    facts = pd.concat([table.to_pandas() for table in tables], ignore_index=True)
    add_label(facts, labels_in_force(store))
    with catalog.open_store(store, "given_sides") as con:
        facts["side"] = _sides_on(store, con, chosen, facts["patient_key"])
    labelled = np.flatnonzero(facts["label"].notna() & (facts["side"] != SPOILT))
    order = labelled[np.argsort(facts["crop_id"].to_numpy()[labelled].astype(str))]
    numbers = np.full(len(facts), -1)
    numbers[order] = np.arange(len(order))
    ends = np.cumsum([table.num_rows for table in tables])[:-1]
    places = dict(zip(names, np.split(numbers, ends), strict=True))
    embeddings = StoredEmbeddings.of(store, chosen.features, places)
    facts = facts.iloc[order].reset_index(drop=True)
    sides = facts.pop("side").to_numpy("<U10")
    labels = facts["label"].to_numpy().astype(str)
    normal = settings.normal_class
    classes = (normal, *sorted(set(labels) - {normal}))
    truth = np.array([classes.index(label) for label in labels], np.int64)
    embeddings = held_if_small(embeddings, len(facts))
    return TrainingRows(facts, embeddings, classes, truth, sides, background_rows(store, chosen))


def _sides_on(store: Store, con, chosen: ModelChoice, patient_keys: pd.Series) -> np.ndarray:
    """The sides (N,) of rows on a trunk; `SPOILT` for a test patient that the trunk learned from.

    Such a row is neither tested, as the trunk knows it, nor learned from, as it was given for a
    test.
    """
    sides = patient_sides(con, patient_keys)
    learned_from = trunk_patients(store, chosen.trunk_id)
    return np.where(sides == sides_for(sides, patient_keys, learned_from), sides, SPOILT)


def crops_of(
    store: Store, table: Table, facts: pd.DataFrame
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield stored crops of the rows in portions: row numbers (n,) and uint8 (n, side, side).

    `facts` have `crop_id` and `batch` of every row; `table` is crops or background_crops. Rows
    whose crops were deleted are left out.
    """
    positions = {crop_id: number for number, crop_id in enumerate(facts["crop_id"])}
    for batch in sorted(set(facts["batch"])):
        for number in table.numbers(store, batch):
            for numbers, rows in table.select(store, batch, number, positions, ["pixels"]):
                yield numbers, pixel_values(rows)
