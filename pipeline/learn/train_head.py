"""Stored embeddings and labels in, a head with its card out, promoted unless it is worse.

No scan is decoded and no GPU is needed: everything is learned from Parquet. Beside the head stand
baselines, measured on the same test patients.
"""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from pipeline.config import Settings
from pipeline.learn.baselines import compare_with_baselines, read_baseline_inputs
from pipeline.learn.label_errors import write_label_errors
from pipeline.learn.promotion import promote
from pipeline.learn.training_rows import TrainingRows, labelled_rows, require_enough
from pipeline.model.architecture import grid
from pipeline.model.fingerprints import head_fingerprint, rows_digest
from pipeline.model.head.background import Predictions, to_predictions
from pipeline.model.head.layers import predict
from pipeline.model.head.rows import over_rows
from pipeline.model.head.start import InitialWeights, from_bytes
from pipeline.model.head.train import TrainedHead, train
from pipeline.model.scores import splits
from pipeline.model.scores.svm import MOST_ROWS
from pipeline.progress import progress
from pipeline.stages.predict import Head
from pipeline.store.base import Store
from pipeline.store.registry import (
    ModelChoice,
    head_home,
    made_with,
    trunk_home,
    write_model,
    write_patients,
)

Say = Callable[[str], None]


@dataclass(frozen=True)
class TrainedHeadResult:
    """What training brought."""

    head_id: str
    card: dict
    promoted: bool
    words: str  # why it was promoted, or not


def train_head(
    store: Store, chosen: ModelChoice, settings: Settings, say: Say
) -> TrainedHeadResult:
    """Train, measure, store and perhaps promote a head on everything labelled in the store.

    Raises NotEnoughData like `require_enough`.
    """
    require_enough(store, chosen, settings)
    rows = labelled_rows(store, chosen, settings)
    splits.prove_disjoint(rows.patients, rows.sides)
    head_id = head_fingerprint(
        chosen.trunk_id,
        settings.head,
        rows.classes,
        settings.normal_class,
        rows.facts["crop_id"],
        rows.facts["label"],
        rows.sides,
        rows.background.facts["crop_id"] if rows.background else (),
    )
    head = Head(store, head_id)
    if not store.has(f"{head_home(head_id)}/card.json"):
        _learn(store, chosen, settings, rows, head_id, say)
    # Before the promotion: where a champion stands, nobody asks for what it lacks.
    write_label_errors(store, chosen, head_id)
    decision = promote(store, head, settings.near_duplicate_bits)
    return TrainedHeadResult(head_id, head.card, decision.promoted, decision.why)


def _learn(
    store: Store,
    chosen: ModelChoice,
    settings: Settings,
    rows: TrainingRows,
    head_id: str,
    say: Say,
) -> None:
    """Train the head, measure it and store it with its card."""
    started = time.monotonic()
    start = start_of(store, chosen.trunk_id)
    trained = fit_head(rows, rows.sides, chosen, settings, say, start)
    learning = time.monotonic() - started
    scores, differences = _scores(store, chosen, rows, trained)
    card = {
        "head": head_id,
        "trunk": chosen.trunk_id,
        "recipe_id": chosen.recipe_id,
        "architecture": " → ".join(
            map(str, (chosen.width, *settings.head.units, len(rows.classes)))
        ),
        "parameters": trained.model.count_params(),
        "data": rows_digest(rows.facts["crop_id"], rows.facts["label"], rows.sides)[:12],
        "seed": settings.head.seed,
        **_learned(rows, settings, trained),
        "threshold": scores["head"]["operating_point"]["threshold"],
        "scores": scores,
        "differences": differences,
        "seconds": round(time.monotonic() - started, 1),
        **made_with(),
    }
    baselines = card["seconds"] - learning
    say(f"Time: {card['seconds']:.1f} s: head {learning:.1f} s, baselines {baselines:.1f} s")
    write_patients(store, head_home(head_id), rows.patients[rows.sides != "test"])
    write_model(store, head_home(head_id), trained.model, card)


def start_of(store: Store, trunk_id: str) -> InitialWeights | None:
    """The network under which a trunk was learned from labels, if it was."""
    name = f"{trunk_home(trunk_id)}/head.npz"
    return from_bytes(store.read_bytes(name)) if store.has(name) else None


def fit_head(
    rows: TrainingRows,
    sides: np.ndarray,
    chosen: ModelChoice,
    settings: Settings,
    say: Say,
    start: InitialWeights | None = None,
) -> TrainedHead:
    """A head learned from the training rows of `sides` (N,), chosen on its validation rows."""
    learn, judge = sides == "train", sides == "validation"
    background = rows.background and rows.background.taught(rows.patients, sides)
    with progress("learn head", settings.head.epochs + settings.head.taught) as advance:
        trained = train(
            rows.embeddings,
            rows.truth,
            learn,
            judge,
            rows.classes,
            settings.head,
            grid(chosen.trunk, chosen.recipe.side),
            lambda *_: advance(1),
            start,
            background,
            lambda _: nullcontext(advance),
        )
    if settings.head.taught and not trained.taught:
        say(
            f"Not taught by a support-vector machine: the training side has {learn.sum()} labelled "
            f"crops, and a machine learns from at most {MOST_ROWS}, of both kinds."
        )
    return trained


def predict_rows(trained: TrainedHead, rows: TrainingRows) -> Predictions:
    """Predictions for all rows, float32, as `stages.predict` would store them."""
    every = np.ones(len(rows.truth), bool)
    outputs = over_rows(rows.embeddings, every, lambda some: predict(trained.model, some))
    return to_predictions(outputs, len(trained.class_names), 0, rows.facts["region_kind"])


def _learned(rows: TrainingRows, settings: Settings, trained: TrainedHead) -> dict:
    """What the card says about the data and the training."""
    known = rows.facts[rows.sides != "test"]
    return {
        "classes": list(rows.classes),
        "normal_class": settings.normal_class,
        "settings": settings.head.model_dump(mode="json"),
        "learned_as": "shared weights, unrolled" if trained.shared else "dense layers",
        "free_parameters": trained.free_parameters,
        "taught_steps": trained.taught,  # by itself and a support-vector machine, afterwards
        "background_rows": trained.background,  # learned from as what is no finding
        # In the last layer already: the probabilities are calibrated on the validation side.
        "temperature": trained.temperature,
        "best_epoch": trained.best_epoch,
        "epochs": list(trained.epochs),
        "rows": {side: int((rows.sides == side).sum()) for side in splits.SIDES},
        "split": splits.prove_disjoint(rows.patients, rows.sides),
        "region_kinds": known["region_kind"].value_counts().to_dict(),
    }


def _scores(
    store: Store, chosen: ModelChoice, rows: TrainingRows, trained: TrainedHead
) -> tuple[dict[str, dict], dict[str, dict]]:
    """Evaluations on the test side of the head and of what it has to beat, and the differences."""
    head = predict_rows(trained, rows)
    beside = read_baseline_inputs(store, chosen, rows)
    with progress("baselines", len(beside.usable)) as advance:
        return compare_with_baselines(rows, beside, head, advance)
