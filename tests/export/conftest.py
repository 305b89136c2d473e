"""A stored store with all its originals and some reviews, and its export in every format."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline import config
from pipeline.export.formats.registered import FORMATS
from pipeline.export.job import Export
from pipeline.export.rows import read_rows
from pipeline.export.write_export import own_private_folder
from pipeline.learn.decisions import Decision, append_decisions
from pipeline.phantoms import write_batch
from pipeline.store import catalog
from pipeline.store.crop_query import CropFilter
from tests.store.test_stored_by_earlier_versions import unpack

BATCHES = {"20261123": (16, 24), "20261124": (6, 4)}  # scans and seed, from which they were drawn
RELABELLED = "494d5c026066c8edc44a38d60f622539:box-33-24-18-19"  # impacted, by a reviewer caries
WITHDRAWN = "258e5f2c4fa284b4b233136d43bc634b:whole"  # whose scan has no other label


@dataclass(frozen=True)
class Example:
    """The store, what its exports must have, and where an export of each format is."""

    export: Export
    boxes: pd.DataFrame  # by crop_id: embedding, label in force (or None), x, y, w, h
    predictions: pd.DataFrame  # as stored, by crop_id
    root: Path

    @property
    def settings(self):
        return self.export.settings

    @property
    def labelled(self):
        """The label and place of every crop with a label in force, by crop_id."""
        return {
            row.Index: (row.label, (row.x, row.y, row.w, row.h))
            for row in self.boxes.dropna(subset="label").itertuples()
        }

    @property
    def pixels(self):
        """The stored pixels of every crop, by crop_id."""
        rows = pd.read_parquet(f"{self.settings.store}/crops")
        shape = (16, 16)
        return {
            row.crop_id: np.frombuffer(row.pixels, np.uint8).reshape(shape)
            for row in rows.itertuples()
        }

    def written(self, form):
        """The folder of an export in this format, which is made once."""
        out = self.root / form
        if not out.exists():
            out.mkdir()
            FORMATS[form].write(replace(self.export, out=out))
        return out


@pytest.fixture(scope="session")
def example(tmp_path_factory):
    home = tmp_path_factory.mktemp("export")
    unpack("plain", home)
    for batch, (scans, seed) in BATCHES.items():
        # The stored inbox lacks its larger scans.
        write_batch(home / "drawn" / batch, scans, seed, height=100, workers=1)
        shutil.copytree(home / "drawn" / batch, home / "inbox" / batch, dirs_exist_ok=True)
    settings = config.load(store=str(home / "store"), private=home / "private")
    store = catalog.as_store(settings.store)
    decisions = [
        Decision(RELABELLED, "label", "caries", "dr-b"),
        Decision(WITHDRAWN, "withdraw", None, "dr-b"),
    ]
    append_decisions(store, decisions)
    rows = read_rows(store, CropFilter())
    private = own_private_folder(settings, store)
    export = Export(settings, store, CropFilter(), rows, home, private)
    predictions = pd.read_parquet(home / "store" / "predictions").set_index("crop_id")
    boxes = stored_boxes(home / "store")
    return Example(export, boxes, predictions, tmp_path_factory.mktemp("formats"))


def stored_boxes(store):
    """Read independently of the exporter: the Parquet files, and the view of labels in force."""
    rows = pd.read_parquet(store / "features").set_index("crop_id")
    with catalog.open_store(store) as con:
        labels = con.table("labels_now").to_arrow_table().to_pandas().set_index("crop_id")
    names = {f"region_{edge}": edge for edge in "xywh"}
    found = rows.rename(columns=names)[["scan_id", "batch", "embedding", *"xywh"]]
    label = labels["label"].reindex(found.index).astype(object)
    return found.assign(label=label.where(label.notna(), None))
