"""Train a head on stored embeddings and labels, store it with its card, promote it unless worse.

No scan is decoded and no GPU is needed: everything is learned from Parquet. Baselines are measured
on the same test patients. What does not depend on the head, that is the baselines and the search
for wrong labels, runs in a second thread while the head is trained.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from pipeline.config import Settings
from pipeline.learn.baselines import BaselineResults, compare_with_baselines, run_baselines
from pipeline.learn.label_errors import write_label_errors
from pipeline.learn.promotion import promote
from pipeline.learn.training_rows import TrainingRows, labelled_rows, require_enough
from pipeline.model.fingerprints import head_fingerprint, rows_digest
from pipeline.model.head.abnormal_probability import Predictions, to_predictions
from pipeline.model.head.initial_weights import InitialWeights, from_bytes
from pipeline.model.head.networks import for_predictions, predict
from pipeline.model.head.rows import HeadData, over_rows
from pipeline.model.head.train import TrainedHead, train
from pipeline.model.scores import splits
from pipeline.progress import progress
from pipeline.stages.predict import Head
from pipeline.store.registry import (
    ModelChoice,
    head_home,
    made_with,
    trunk_home,
    write_model,
    write_patients,
)
from pipeline.store.store import Store

Report = Callable[[str], None]
LEAST_CELLS = 4  # along an edge of a map whose cells share the weights of a head


@dataclass(frozen=True)
class TrainedHeadResult:
    """The outcome of training."""

    head_id: str
    card: dict
    promoted: bool
    words: str  # why it was promoted, or not


def train_head(
    store: Store, chosen: ModelChoice, settings: Settings, report: Report
) -> TrainedHeadResult:
    """Train, measure and store a head on everything labelled in the store; promote it unless worse.

    Raises NotEnoughData like `require_enough`.
    """
    require_enough(store, chosen, settings)
    rows = labelled_rows(store, chosen, settings)
    splits.prove_disjoint(rows.patients, rows.sides)
    head_id = fingerprint_of(rows, chosen, settings, rows.sides)
    head = Head(store, head_id)
    with ThreadPoolExecutor(1) as pool:
        label_errors = pool.submit(write_label_errors, store, chosen, head_id)
        if not store.has(f"{head_home(head_id)}/card.json"):
            baselines = pool.submit(run_baselines, store, chosen, rows)
            trained = _train(store, chosen, settings, rows, head_id, baselines, report)
            head = Head(store, head_id, trained.layers)
        # Before the promotion: what a champion lacks is never looked for again.
        label_errors.result()
    decision = promote(store, head, settings.near_duplicate_bits)
    return TrainedHeadResult(head_id, head.card, decision.promoted, decision.why)


def fingerprint_of(
    rows: TrainingRows, chosen: ModelChoice, settings: Settings, sides: Sequence[str]
) -> str:
    """Fingerprint of the head that these settings learn from `rows` on these sides (N,)."""
    empty = rows_digest((), (), ())
    return head_fingerprint(
        chosen.trunk_id,
        settings.head,
        rows.classes,
        settings.normal_class,
        rows_digest(rows.facts["crop_id"], rows.facts["label"], sides),
        rows.background.digest if rows.background else empty,
    )


def _train(
    store: Store,
    chosen: ModelChoice,
    settings: Settings,
    rows: TrainingRows,
    head_id: str,
    baselines: Future[BaselineResults],
    report: Report,
) -> TrainedHead:
    """Train the head, measure it and store it with its card."""
    started = time.monotonic()
    start = start_of(store, chosen.trunk_id)
    trained = fit_head(rows, rows.sides, chosen, settings, start)
    training = time.monotonic() - started
    scores, differences = compare_with_baselines(
        rows, predict_rows(trained, rows, chosen), baselines.result()
    )
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
        **_training_facts(rows, settings, trained),
        "threshold": scores["head"]["operating_point"]["threshold"],
        "scores": scores,
        "differences": differences,
        "seconds": round(time.monotonic() - started, 1),
        **made_with(),
    }
    scoring = card["seconds"] - training
    report(f"Time: {card['seconds']:.1f} s: head {training:.1f} s, scores {scoring:.1f} s")
    write_patients(store, head_home(head_id), rows.patients[rows.sides != "test"])
    write_model(store, head_home(head_id), trained.model, card)
    return trained


def start_of(store: Store, trunk_id: str) -> InitialWeights | None:
    """The weights of the network under which a trunk was learned from labels, if it was."""
    name = f"{trunk_home(trunk_id)}/head.npz"
    return from_bytes(store.read_bytes(name)) if store.has(name) else None


def fit_head(
    rows: TrainingRows,
    sides: np.ndarray,
    chosen: ModelChoice,
    settings: Settings,
    start: InitialWeights | None = None,
) -> TrainedHead:
    """Train a head on the training rows of `sides` (N,), stopped by its validation rows."""
    data = HeadData(
        rows.embeddings,
        rows.truth,
        rows.classes,
        train=sides == "train",
        validation=sides == "validation",
        grid=shared_map(chosen),
        background=rows.background and rows.background.for_training(rows.patients, sides),
    )
    with progress("learn head", settings.head.epochs) as advance:
        return train(data, settings.head, start, lambda *_: advance(1))


def shared_map(chosen: ModelChoice) -> tuple[int, int, int] | None:
    """Shape of the map over which a head shares its weights; None for a dense head.

    On other networks' maps of few cells, a kernel of 3 × 3 has more weights than a dense layer.
    """
    if chosen.output is None or (chosen.map and min(chosen.map[:2]) >= LEAST_CELLS):
        return chosen.map
    return None


def predict_rows(trained: TrainedHead, rows: TrainingRows, chosen: ModelChoice) -> Predictions:
    """Predictions for all rows, float32, as `stages.predict` would store them."""
    every, model = np.ones(len(rows.truth), bool), for_predictions(trained.layers, chosen.grid)
    outputs = over_rows(rows.embeddings, every, lambda some: predict(model, some))
    return to_predictions(outputs, len(trained.class_names), 0, rows.facts["region_kind"])


def _training_facts(rows: TrainingRows, settings: Settings, trained: TrainedHead) -> dict:
    """Facts of the card about the data and the training."""
    learned = rows.facts[rows.sides != "test"]
    return {
        "classes": list(rows.classes),
        "normal_class": settings.normal_class,
        "settings": settings.head.model_dump(mode="json"),
        "learned_as": "shared weights, unrolled" if trained.shared else "dense layers",
        "free_parameters": trained.free_parameters,
        "background_rows": trained.background,
        # In the last layer already: the probabilities are calibrated on the validation side.
        "temperature": trained.temperature,
        "best_epoch": trained.best_epoch,
        "epochs": list(trained.epochs),
        "rows": {side: int((rows.sides == side).sum()) for side in splits.SIDES},
        "split": splits.prove_disjoint(rows.patients, rows.sides),
        "region_kinds": learned["region_kind"].value_counts().to_dict(),
    }
