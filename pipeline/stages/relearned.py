"""A learned trunk, learned anew from other sides, so that a test row was not even seen by it."""

from dataclasses import replace

import numpy as np
import pandas as pd

from pipeline.config import Learn
from pipeline.errors import NotEnoughData
from pipeline.model.head_rows import Held
from pipeline.model.head_start import Start
from pipeline.model.learning import learn
from pipeline.model.network import Embedder
from pipeline.stages.background import BackgroundRows
from pipeline.stages.labelled import Rows, crops_of
from pipeline.stages.learn_trunk import network_of, spoken, start_from
from pipeline.stages.progress import progress
from pipeline.stages.registry import Chosen, trunk_card
from pipeline.stages.remembered import Remembered
from pipeline.stages.stored_crops import on_sides
from pipeline.store.folder import Store


def how_learned(store: Store, chosen: Chosen) -> Learn | None:
    """How the trunk was learned from stored crops; None for one that was not."""
    told = trunk_card(store, chosen.trunk_id).get("learn")
    return Learn(**told) if told else None


def relearned(
    store: Store, chosen: Chosen, rows: Rows, how: Learn, run: str
) -> tuple[Rows, Start | None]:
    """The rows with embeddings of a trunk learned on their own sides, and what a head begins with.

    A killed run goes on from its last epoch. Raises NotEnoughData when crops were deleted.
    """
    classes = rows.classes if how.labels else ("",)
    crops = on_sides(store, chosen, rows.facts["crop_id"], rows.truth, rows.sides, classes)
    memory = Remembered(store, run)
    with progress("learn", len(crops.classes) * how.epochs) as advance:
        told = spoken(lambda: advance(len(crops.classes)))
        found = learn(crops, chosen.trunk, chosen.recipe.side, how, told, memory)
    ready = Embedder(network_of(found, chosen))
    embeddings = _embedded(store, chosen, rows.facts, "crops", ready)
    start = start_from(found, crops) if found.above else None
    beside = rows.background and _background(store, chosen, rows.background, ready)
    return replace(rows, embeddings=Held(embeddings), background=beside), start


def _background(
    store: Store, chosen: Chosen, background: BackgroundRows, ready: Embedder
) -> BackgroundRows:
    embeddings = _embedded(store, chosen, background.facts, "background_crops", ready)
    return replace(background, embeddings=Held(embeddings))


def _embedded(
    store: Store, chosen: Chosen, facts: pd.DataFrame, table: str, ready: Embedder
) -> np.ndarray:
    """Embeddings of stored crops, float16 (N, width), row for row."""
    embeddings, have = np.zeros((len(facts), chosen.width), np.float16), 0
    for numbers, pixels in crops_of(store, chosen, facts, table):
        embeddings[numbers] = ready.embed(pixels)
        have += len(numbers)
    if have != len(embeddings):
        raise NotEnoughData(
            f"{len(embeddings) - have} of {len(embeddings)} crops were deleted, and a learned "
            "trunk has to be learned again in every fold. Run their batches again: make run-flow "
            "BATCH=path/to/folder"
        )
    return embeddings
