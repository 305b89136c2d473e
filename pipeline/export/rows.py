"""The crops of an export: one table, from which every format is written.

A row is a crop with an embedding by the champion's trunk, or by the only trunk there is: its place
in scan pixels, the label in force, the prediction of the champion and the side of its patient.
Without a champion, the columns of predictions are null.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

import numpy as np
import pandas as pd

from pipeline.errors import ConfigError
from pipeline.store import catalog, registry, tables
from pipeline.store.crop_query import CropFilter, CropQuery
from pipeline.store.features import class_column, features_of
from pipeline.store.store import Store

PREDICTED = ["crop_id", "predicted", "probabilities", "p_abnormal", "flagged", "seen"]
FIRST_FRAME = r"(?!f\d+-)|f0+-"  # at the beginning of a region
RECORDS = 10_000  # rows that become Python objects at a time


@dataclass(frozen=True)
class ExportRows:
    """The rows of an export, those of a scan together, scans in the order of their parts.

    `classes` are those of the champion in its order, then other labels in force by name.
    `probabilities` has a list in the order of `head_classes`.
    """

    crops: pd.DataFrame
    head_classes: list[str]
    provenance: dict[str, str | None]  # recipe, trunk and head
    audit: frozenset[str] = frozenset()  # crop_ids of the audit that no reviewer has labelled

    @cached_property
    def classes(self) -> list[str]:
        labels = sorted(set(self.crops["label"].dropna()))
        return list(dict.fromkeys([*self.head_classes, *labels]))

    @cached_property
    def scan_ids(self) -> list[str]:
        return list(dict.fromkeys(self.crops["scan_id"]))

    @cached_property
    def first_frames(self) -> "ExportRows":
        """The rows of first frames: formats of boxes show one picture of each scan."""
        is_first = self.crops["region"].str.match(FIRST_FRAME)
        crops = self.crops[is_first.astype(bool)].reset_index(drop=True)
        return replace(self, crops=crops)

    @cached_property
    def for_reviewers(self) -> "ExportRows":
        """The rows without the predictions of audit crops, for what people label with.

        Labels that follow the champion would measure the champion by itself.
        """
        hidden = self.crops["crop_id"].isin(self.audit)
        kept = {name: self.crops[name].astype(object).mask(hidden, None) for name in PREDICTED[1:]}
        return replace(self, crops=self.crops.assign(**kept))

    def scans(self) -> Iterator[list[dict]]:
        """The crops of every scan, as Python objects with None for missing values."""
        for _, rows in groupby(records(self.crops), key=lambda row: row["scan_id"]):
            yield list(rows)

    def number(self, label: str) -> int:
        """The number of a class, from 0."""
        return self.classes.index(label)

    def class_columns(self) -> pd.DataFrame:
        """The probability of every class, a column for each; null without a prediction."""
        lists = self.crops["probabilities"]
        values = np.full((len(lists), len(self.head_classes)), np.nan, np.float32)
        known = lists.notna().to_numpy()
        if known.any():
            values[known] = np.stack(lists[known].to_list())
        names = [class_column(name) for name in self.head_classes]
        return pd.DataFrame(values, columns=names, index=self.crops.index)

    def flat(self) -> pd.DataFrame:
        """The rows with a column for the probability of every class, for tables."""
        crops = self.crops.drop(columns="probabilities")
        place = crops.columns.get_loc("p_abnormal")
        before, after = crops.iloc[:, :place], crops.iloc[:, place:]
        return pd.concat([before, self.class_columns(), after], axis=1)


def picture_name(scan_id: str) -> str:
    """The file name of a scan's picture in every format."""
    return f"{scan_id}.png"


def is_suggestion(row: dict) -> bool:
    """Whether a crop without a label is suggested to a labelling tool, as what was predicted.

    Of found places only those that the champion flags: a panoramic has dozens of others.
    """
    if row["label"] is not None or row["predicted"] is None:
        return False
    return row["flagged"] or row["region_kind"] != "tooth"


def probability(row: dict, classes: list[str]) -> float:
    """The probability of the class that was predicted for a row."""
    return float(row["probabilities"][classes.index(row["predicted"])])


def box_of(row: dict) -> tuple[int, int, int, int]:
    """Left, top, width and height of the annotated box, found place or picture area of a row.

    Inside the scan, as tools require of boxes.
    """
    left, top = max(row["region_x"], 0), max(row["region_y"], 0)
    right = min(row["region_x"] + row["region_w"], row["scan_w"])
    bottom = min(row["region_y"] + row["region_h"], row["scan_h"])
    return left, top, right - left, bottom - top


def records(frame: pd.DataFrame) -> Iterator[dict]:
    """The rows of a frame as Python objects, with None for missing values."""
    for start in range(0, len(frame), RECORDS):
        part = frame.iloc[start : start + RECORDS].astype(object)
        yield from part.where(part.notna(), None).to_dict("records")


def read_rows(store: Store, kept: CropFilter) -> ExportRows:
    """Read the rows that the filter keeps.

    Raises ConfigError when the store has no embeddings, for a filter by something that does not
    exist, and when nothing is left.
    """
    query = CropQuery.of(store, features_of(store, None), kept)
    crops, _ = query.frame(query.names)
    if crops.empty:
        raise ConfigError(
            "No crop of the store matches, so there is nothing to export. Crops by batch and label "
            "are counted by: dental query class_balance"
        )
    champion = registry.champion(store)
    head = champion["head"] if champion else None
    classes = registry.read_card(store, registry.head_home(head))["classes"] if head else []
    crops = crops.merge(_predictions(store, head, crops["batch"]), "left", on="crop_id")
    for name in ("tooth", "tooth_guess"):
        crops[name] = crops[name].astype("Int8")  # whole numbers with nulls
    # Boxes that came later are in later parts than the other crops of their scan.
    together = np.argsort(pd.factorize(crops["scan_id"])[0], kind="stable")
    crops = crops.iloc[together].reset_index(drop=True)
    provenance = {"recipe": crops["recipe"].iloc[0], "trunk": crops["trunk"].iloc[0], "head": head}
    with catalog.open_store(store) as con:
        audit = catalog.query(con, "open_audits")["crop_id"]
    return ExportRows(crops, classes, provenance, frozenset(audit))


def _predictions(store: Store, head: str | None, batches: Iterable[str]) -> pd.DataFrame:
    """The predictions of a head for some batches; batches that it has not predicted have none."""
    predicted = tables.predictions(head) if head else None
    found = sorted(set(batches) & set(predicted.batches(store))) if predicted else []
    if not found:
        return pd.DataFrame({name: pd.Series(dtype="object") for name in PREDICTED})
    query = CropQuery.of(store, predicted, CropFilter(found), PREDICTED)
    return query.frame(query.names)[0]
