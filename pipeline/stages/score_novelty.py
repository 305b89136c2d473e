"""Score the novelty of one part of features with a model of what is normal."""

import io
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import schemas
from pipeline.errors import StageFailed
from pipeline.model.novelty import Novelty, Scores
from pipeline.progress import Advance, progress
from pipeline.stages.parts_loop import PartMap, one_by_one, run_over_parts
from pipeline.store import tables
from pipeline.store.open_store import OpenStore
from pipeline.store.parts import embedding_values, row_count
from pipeline.store.prefetch import prefetch
from pipeline.store.registry import ModelChoice
from pipeline.store.store import Store
from pipeline.store.views.card_tables import novelty_models

ROWS = 256  # embeddings in memory at a time


def novelty_home(novelty_id: str) -> str:
    return f"models/novelty/{novelty_id}"


@dataclass(frozen=True)
class NoveltyModel:
    """A stored novelty model; its arrays are loaded when first used."""

    store: Store
    novelty_id: str

    @cached_property
    def model(self) -> Novelty:
        data = io.BytesIO(self.store.read_bytes(f"{novelty_home(self.novelty_id)}/model.npz"))
        with np.load(data) as arrays:
            return Novelty(**arrays)

    def score(self, maps: np.ndarray, whole: np.ndarray) -> Scores:
        """Score maps (N, row, column, channel); of places, which are not `whole` (N,), the middle.

        Around a place there are its neighbours, which have crops of their own.
        """
        return self.model.score(maps, whole)

    @cached_property
    def learned_from(self) -> frozenset[str]:
        """Ids of the crops that it was fitted on."""
        file = self.store.parquet(f"{novelty_home(self.novelty_id)}/learned.parquet")
        return frozenset(pq.read_table(file)["crop_id"].to_pylist())


def current_novelty(store: Store, trunk_id: str) -> NoveltyModel | None:
    """The current model of a trunk, the newest with a card; None before the first."""
    found = [each for each in novelty_models(store) if each["trunk"] == trunk_id]
    return NoveltyModel(store, found[-1]["novelty"]) if found else None


def score_missing(
    opened: OpenStore, chosen: ModelChoice, fitted: NoveltyModel, map: PartMap = one_by_one
) -> list[StageFailed]:
    """Score every stored part that has no scores of this model yet."""
    store = opened.store
    missing = tables.novelty(fitted.novelty_id).missing_from(store, chosen.features)
    failures: list[StageFailed] = []
    crops = sum(
        row_count(store, chosen.features.part(batch, number))
        for batch, numbers in missing.items()
        for number in numbers
    )
    with progress("novelty", crops) as advance:
        for batch, numbers in missing.items():

            def score(number: int, batch: str = batch) -> None:
                score_part(store, batch, number, chosen, fitted, advance)

            failures += run_over_parts("novelty", batch, score, numbers, map, opened.private)
    return failures


def score_part(
    store: Store,
    batch: str,
    number: int,
    chosen: ModelChoice,
    fitted: NoveltyModel,
    advance: Advance,
) -> str:
    """Score one part unless it is done already; return the name of its scores."""
    scores = tables.novelty(fitted.novelty_id)
    if not scores.has(store, batch, number):
        with scores.writer(store, batch, number) as part:
            for rows in prefetch(chosen.features.iterate(store, batch, number, ROWS)):
                part.write(_scored(rows, chosen, fitted))
                advance(rows.num_rows)
    return scores.part(batch, number)


def _scored(rows: pa.RecordBatch, chosen: ModelChoice, fitted: NoveltyModel) -> pa.Table:
    whole = rows.column("region_kind").to_numpy(zero_copy_only=False) == "whole"
    found = fitted.score(maps_of(rows, chosen), whole)
    kept = ("crop_id", "scan_id", "batch", "recipe", "trunk", "patient_key")
    row, column = found.peaks
    columns = {
        **{name: rows.column(name) for name in kept},
        "novelty": [fitted.novelty_id] * rows.num_rows,
        "gaussian": found.gaussian,
        "neighbour": found.neighbour,
        "peak_row": row,
        "peak_column": column,
        "learned": [each in fitted.learned_from for each in rows.column("crop_id").to_pylist()],
    }
    order = schemas.NOVELTY
    return pa.table({field.name: columns[field.name] for field in order}, schema=order)


def maps_of(rows: pa.RecordBatch, chosen: ModelChoice) -> np.ndarray:
    """The embeddings as maps, float16 (n, row, column, channel); a vector is a map of one cell."""
    return embedding_values(rows).reshape(-1, *chosen.grid)
