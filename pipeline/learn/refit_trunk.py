"""Train a learned trunk again on the sides of a fold, so that it never saw the test rows."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pipeline.config import Learn
from pipeline.errors import NotEnoughData
from pipeline.learn.background_rows import BackgroundRows
from pipeline.learn.checkpoint import StoredCheckpoint
from pipeline.learn.crop_source import on_sides
from pipeline.learn.learn_trunk import count_epochs
from pipeline.learn.trainable_trunks import (
    head_start,
    learned_network,
    start_of_learned,
    trainable_trunk,
)
from pipeline.learn.training_rows import TrainingRows, crops_of
from pipeline.model.head.initial_weights import InitialWeights
from pipeline.model.head.rows import InMemoryEmbeddings
from pipeline.model.network import Embedder
from pipeline.model.trunk.train import LearnedTrunk, train_trunk
from pipeline.progress import progress
from pipeline.store.card_settings import settings_from_card
from pipeline.store.registry import ModelChoice, trunk_card, trunk_home
from pipeline.store.store import Store
from pipeline.store.tables import Table


def learn_settings_of(store: Store, chosen: ModelChoice) -> Learn | None:
    """The settings that the trunk was learned with from stored crops; None if it was not."""
    learn = trunk_card(store, chosen.trunk_id).get("learn")
    return settings_from_card(Learn, learn, trunk_home(chosen.trunk_id)) if learn else None


@dataclass(frozen=True)
class RefitTrunk:
    """A trunk trained on the sides of some rows, and the rows embedded with it."""

    rows: TrainingRows  # with its embeddings
    start: InitialWeights | None  # of a head
    embedder: Embedder


def refit_trunk(
    store: Store, chosen: ModelChoice, rows: TrainingRows, how: Learn, run: str
) -> RefitTrunk:
    """Train the trunk on the rows' own sides, and embed them with it.

    It is stored as `run`.npz, and a killed run resumes after its last epoch. Raises NotEnoughData
    when crops were deleted.
    """
    classes = rows.classes if how.labels else ("",)
    crops = on_sides(store, chosen, rows.facts["crop_id"], rows.truth, rows.sides, classes)
    name, begun = f"{run}.npz", start_of_learned(store, chosen)
    if not store.has(name):
        checkpoint = StoredCheckpoint(store, run.replace("/", "-"))
        with progress("learn trunk", len(crops.classes) * how.epochs) as advance:
            on_epoch = count_epochs(advance, len(crops.classes))
            trunk = trainable_trunk(store, chosen, begun, how)
            found = train_trunk(crops, trunk, how, on_epoch, checkpoint)
        store.write_bytes(name, found.to_bytes())
        checkpoint.remove()
    found = LearnedTrunk.from_bytes(store.read_bytes(name))
    model = learned_network(store, chosen, begun, found)
    embedder = Embedder(model, chosen.trunk.precision)
    embeddings = InMemoryEmbeddings(_embed(store, chosen.crops, rows.facts, embedder))
    start = head_start(found, crops) if found.above else None
    background = rows.background and _embed_background(store, chosen, rows.background, embedder)
    return RefitTrunk(replace(rows, embeddings=embeddings, background=background), start, embedder)


def _embed_background(
    store: Store, chosen: ModelChoice, background: BackgroundRows, embedder: Embedder
) -> BackgroundRows:
    embeddings = _embed(store, chosen.background_crops, background.facts, embedder)
    return replace(background, embeddings=InMemoryEmbeddings(embeddings))


def _embed(store: Store, table: Table, facts: pd.DataFrame, embedder: Embedder) -> np.ndarray:
    """Embed stored crops, float16 (N, width), row for row."""
    embeddings, done = np.zeros((len(facts), embedder.width), np.float16), 0
    for numbers, pixels in crops_of(store, table, facts):
        embeddings[numbers] = embedder.embed(pixels)
        done += len(numbers)
    if done != len(embeddings):
        raise NotEnoughData(
            f"{len(embeddings) - done} of {len(embeddings)} crops were deleted, and a learned "
            "trunk has to be learned again in every fold. Run their batches again: dental run "
            "path/to/folder"
        )
    return embeddings
