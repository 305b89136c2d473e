"""Predict files with the champion of a store, without storing anything.

A file goes the way of a delivered one: decoded and cut in a worker process by the champion's
recipe, embedded by its trunk, predicted by its head, compared with what is normal.
"""

import os
import weakref
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from pipeline.config import Settings
from pipeline.errors import ConfigError, ScanRejected
from pipeline.imaging.crops import png
from pipeline.imaging.regions import Region
from pipeline.ingest.labels.annotations import Annotation
from pipeline.ingest.private_folder import PrivateFolder, open_private_folder
from pipeline.ingest.walk_folder import Entry
from pipeline.ingest.workers.pool import WorkerPool
from pipeline.report.explain_crop import Explainer
from pipeline.report.heat_map import Overlay, draw
from pipeline.stages.predict import Head
from pipeline.stages.read_scan import Order, Read, read_scan
from pipeline.stages.score_novelty import current_novelty
from pipeline.store import catalog
from pipeline.store.features import class_column
from pipeline.store.registry import champion, embedder, stored_choice
from pipeline.store.store import Store

if TYPE_CHECKING:
    from pipeline.model.network import Embedder


class FilePrediction(NamedTuple):
    """The prediction of one file: rows, crops and embeddings of its N places, in one order.

    `rejection` is why the file is no scan; then there is no row.
    """

    scan_id: str | None
    rows: pd.DataFrame
    crops: np.ndarray  # uint8 (N, side, side)
    embeddings: np.ndarray  # float16 (N, width)
    rejection: ScanRejected | None


class FilePredictor:
    """The champion of a store, ready to predict; workers end with the process."""

    def __init__(self, settings: Settings):
        """Raises ConfigError when the store has no champion."""
        self.settings, self.store = settings, Store(settings.store)
        current = champion(self.store)
        if current is None:
            raise ConfigError(
                f"The store {settings.store} has no head yet, so nothing can be predicted. Train "
                "one with: dental train"
            )
        self.chosen = stored_choice(self.store, current["trunk"])
        self.head = Head(self.store, current["head"])
        self.novelty = current_novelty(self.store, current["trunk"])
        self.shape = self.chosen.grid

    def predict(self, scan: str | Path | np.ndarray) -> pd.DataFrame:
        """The rows of one file or array; raises ScanRejected for one that is no scan."""
        [found] = self.predict_all([scan])
        if found.rejection is not None:
            raise found.rejection
        return found.rows

    def predict_all(self, scans: Iterable[str | Path | np.ndarray]) -> Iterator[FilePrediction]:
        """Predict files or arrays one after the other, while the next ones are decoded."""
        for outcome in self._workers.map(read_scan, map(self._item, scans)):
            read = outcome if isinstance(outcome, Read) else Read(rejection=outcome)
            yield self._predicted(read)

    @property
    def columns(self) -> list[str]:
        """The columns of the rows of every file."""
        place = [f"region_{side}" for side in "xywh"]
        classes = map(class_column, self.head.card["classes"])
        return [
            *("crop_id", "region", "region_kind", "tooth_guess", "tooth_confidence"),
            *(*place, "predicted", *classes, "p_abnormal", "flagged"),
            *("novelty_gaussian", "novelty_neighbour", "quality_flags", "in_training"),
        ]

    def heat_map(self, found: FilePrediction) -> bytes:
        """A heat map, as PNG, of the likeliest abnormal place of a predicted file."""
        explainer = Explainer.of(self.settings)
        place = int(found.rows["p_abnormal"].to_numpy().argmax())
        why, row = explainer.explain(found.embeddings[place]), found.rows.iloc[place]
        crop = found.crops[place]
        return draw(
            Overlay(
                pixels=crop,
                square=(0, 0, *crop.shape),
                cells=why.cells,
                constant=why.constant,
                finding=explainer.classes[why.finding],
                normal=self.head.card["normal_class"],
                facts={
                    "crop": row["crop_id"],
                    "predicted": row["predicted"],
                    "p(abnormal)": f"{row['p_abnormal']:.3f}",
                    "head": self.head.head_id,
                },
            )
        )

    @cached_property
    def _workers(self) -> WorkerPool:
        limits = self.settings.scan_seconds, self.settings.scan_memory_mb
        workers = WorkerPool(self.settings.workers, *limits)
        weakref.finalize(self, workers.close)  # at the latest when the program ends
        return workers

    @cached_property
    def _embedder(self) -> "Embedder":
        return embedder(self.store, self.chosen)

    @cached_property
    def _private(self) -> PrivateFolder | None:
        folder = self.settings.private_folder
        return open_private_folder(folder, may_create=False) if folder.is_dir() else None

    @cached_property
    def _patient_of(self) -> dict[str, str]:
        """The patient of every accepted scan, by scan_id."""
        with catalog.open_store(self.store) as con:
            rows = catalog.query(con, "patients_of_scans")
        return dict(zip(rows["scan_id"], rows["patient_key"], strict=True))

    def _item(self, scan: str | Path | np.ndarray) -> Order | Future[Order]:
        """The order for one scan; a future with a rejection for a file that is not there."""
        try:
            return self._order(scan)
        except OSError as error:
            failed: Future[Order] = Future()
            failed.set_exception(
                ScanRejected("unreadable", f"cannot be read ({error.strerror}); name another file")
            )
            return failed

    def _order(self, scan: str | Path | np.ndarray) -> Order:
        settings = self.settings
        limits = settings.pixel_limit, settings.scan_memory_mb * 2**20 // 4, True
        made = Annotation(), self.chosen.recipe, settings.quality, *limits
        if isinstance(scan, np.ndarray):
            if scan.dtype != np.uint8 or scan.ndim != 2:
                raise ConfigError(
                    f"An array of {scan.dtype} with shape {scan.shape} was given; expected grey "
                    "pixels, uint8 (height, width), brighter meaning denser."
                )
            return Order(Path(), Entry(b"array.png", 0, 0, "file"), *made, png(scan))
        path = Path(scan).expanduser().absolute()
        state = path.stat()
        kind = "file" if path.is_file() else "other"
        entry = Entry(os.fsencode(path.name), state.st_size, state.st_mtime_ns, kind)
        return Order(path.parent, entry, *made)

    def _predicted(self, read: Read) -> FilePrediction:
        kept = [n for n, region in enumerate(read.regions) if region.kind != "background"]
        if read.rejection is not None or not kept:
            none = np.empty((0, self.chosen.width), np.float16)
            crops = np.empty((0, read.crops.side, read.crops.side), np.uint8)
            rows = pd.DataFrame(columns=self.columns)
            return FilePrediction(read.scan_id, rows, crops, none, read.rejection)
        regions = [read.regions[n] for n in kept]
        crops = np.stack([read.crops[n] for n in kept])
        embeddings = self._embedder.embed(crops)
        rows = pd.DataFrame([_place(read, region) for region in regions])
        rows = pd.concat([rows, self._probabilities(embeddings, regions)], axis=1)
        if self.novelty:
            whole = np.array([region.kind == "whole" for region in regions])
            found = self.novelty.score(embeddings.reshape(-1, *self.shape), whole)
            rows["novelty_gaussian"], rows["novelty_neighbour"] = found.gaussian, found.neighbour
        else:
            rows["novelty_gaussian"] = rows["novelty_neighbour"] = None
        rows["quality_flags"] = [read.picture_facts["quality_flags"]] * len(rows)
        rows["in_training"] = self._in_training(read)
        return FilePrediction(read.scan_id, rows[self.columns], crops, embeddings, None)

    def _probabilities(self, embeddings: np.ndarray, regions: list[Region]) -> pd.DataFrame:
        found = self.head.predict(embeddings, [region.kind for region in regions])
        classes = self.head.card["classes"]
        names = map(class_column, classes)
        columns = {name: found.probabilities[:, n] for n, name in enumerate(names)}
        return pd.DataFrame(
            {
                "predicted": [classes[n] for n in found.probabilities.argmax(axis=1)],
                **columns,
                "p_abnormal": found.p_abnormal,
                "flagged": found.p_abnormal >= self.head.card["threshold"],
            }
        )

    def _in_training(self, read: Read) -> bool | None:
        """Whether head or trunk learned from the scan or its patient; None if it is not known."""
        learned_from = self.head.with_trunk_learned_from
        if self._patient_of.get(read.scan_id or "") in learned_from:
            return True
        if not read.patient:
            return False
        if self._private is None:
            return None
        return not learned_from.isdisjoint(self._private.patient_keys(read.patient))


def _place(read: Read, region: Region) -> dict[str, object]:
    return {
        "crop_id": f"{read.scan_id}:{region.name}",
        "region": region.name,
        "region_kind": region.kind,
        "tooth_guess": region.guess,
        "tooth_confidence": region.confidence,
        **{f"region_{side}": value for side, value in region.place._asdict().items()},
    }
