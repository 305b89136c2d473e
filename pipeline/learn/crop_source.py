"""Stored crops as something to learn a trunk from: they stream from their parts."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from pipeline import schemas
from pipeline.config import Settings
from pipeline.errors import NotEnoughData
from pipeline.model.scores import splits
from pipeline.store.base import Store
from pipeline.store.features import labels_in_force
from pipeline.store.parts import open_part, read_part
from pipeline.store.registry import ModelChoice
from pipeline.store.tables import Table

LEAST = 64  # crops on the training side, with or without labels
COLUMNS = ["crop_id", "patient_key"]


@dataclass(frozen=True)
class CropSource:
    """The crops of a recipe that a trunk learns from, on the training and validation side.

    Facts are in memory, pixels are not: a row group at a time is read, in another order in each
    epoch. With labels, class 0 is the normal one and a crop without a label is left out; of the
    background, which is the last class then, every epoch draws as many rows as have a label.
    """

    store: Store
    side: int
    facts: pd.DataFrame  # part, row, crop_id, patient_key, label, class, split; by crop_id
    class_names: tuple[str, ...]  # one, without a name, when there are no labels
    beside: pd.DataFrame  # background of the training side: part, row, crop_id, patient_key, class

    @property
    def class_count(self) -> int:
        return len(self.class_names) + self.background

    @property
    def labels(self) -> bool:
        return len(self.class_names) > 1

    @property
    def background(self) -> bool:
        return len(self.beside) > 0

    @property
    def patients(self) -> set[str]:
        """Keyed, of all that is learned from and all that learning is stopped by."""
        known = self.facts.loc[self.facts["split"] != "test", "patient_key"]
        return {*known, *self.beside["patient_key"]}

    @cached_property
    def classes(self) -> np.ndarray:
        """Of the rows of one epoch."""
        return np.append(self._of("train")["class"], self.beside["class"][: self._drawn])

    @property
    def _drawn(self) -> int:
        """Rows of background in an epoch."""
        return min(len(self.beside), len(self._of("train")))

    def training(self, random: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        drawn = random.choice(len(self.beside), self._drawn, replace=False) if self._drawn else []
        return self._pieces(pd.concat([self._of("train"), self.beside.iloc[drawn]]), random)

    def validation(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return self._pieces(self._of("validation"), None)

    def _of(self, split: str) -> pd.DataFrame:
        return self.facts[self.facts["split"] == split]

    def _pieces(self, wanted: pd.DataFrame, random) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        names = sorted(set(wanted["part"]))
        for name in names if random is None else random.permutation(names):
            here = wanted[wanted["part"] == name].sort_values("row")
            yield from self._of_part(str(name), here, random)

    def _of_part(self, name: str, wanted: pd.DataFrame, random):
        rows, classes = wanted["row"].to_numpy(), wanted["class"].to_numpy()
        with open_part(self.store, name, schemas.crops(self.side), ["pixels"]) as file:
            sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
            starts = np.cumsum([0, *sizes])
            groups = range(len(sizes)) if random is None else random.permutation(len(sizes))
            for group in groups:
                mine = (rows >= starts[group]) & (rows < starts[group + 1])
                if not mine.any():
                    continue
                column = file.read_row_group(int(group), columns=["pixels"]).column(0)
                pixels = b"".join(column.take(rows[mine] - starts[group]).to_pylist())
                crops = np.frombuffer(pixels, np.uint8).reshape(-1, self.side, self.side)
                yield crops, classes[mine]


def crop_source(store: Store, chosen: ModelChoice, settings: Settings) -> CropSource:
    """What there is to learn from: with labels where both sides have enough, else without.

    Raises NotEnoughData when the training side has too few crops even for that.
    """
    facts = _facts(store, chosen)
    learned = facts[facts["split"] != "test"]
    known = learned[learned["label"].notna()]
    if settings.learn.labels and not lacking(known, settings):
        normal = settings.normal_class
        names = (normal, *sorted(set(known["label"]) - {normal}))
        facts, numbers = known, known["label"].map(names.index)
    else:
        names, facts = ("",), learned
        numbers = pd.Series(0, index=learned.index)
    facts = facts.assign(**{"class": numbers.astype(np.int64)})
    if (count := int((facts["split"] == "train").sum())) < LEAST:
        raise NotEnoughData(
            f"The training side has {count} crops to learn a trunk from, and {LEAST} are needed. "
            "Deliver more scans, or go on with the trunk that comes with the package."
        )
    return _with_background(store, chosen, facts.reset_index(drop=True), names)


def on_sides(
    store: Store, chosen: ModelChoice, crop_ids, truth: np.ndarray, sides: np.ndarray, class_names
) -> CropSource:
    """Crops with these class numbers (N,) and sides (N,) instead of their own."""
    given = pd.DataFrame({"crop_id": crop_ids, "class": truth, "split": sides})
    facts = _facts(store, chosen).drop(columns="split").merge(given, on="crop_id")
    if len(class_names) == 1:
        facts["class"] = 0
    return _with_background(store, chosen, facts, tuple(class_names))


def _with_background(
    store: Store, chosen: ModelChoice, facts: pd.DataFrame, class_names: tuple[str, ...]
) -> CropSource:
    """With the background of the patients from whom classes are learned; none without labels."""
    taught = (facts["split"] == "train") & (len(class_names) > 1)
    patients = set(facts.loc[taught, "patient_key"])
    beside = _where(store, chosen.background_crops)
    beside = beside[beside["patient_key"].isin(patients)].assign(**{"class": len(class_names)})
    side = chosen.recipe.side
    return CropSource(store, side, facts, class_names, beside.reset_index(drop=True))


def lacking(known: pd.DataFrame, settings: Settings) -> str:
    """What labelled crops lack to learn from, in words; nothing when there are enough."""
    least, normal, words = settings.head.min_patients, settings.normal_class, []
    for side in ("train", "validation"):
        here = known[known["split"] == side]
        patients, healthy = here["patient_key"].nunique(), int((here["label"] == normal).sum())
        if patients < least or healthy in (0, len(here)):
            words.append(
                f"{side} side: {patients} patients, {healthy} normal and {len(here) - healthy} "
                "abnormal crops"
            )
    return "; ".join(words)


def _facts(store: Store, chosen: ModelChoice) -> pd.DataFrame:
    """Where every crop of the recipe lies, its label in force and its patient's side."""
    facts = _where(store, chosen.crops)
    if facts.empty:
        raise NotEnoughData(
            f"The store has no crops of recipe {chosen.recipe_id}. Run a batch first, or again "
            "when its crops were deleted: dental run path/to/folder"
        )
    facts["label"] = facts["crop_id"].map(labels_in_force(store))
    facts["split"] = splits.sides(list(facts["patient_key"]))
    return facts


def _where(store: Store, table: Table) -> pd.DataFrame:
    """Where every crop of `table` lies, by its id: crop_id, patient_key, part and row."""
    frames = [pd.DataFrame(columns=[*COLUMNS, "part", "row"])]
    for name in table.names(store):
        frame = read_part(store, name, table.schema, COLUMNS).to_pandas()
        frames.append(frame.assign(part=name, row=np.arange(len(frame))))
    found = pd.concat(frames[1:] or frames, ignore_index=True)
    return found.sort_values("crop_id", ignore_index=True)
