"""A learned trunk, learned anew from other sides, so that a test row was not even seen by it."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pipeline.config import Learn
from pipeline.errors import NotEnoughData
from pipeline.learn.background_rows import BackgroundRows
from pipeline.learn.checkpoint import StoredCheckpoint
from pipeline.learn.crop_source import on_sides
from pipeline.learn.learn_trunk import count_epochs, network_of, start_from
from pipeline.learn.training_rows import TrainingRows, crops_of
from pipeline.model.head.rows import InMemoryEmbeddings
from pipeline.model.head.start import InitialWeights
from pipeline.model.network import Embedder
from pipeline.model.trunk.train import LearnedTrunk, train_trunk
from pipeline.progress import progress
from pipeline.store.base import Store
from pipeline.store.card_settings import settings_from_card
from pipeline.store.registry import ModelChoice, trunk_card, trunk_home
from pipeline.store.tables import Table


def learn_settings_of(store: Store, chosen: ModelChoice) -> Learn | None:
    """How the trunk was learned from stored crops; None for one that was not."""
    told = trunk_card(store, chosen.trunk_id).get("learn")
    return settings_from_card(Learn, told, trunk_home(chosen.trunk_id)) if told else None


@dataclass(frozen=True)
class RefitTrunk:
    """A trunk learned on the sides of some rows, and what comes of it."""

    rows: TrainingRows  # with its embeddings
    start: InitialWeights | None  # what a head begins with
    embedder: Embedder


def refit_trunk(
    store: Store, chosen: ModelChoice, rows: TrainingRows, how: Learn, run: str
) -> RefitTrunk:
    """Learn the trunk on the rows' own sides, and embed them with it.

    It is kept as `run`.npz, and a killed run goes on from its last epoch. Raises NotEnoughData
    when crops were deleted.
    """
    classes = rows.classes if how.labels else ("",)
    crops = on_sides(store, chosen, rows.facts["crop_id"], rows.truth, rows.sides, classes)
    name = f"{run}.npz"
    if not store.has(name):
        memory = StoredCheckpoint(store, run.replace("/", "-"))
        with progress("learn trunk", len(crops.classes) * how.epochs) as advance:
            on_epoch = count_epochs(advance, len(crops.classes))
            found = train_trunk(crops, chosen.trunk, chosen.recipe.side, how, on_epoch, memory)
        store.write_bytes(name, found.to_bytes())
        memory.forget()
    found = LearnedTrunk.from_bytes(store.read_bytes(name))
    ready = Embedder(network_of(found, chosen))
    embeddings = _embedded(store, chosen.crops, rows.facts, ready)
    start = start_from(found, crops) if found.above else None
    beside = rows.background and _background(store, chosen, rows.background, ready)
    return RefitTrunk(
        replace(rows, embeddings=InMemoryEmbeddings(embeddings), background=beside), start, ready
    )


def _background(
    store: Store, chosen: ModelChoice, background: BackgroundRows, ready: Embedder
) -> BackgroundRows:
    embeddings = _embedded(store, chosen.background_crops, background.facts, ready)
    return replace(background, embeddings=InMemoryEmbeddings(embeddings))


def _embedded(store: Store, table: Table, facts: pd.DataFrame, ready: Embedder) -> np.ndarray:
    """Embeddings of stored crops, float16 (N, width), row for row."""
    embeddings, have = np.zeros((len(facts), ready.width), np.float16), 0
    for numbers, pixels in crops_of(store, table, facts):
        embeddings[numbers] = ready.embed(pixels)
        have += len(numbers)
    if have != len(embeddings):
        raise NotEnoughData(
            f"{len(embeddings) - have} of {len(embeddings)} crops were deleted, and a learned "
            "trunk has to be learned again in every fold. Run their batches again: dental run "
            "path/to/folder"
        )
    return embeddings
