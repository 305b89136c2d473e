"""Grouped cross-validation, for sets too small to leave some patients for a test alone.

Patients are dealt into folds, with as equal shares of abnormal crops as can be. Each fold is once
the test side: a head and all baselines are learned on the others, a fifth of whose patients are
the validation side. So every crop is scored by methods that never saw its patient, and the scores
of all folds are measured, each crop ranked among those of its own fold. A trunk that was learned
from the store is learned again in every fold, the same way. Nothing becomes a champion here.

A finished fold is kept under runs/, and the same command goes on after it.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from pipeline.config import Settings
from pipeline.errors import NotEnoughData
from pipeline.learn.baselines import BaselineInputs, read_baseline_inputs
from pipeline.learn.refit_trunk import learn_settings_of, refit_trunk
from pipeline.learn.train_head import fit_head, predict_rows
from pipeline.learn.training_rows import TrainingRows, labelled_rows
from pipeline.model.fingerprints import head_fingerprint
from pipeline.model.scores import metrics, splits
from pipeline.progress import progress
from pipeline.store.base import Store
from pipeline.store.registry import ModelChoice

VALIDATION_FOLDS = 5  # of the patients left for learning, one part in five is for validation
Say = Callable[[str], None]


@dataclass(frozen=True)
class CrossValidated:
    """Scores of all folds together; every row was scored by methods that never saw its patient."""

    name: str  # where the record stands in the store
    record: dict


def cross_validate(
    store: Store, chosen: ModelChoice, settings: Settings, folds: int, say: Say
) -> CrossValidated:
    """Learn and measure head and baselines in every fold, and write the record under runs/.

    Raises NotEnoughData when a fold would lack patients or one of the kinds.
    """
    started = time.monotonic()
    rows = labelled_rows(store, chosen, settings)
    dealt = split_into_folds(rows, folds)
    run = run_of(rows, chosen, settings, dealt)
    beside = read_baseline_inputs(store, chosen, rows)
    results = [
        _fold(store, f"{run}/fold-{number}.json", rows, sides, beside, chosen, settings, say)
        for number, sides in enumerate(dealt, start=1)
    ]
    record = {
        "trunk": chosen.trunk_id,
        "trunk_learned_in_folds": learn_settings_of(store, chosen) is not None,
        "settings": settings.head.model_dump(mode="json"),
        "classes": list(rows.classes),
        **measure_folds(rows, dealt, beside, results),
        "seconds": round(time.monotonic() - started, 1),
    }
    store.write_bytes(f"{run}.json", json.dumps(record, indent=1).encode())
    return CrossValidated(f"{run}.json", record)


def split_into_folds(rows: TrainingRows, folds: int) -> list[np.ndarray]:
    """The side of every row (N,), once per fold; a patient stands on one side in each."""
    abnormal, patients = rows.truth > 0, rows.patients
    have = [len(set(patients[kind])) for kind in (abnormal, ~abnormal)]
    least = max(folds, VALIDATION_FOLDS + 1)
    if min(have) < least:
        raise NotEnoughData(
            f"{have[0]} patients have abnormal labels and {have[1]} have `{rows.classes[0]}`; "
            f"{folds} folds need at least {least} of each. Label more patients, or ask for fewer "
            "folds."
        )
    dealt = []
    outer = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    inner = StratifiedGroupKFold(VALIDATION_FOLDS, shuffle=True, random_state=1)
    for known, test in outer.split(patients, abnormal, patients):
        _, judge = next(inner.split(known, abnormal[known], patients[known]))
        sides = np.full(len(patients), "train", "<U10")
        sides[test], sides[known[judge]] = "test", "validation"
        splits.prove_disjoint(patients, sides)
        dealt.append(sides)
    return dealt


def _fold(store, name, rows, sides, beside: BaselineInputs, chosen, settings, say: Say) -> dict:
    """Scores of one fold's test rows by every method, in the order of the rows; kept as `name`.

    Per method the p_abnormal of the test rows and the threshold from the validation rows.
    """
    if store.has(name):
        return json.loads(store.read_bytes(name))
    say(f"{name.rsplit('/')[-1].removesuffix('.json')}: {np.sum(sides == 'test')} test crops")
    here, start = replace(rows, sides=sides), None
    if how := learn_settings_of(store, chosen):
        anew = refit_trunk(store, chosen, here, how, name.removesuffix(".json"))
        here, start = anew.rows, anew.start
        embeddings = here.embeddings_of(beside.kept)
        beside = replace(beside, features={**beside.features, "embeddings": embeddings})
    head = predict_rows(fit_head(here, sides, chosen, settings, say, start), here)
    found = {"head": _scored(here, np.ones(len(sides), bool), head.p_abnormal)}
    with progress("baselines", len(beside.usable)) as advance:
        for method, probabilities in beside.scored(here, sides):
            found[method] = _scored(here, beside.kept, 1 - probabilities[:, 0])
            advance(1)
    store.write_bytes(name, json.dumps(found).encode())
    return found


def _scored(rows: TrainingRows, kept: np.ndarray, p_abnormal: np.ndarray) -> dict:
    sides, abnormal = rows.sides[kept], rows.truth[kept] > 0
    judge = sides == "validation"
    point = metrics.operating_point(abnormal[judge], p_abnormal[judge])
    return {
        "threshold": point.threshold,
        "p_abnormal": np.asarray(p_abnormal[sides == "test"], float).tolist(),
    }


def measure_folds(
    rows: TrainingRows, dealt: list[np.ndarray], beside: BaselineInputs, results: list[dict]
) -> dict:
    """All folds together: scores with intervals over patients, support, paired differences.

    AUROCs and their differences are those within the folds; `auroc_pooled` ranks all rows together.
    """
    kept = beside.kept
    fold = sum(number * (sides == "test") for number, sides in enumerate(dealt))[kept]
    abnormal, patients = rows.truth[kept] > 0, rows.patients[kept]
    pooled = {}
    for method in results[0]:
        scores, thresholds = np.zeros((2, len(rows.truth)))
        for sides, found in zip(dealt, results, strict=True):
            test = (sides == "test") & (kept if method != "head" else True)
            scores[test] = found[method]["p_abnormal"]
            thresholds[test] = found[method]["threshold"]
        pooled[method] = scores[kept], thresholds[kept]
    head = pooled["head"][0]
    estimates = {
        method: metrics.two_classes(abnormal, scores, patients, thresholds, fold)
        | {"auroc_pooled": metrics.two_classes(abnormal, scores, patients, thresholds)["auroc"]}
        for method, (scores, thresholds) in pooled.items()
    }
    return {
        "folds": len(dealt),
        "rows": len(abnormal),
        "abnormal_rows": int(abnormal.sum()),
        "patients": len(set(patients)),
        "scores": {
            method: {"estimates": {name: asdict(each) for name, each in found.items()}}
            for method, found in estimates.items()
        },
        "differences": {
            method: asdict(metrics.paired_difference(abnormal, scores, head, patients, fold))
            for method, (scores, _) in pooled.items()
            if method != "head"
        },
    }


def run_of(
    rows: TrainingRows, chosen: ModelChoice, settings: Settings, dealt: list[np.ndarray]
) -> str:
    """Name of the run: the same rows, trunk, settings and folds give the same one."""
    name = head_fingerprint(
        chosen.trunk_id,
        settings.head,
        rows.classes,
        settings.normal_class,
        rows.facts["crop_id"],
        rows.facts["label"],
        [" ".join(sides) for sides in zip(*dealt, strict=True)],
        rows.background.facts["crop_id"] if rows.background else (),
    )
    return f"runs/cross-validation-{name}"
