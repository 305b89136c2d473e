"""Stored crops as training data of a trunk, streamed from their parts."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from pipeline import schemas
from pipeline.config import Settings
from pipeline.errors import NotEnoughData
from pipeline.store import catalog
from pipeline.store.crop_query import labels_in_force
from pipeline.store.parts import open_part, read_part
from pipeline.store.patient_sides import patient_sides
from pipeline.store.regions import withdrawn_crops
from pipeline.store.registry import ModelChoice
from pipeline.store.store import Store
from pipeline.store.tables import Table

MIN_CROPS = 64  # on the training side, with or without labels
COLUMNS = ["crop_id", "patient_key"]


@dataclass(frozen=True)
class CropSource:
    """The crops of a recipe that a trunk learns from, on the training and validation side.

    Facts are in memory, pixels are not: they are read one row group at a time, in another order in
    each epoch. With labels, class 0 is the normal one and crops without a label are left out; the
    background is the last class then, and every epoch draws as many of its rows as have a label.
    """

    store: Store
    side: int
    facts: pd.DataFrame  # part, row, crop_id, patient_key, label, class, split; by crop_id
    class_names: tuple[str, ...]  # one, without a name, when there are no labels
    background_facts: pd.DataFrame  # of the training side: part, row, crop_id, patient_key, class

    @property
    def class_count(self) -> int:
        return len(self.class_names) + self.background

    @property
    def labels(self) -> bool:
        return len(self.class_names) > 1

    @property
    def background(self) -> bool:
        return len(self.background_facts) > 0

    @property
    def patients(self) -> set[str]:
        """Keyed patients whose crops are learned from or decide when to stop."""
        learned = self.facts.loc[self.facts["split"] != "test", "patient_key"]
        return {*learned, *self.background_facts["patient_key"]}

    @cached_property
    def classes(self) -> np.ndarray:
        """Class numbers of the rows of one epoch."""
        background = self.background_facts["class"][: self._background_count]
        return np.append(self._of("train")["class"], background)

    @property
    def _background_count(self) -> int:
        """Background rows of an epoch."""
        return min(len(self.background_facts), len(self._of("train")))

    def training(self, random: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        rows = self._of("train")
        if self._background_count:
            every = len(self.background_facts)
            drawn = random.choice(every, self._background_count, replace=False)
            rows = pd.concat([rows, self.background_facts.iloc[drawn]])
        return self._pieces(rows, random)

    def validation(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return self._pieces(self._of("validation"), None)

    def _of(self, split: str) -> pd.DataFrame:
        return self.facts[self.facts["split"] == split]

    def _pieces(self, rows: pd.DataFrame, random) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        names = sorted(set(rows["part"]))
        for name in names if random is None else random.permutation(names):
            of_part = rows[rows["part"] == name].sort_values("row")
            yield from self._pieces_of_part(str(name), of_part, random)

    def _pieces_of_part(self, name: str, of_part: pd.DataFrame, random):
        rows, classes = of_part["row"].to_numpy(), of_part["class"].to_numpy()
        with open_part(self.store, name, schemas.crops(self.side), ["pixels"]) as file:
            sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
            starts = np.cumsum([0, *sizes])
            groups = range(len(sizes)) if random is None else random.permutation(len(sizes))
            for group in groups:
                inside = (rows >= starts[group]) & (rows < starts[group + 1])
                if not inside.any():
                    continue
                column = file.read_row_group(int(group), columns=["pixels"]).column(0)
                pixels = b"".join(column.take(rows[inside] - starts[group]).to_pylist())
                crops = np.frombuffer(pixels, np.uint8).reshape(-1, self.side, self.side)
                yield crops, classes[inside]


def crop_source(store: Store, chosen: ModelChoice, settings: Settings) -> CropSource:
    """Find the crops to learn from: with labels where both sides have enough, else without.

    Raises NotEnoughData when the training side has too few crops even for that.
    """
    facts = _facts(store, chosen)
    learned = facts[facts["split"] != "test"]
    labelled = learned[learned["label"].notna()]
    if settings.learn.labels and not lacking(labelled, settings):
        normal = settings.normal_class
        names = (normal, *sorted(set(labelled["label"]) - {normal}))
        facts, numbers = labelled, labelled["label"].map(names.index)
    else:
        names, facts = ("",), learned
        numbers = pd.Series(0, index=learned.index)
    facts = facts.assign(**{"class": numbers.astype(np.int64)})
    if (count := int((facts["split"] == "train").sum())) < MIN_CROPS:
        raise NotEnoughData(
            f"The training side has {count} crops to learn a trunk from, and {MIN_CROPS} are "
            "needed. Deliver more scans, or go on with the trunk that comes with the package."
        )
    return _with_background(store, chosen, facts.reset_index(drop=True), names)


def on_sides(
    store: Store, chosen: ModelChoice, crop_ids, truth: np.ndarray, sides: np.ndarray, class_names
) -> CropSource:
    """Take crops with these class numbers (N,) and sides (N,) instead of their own."""
    given = pd.DataFrame({"crop_id": crop_ids, "class": truth, "split": sides})
    facts = _facts(store, chosen).drop(columns="split").merge(given, on="crop_id")
    if len(class_names) == 1:
        facts["class"] = 0
    return _with_background(store, chosen, facts, tuple(class_names))


def _with_background(
    store: Store, chosen: ModelChoice, facts: pd.DataFrame, class_names: tuple[str, ...]
) -> CropSource:
    """Add the background of patients whose labels are learned from; none without labels."""
    training = (facts["split"] == "train") & (len(class_names) > 1)
    patients = set(facts.loc[training, "patient_key"])
    side = chosen.recipe.side
    background = _locations(store, chosen.background_crops)
    background = background[background["patient_key"].isin(patients)]
    background = background.assign(**{"class": len(class_names)}).reset_index(drop=True)
    return CropSource(store, side, facts, class_names, background)


def lacking(labelled: pd.DataFrame, settings: Settings) -> str:
    """Describe the sides with too few labelled crops to learn from; empty when there are enough."""
    least, normal, sides = settings.head.min_patients, settings.normal_class, []
    for side in ("train", "validation"):
        rows = labelled[labelled["split"] == side]
        patients, healthy = rows["patient_key"].nunique(), int((rows["label"] == normal).sum())
        if patients < least or healthy in (0, len(rows)):
            sides.append(
                f"{side} side: {patients} patients, {healthy} normal and {len(rows) - healthy} "
                "abnormal crops"
            )
    return "; ".join(sides)


def _facts(store: Store, chosen: ModelChoice) -> pd.DataFrame:
    """Location of every crop of the recipe, its label in force and its patient's side."""
    facts = _locations(store, chosen.crops)
    facts = facts[~facts["crop_id"].isin(withdrawn_crops(store))].reset_index(drop=True)
    if facts.empty:
        raise NotEnoughData(
            f"The store has no crops of recipe {chosen.recipe_id}. Run a batch first, or again "
            "when its crops were deleted: dental run path/to/folder"
        )
    facts["label"] = facts["crop_id"].map(labels_in_force(store))
    with catalog.open_store(store) as con:
        facts["split"] = patient_sides(con, facts["patient_key"])
    return facts


def _locations(store: Store, table: Table) -> pd.DataFrame:
    """Part and row of every crop of `table`, in the order of their ids, with patient_key."""
    frames = [pd.DataFrame(columns=[*COLUMNS, "part", "row"])]
    for name in table.names(store):
        frame = read_part(store, name, table.schema, COLUMNS).to_pandas()
        frames.append(frame.assign(part=name, row=np.arange(len(frame))))
    found = pd.concat(frames[1:] or frames, ignore_index=True)
    return found.sort_values("crop_id", ignore_index=True)
