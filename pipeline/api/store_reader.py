"""A store as Python code sees it: what `pipeline.open` returns."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline import config
from pipeline.store import catalog, features
from pipeline.store.features import Choice
from pipeline.store.neighbours import Neighbours

if TYPE_CHECKING:
    from pipeline.api.predict_files import FilePredictor

Rows = tuple[pd.DataFrame, npt.NDArray[Any]]


class StoreReader:
    """Read a store into pandas and NumPy, and predict files with its champion.

    Rows of crops have the column `label`, the label in force (null without one), `label_delivered`,
    the one that came with the scan, and `side`, the side of the patient: train, validation or test.
    `batch`, `label` and `side` keep the rows of one value or of several. Nothing is written.

    Every method raises ConfigError for something that does not exist, naming what does, and
    ArtifactError for a damaged part.
    """

    def __init__(self, settings: config.Settings):
        self._settings = settings
        self._store = catalog.as_store(settings.store)
        self._neighbours: Neighbours | None = None
        self._predictor: FilePredictor | None = None

    def scans(self, batch: str | None = None) -> pd.DataFrame:
        """One row per delivered file: status, reason, patient_key, side, likeliest abnormal place.

        >>> accepted = store.scans().query("status == 'accepted'")
        >>> sorted(accepted["side"].unique())
        ['test', 'train', 'validation']
        """
        rows = self.query("scans_overview", batch=batch)
        return rows.assign(side=self._sides_of(rows))

    @overload
    def crops(
        self,
        *,
        pixels: Literal[False] = False,
        recipe: str | None = None,
        batch: Choice = None,
        label: Choice = None,
        side: Choice = None,
    ) -> pd.DataFrame: ...

    @overload
    def crops(
        self,
        *,
        pixels: Literal[True],
        recipe: str | None = None,
        batch: Choice = None,
        label: Choice = None,
        side: Choice = None,
    ) -> Rows: ...

    def crops(
        self,
        *,
        pixels: bool = False,
        recipe: str | None = None,
        batch: Choice = None,
        label: Choice = None,
        side: Choice = None,
    ) -> pd.DataFrame | Rows:
        """One row per crop of a recipe, by default the champion's or the only one.

        Places are in pixels of the scan. With `pixels`, also an array (N, side, side) of uint8, in
        the order of the rows; more than fits into memory comes from `iter_crops`.

        >>> crops, pixels = store.crops(pixels=True, label="healthy")
        >>> len(pixels) == len(crops), pixels.ndim, str(pixels.dtype)
        (True, 3, 'uint8')
        """
        load = features.load_crops if pixels else features.crop_facts
        return load(self._store, recipe=recipe, batch=batch, label=label, side=side)

    def iter_crops(
        self,
        *,
        recipe: str | None = None,
        batch: Choice = None,
        label: Choice = None,
        side: Choice = None,
    ) -> Iterator[Rows]:
        """Rows and pixels of `crops`, part by part."""
        return features.iter_crops(self._store, recipe=recipe, batch=batch, label=label, side=side)

    def features(
        self,
        *,
        trunk: str | None = None,
        batch: Choice = None,
        label: Choice = None,
        side: Choice = None,
        dtype: npt.DTypeLike = np.float16,
    ) -> Rows:
        """Facts and embeddings of a trunk, by default the champion's or the only one.

        Returns one row per crop and an array (N, width) of `dtype`, in the order of the rows. More
        than fits into memory comes from `iter_features`.

        >>> facts, embeddings = store.features(side="train")
        >>> len(embeddings) == len(facts), embeddings.ndim, set(facts["side"])
        (True, 2, {'train'})
        """
        return features.load_features(
            self._store, trunk=trunk, batch=batch, label=label, side=side, dtype=dtype
        )

    def iter_features(
        self,
        *,
        trunk: str | None = None,
        batch: Choice = None,
        label: Choice = None,
        side: Choice = None,
        dtype: npt.DTypeLike = np.float16,
    ) -> Iterator[Rows]:
        """Facts and embeddings of `features`, part by part."""
        return features.iter_features(
            self._store, trunk=trunk, batch=batch, label=label, side=side, dtype=dtype
        )

    def predictions(
        self,
        *,
        head: str | None = None,
        batch: Choice = None,
        label: Choice = None,
        side: Choice = None,
    ) -> pd.DataFrame:
        """One row per crop: predicted class, `p_CLASS` for every class of the head, `p_abnormal`.

        `head` is the champion by default and may be shortened. `flagged` says that p_abnormal
        reaches the head's threshold, `seen` that the head learned from this patient.

        >>> rows = store.predictions()
        >>> rows[["p_caries", "p_healthy"]].notna().all().all().item()
        True
        """
        return features.load_predictions(
            self._store, head=head, batch=batch, label=label, side=side
        )

    def worklist(self, limit: int = 20, batch: str | None = None) -> pd.DataFrame:
        """The crops to look at first, in their order.

        >>> len(store.worklist(limit=3))
        3
        """
        return self.query("worklist", limit=limit, batch=batch)

    def labels(self) -> pd.DataFrame:
        """The label in force of every crop that has one: who gave it (`source`) and when.

        >>> sorted(store.labels()["source"].unique())
        ['delivered']
        """
        with catalog.open_store(self._store) as con:
            rows: pd.DataFrame = con.table("labels_now").to_arrow_table().to_pandas()
        return rows.sort_values("crop_id", ignore_index=True)

    def batches(self) -> pd.DataFrame:
        """One row per batch: its files by status and the rows made of them.

        >>> store.batches()["batch"].tolist()
        ['20261123']
        """
        return self.query("batches")

    def models(self) -> pd.DataFrame:
        """One row per trunk and head with the facts on its card, as text; see `dental models`."""
        from pipeline.report.model_tables import list_models

        return pd.DataFrame(list_models(self._store))

    def similar(
        self, crop_id: str, k: int = 10, *, labelled: bool = False, own_patient: bool = False
    ) -> pd.DataFrame:
        """The `k` crops nearest to one by the cosine of their embeddings, the nearest first.

        Crops of the same patient are left out unless `own_patient`, and with `labelled` those
        without a label in force. The first call reads every embedding; later ones are faster.

        >>> first = store.worklist(limit=1)["crop_id"].item()
        >>> store.similar(first, k=2, labelled=True)["label"].notna().tolist()
        [True, True]
        """
        if self._neighbours is None:
            self._neighbours = Neighbours(self._store)
        among = set(self.labels()["crop_id"]) if labelled else None
        return self._neighbours.of(crop_id, k, own_patient, among)

    def query(self, name: str, **parameters: Any) -> pd.DataFrame:
        """The answer of a named query; `dental query` lists them.

        >>> store.query("crops_of_scan", scan_id="0" * 32).empty
        True
        """
        with catalog.open_store(self._store) as con:
            return catalog.query(con, name, **parameters)

    def predict(self, scan: str | Path | npt.NDArray[np.uint8]) -> pd.DataFrame:
        """Predict a file, or grey pixels (height, width) of uint8, with the champion.

        One row per place, as a run of a batch would cut it: its place in pixels, tooth_guess,
        predicted, `p_CLASS` for every class, p_abnormal, flagged, novelty, the quality_flags of
        the scan, and `in_training`: whether the head or its trunk learned from this file or
        patient (null if the private folder, which knows patients, is not there).

        Nothing is stored. Raises ScanRejected, with the reason, for a file that a run would reject.

        >>> found = store.predict(scan)  # the path of a file
        >>> found[["region", "p_abnormal"]].notna().all().all().item()
        True
        """
        if self._predictor is None:
            from pipeline.api.predict_files import FilePredictor

            self._predictor = FilePredictor(self._settings)
        return self._predictor.predict(scan)

    def _sides_of(self, rows: pd.DataFrame) -> pd.Series:
        return rows["patient_key"].map(features.sides_by_patient(self._store)).astype("str")
