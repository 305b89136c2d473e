"""Train a trunk on stored crops and labels, embed every crop with it, and train a head on that.

The trunk learns from patients of the training side and stops by those of the validation side;
without enough labels it learns from the training side's crops alone. Then every stored crop is
embedded with it, part by part, a head is trained, and recipe, trunk and head are promoted together
unless they are worse than the champion on the same test patients.
"""

import hashlib
import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from pipeline.config import Learn, Settings
from pipeline.errors import NotEnoughData
from pipeline.learn.checkpoint import StoredCheckpoint
from pipeline.learn.crop_source import CropSource, crop_source
from pipeline.learn.train import learn_and_predict
from pipeline.learn.train_head import TrainedHeadResult
from pipeline.learn.trainable_trunks import (
    LEARNED_FROM,
    head_start,
    learned_network,
    trainable_trunk,
)
from pipeline.model.architecture import describe, format_architecture, total
from pipeline.model.fingerprints import architecture_settings, learned_fingerprint
from pipeline.model.network import Embedder
from pipeline.model.trunk.golden_vector import golden_crop
from pipeline.model.trunk.train import LearnedTrunk, train_trunk
from pipeline.model.trunk_weights import card_settings
from pipeline.progress import Advance, progress
from pipeline.stages.embed import embed_part
from pipeline.stages.parts_loop import PartMap, one_by_one, run_over_parts
from pipeline.store.open_store import OpenStore
from pipeline.store.parts import row_count
from pipeline.store.registry import (
    ModelChoice,
    choose_models,
    embedder,
    made_with,
    trunk_card,
    trunk_home,
    write_model,
    write_patients,
)
from pipeline.store.store import Store


@dataclass
class LearnedTrunkResult:
    """The outcome of a run."""

    trunk_id: str
    card: dict
    labels: bool
    trained: TrainedHeadResult | None = None
    no_head: str = ""  # why no head was trained
    failures: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)  # by step

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[step] = time.monotonic() - started


def learn_trunk(opened: OpenStore, map: PartMap = one_by_one) -> LearnedTrunkResult:
    """Train a trunk on everything stored, embed with it, and train and perhaps promote a head.

    A trunk that was learned from the same crops with the same settings is used again; a run that
    was killed resumes after its last epoch. Raises NotEnoughData when there are too few crops.
    """
    store, settings = opened.store, opened.settings
    before = choose_models(settings, store)
    crops = crop_source(store, before, settings)
    chosen = learned_choice(before, crops, settings)
    learned = LearnedTrunkResult(chosen.trunk_id, {}, crops.labels)
    home = trunk_home(chosen.trunk_id)
    with learned.timed("learn"):
        if not store.has(f"{home}/card.json"):
            start = start_of(store, before, settings)
            fit_trunk(store, chosen, start, crops, settings)
        learned.card = trunk_card(store, chosen.trunk_id)
    with learned.timed("embed"):
        learned.failures = embed_everything(opened, chosen, map)
    if learned.failures:
        return learned
    with learned.timed("head"):
        try:
            learned.trained, failures = learn_and_predict(opened, map, chosen)
            learned.failures = [str(failure) for failure in failures]
        except NotEnoughData as too_little:
            learned.no_head = str(too_little)
    return learned


def learned_choice(before: ModelChoice, crops: CropSource, settings: Settings) -> ModelChoice:
    """The trunk that these settings learn from these crops: the notes' network, or fine-tuned."""
    output = None if settings.trunk.is_notes else before.output
    trunk_id = fingerprint(before, crops, settings)
    return ModelChoice(before.recipe, before.recipe_id, settings.trunk, trunk_id, output)


def start_of(store: Store, before: ModelChoice, settings: Settings) -> str | None:
    """The stored trunk to fine-tune, made if missing; None for the notes' network."""
    if settings.trunk.is_notes:
        return None
    embedder(store, before)
    return before.trunk_id


def fingerprint(before: ModelChoice, crops: CropSource, settings: Settings) -> str:
    """Fingerprint of the trunk that these settings learn from these crops."""
    return learned_fingerprint(
        settings.trunk,
        settings.learn.model_copy(update={"labels": crops.labels}),
        before.recipe_id,
        before.recipe.side,
        crops.class_names,
        data_digest(crops),
        None if settings.trunk.is_notes else before.trunk_id,
    )


def data_digest(crops: CropSource) -> str:
    """SHA-256 over the training data: crops in their order, with class and side."""
    digest = hashlib.sha256()
    labelled = crops.facts[["crop_id", "class", "split"]]
    background = crops.background_facts[["crop_id", "class"]].assign(split="train")
    for row in (*labelled.itertuples(index=False), *background.itertuples(index=False)):
        digest.update(f"{row[0]} {row[1]} {row[2]}\n".encode())
    return digest.hexdigest()


def fit_trunk(
    store: Store, chosen: ModelChoice, start: str | None, crops: CropSource, settings: Settings
) -> None:
    """Train the trunk, from the stored one `start` if given, and store it with its card."""
    started = time.monotonic()
    used = settings.learn.model_copy(update={"labels": crops.labels})
    checkpoint = StoredCheckpoint(store, chosen.trunk_id)
    rows = len(crops.classes)
    with progress("learn trunk", rows * used.epochs) as advance:
        on_epoch = count_epochs(advance, rows)
        trunk = trainable_trunk(store, chosen, start, used)
        found = train_trunk(crops, trunk, used, on_epoch, checkpoint)
    card = {
        **_card(chosen, crops, used, found),
        **_network_facts(store, chosen, start),
        "seconds": round(time.monotonic() - started, 1),
        **made_with(),
    }
    _store(store, chosen, start, crops, found, card)
    checkpoint.remove()


def count_epochs(advance: Advance, rows: int) -> Callable[[int, dict], None]:
    """Advance by `rows` an epoch, and by the epochs before a resumed run at once."""
    done = 0

    def on_epoch(number: int, scores: dict) -> None:
        nonlocal done
        advance(rows * (number - done))
        done = number

    return on_epoch


def _store(
    store: Store,
    chosen: ModelChoice,
    start: str | None,
    crops: CropSource,
    found: LearnedTrunk,
    card: dict,
) -> None:
    home, side = trunk_home(chosen.trunk_id), chosen.recipe.side
    model = learned_network(store, chosen, start, found)
    golden = io.BytesIO()
    embedder = Embedder(model, chosen.trunk.precision)
    np.save(golden, embedder.embed(golden_crop(side)[np.newaxis])[0])
    store.write_bytes(f"{home}/golden.npy", golden.getvalue())
    if found.above:
        store.write_bytes(f"{home}/head.npz", head_start(found, crops).to_bytes())
    write_patients(store, home, crops.patients)
    write_model(store, home, model, card)


def _network_facts(store: Store, chosen: ModelChoice, start: str | None) -> dict:
    """Facts of the card about the network."""
    if start is not None:
        facts = ("architecture", "parameters", "output", "cost")
        before = trunk_card(store, start)
        return {LEARNED_FROM: start, **{name: before[name] for name in facts}}
    side = chosen.recipe.side
    return {
        "settings": architecture_settings(chosen.trunk),
        "architecture": format_architecture(chosen.trunk, side),
        "parameters": total(describe(chosen.trunk, side)).parameters,
    }


def _card(chosen: ModelChoice, crops: CropSource, used: Learn, found: LearnedTrunk) -> dict:
    facts = crops.facts
    return {
        "trunk": chosen.trunk_id,
        "settings": card_settings(chosen.trunk),
        "weights": f"learned {'with' if crops.labels else 'without'} labels, seed {used.seed}",
        "recipe_id": chosen.recipe_id,
        "recipe": chosen.recipe.model_dump(mode="json"),
        "width": chosen.width,
        "learn": used.model_dump(mode="json"),
        "seed": used.seed,
        "data": data_digest(crops)[:12],
        "classes": list(crops.class_names) if crops.labels else None,
        "rows": {name: int((facts["split"] == name).sum()) for name in ("train", "validation")},
        "background_rows": len(crops.background_facts) if crops.background else 0,
        "patients": {
            name: int(facts.loc[facts["split"] == name, "patient_key"].nunique())
            for name in ("train", "validation")
        },
        "scores": None,  # a trunk alone has none; those of heads on it are on their cards
        "best_epoch": found.best_epoch,
        "epochs": list(found.epochs),
    }


def embed_everything(opened: OpenStore, chosen: ModelChoice, map: PartMap) -> list[str]:
    """Embed every stored crop of the recipe that this trunk has not embedded yet."""
    store = opened.store
    ready = embedder(store, chosen)
    missing = chosen.features.missing_from(store, chosen.crops)
    crops = sum(
        row_count(store, chosen.crops.part(batch, number))
        for batch, numbers in missing.items()
        for number in numbers
    )
    failures = []
    with progress("embed", crops) as advance:
        for batch, numbers in missing.items():
            failures += run_over_parts(
                "embed",
                batch,
                lambda number, batch=batch: embed_part(
                    store, batch, number, chosen, ready.embed, advance
                ),
                numbers,
                map,
                opened.private,
            )
    return [str(failure) for failure in failures]
