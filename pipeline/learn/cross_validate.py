"""Grouped cross-validation, for sets too small to reserve some patients for a test alone.

Patients are split into folds, with shares of abnormal crops as equal as possible. Each fold is the
test side once: a head and all baselines are trained on the others, a fifth of whose patients are
the validation side. So every crop is scored by methods that never saw its patient, and the scores
of all folds are measured, each crop ranked among those of its own fold. A trunk that was learned
from the store is learned again in every fold, with the same settings. Nothing is promoted.

Folds are of patients alone: sides that came with a delivery are ignored.

A finished fold is stored under runs/, and the same command resumes after it. Baselines run in a
second thread while heads are trained.
"""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from pipeline.config import Settings
from pipeline.errors import NotEnoughData
from pipeline.learn.baselines import BaselineInputs, read_baseline_inputs
from pipeline.learn.learning_curve import learning_curve, score_fewer
from pipeline.learn.novelty_scores import novelty_scores
from pipeline.learn.refit_trunk import learn_settings_of, refit_trunk
from pipeline.learn.train_head import fingerprint_of, fit_head, predict_rows
from pipeline.learn.training_rows import TrainingRows, labelled_rows
from pipeline.model.scores import metrics, splits
from pipeline.store.registry import ModelChoice
from pipeline.store.store import Store

VALIDATION_FOLDS = 5  # of the patients that are not tested, one part in five is for validation
FEWER = "head with fewer patients"  # next to the methods in the scores of a fold
Report = Callable[[str], None]


@dataclass(frozen=True)
class CrossValidated:
    """Scores of all folds together; every row was scored by methods that never saw its patient."""

    name: str  # of the record in the store
    record: dict


def cross_validate(
    store: Store, chosen: ModelChoice, settings: Settings, folds: int, report: Report
) -> CrossValidated:
    """Train and measure head and baselines in every fold, and write the record under runs/.

    Raises NotEnoughData when a fold would lack patients or one of the kinds.
    """
    started = time.monotonic()
    rows = labelled_rows(store, chosen, settings)
    sides_of_folds = split_into_folds(rows, folds)
    run = run_of(rows, chosen, settings, sides_of_folds)
    inputs = read_baseline_inputs(store, chosen, rows)
    scorer = FoldScorer(store, chosen, settings, rows, inputs, report)
    results = [
        scorer.score(f"{run}/fold-{number}.json", sides)
        for number, sides in enumerate(sides_of_folds, start=1)
    ]
    record = {
        "trunk": chosen.trunk_id,
        "trunk_learned_in_folds": learn_settings_of(store, chosen) is not None,
        "settings": settings.head.model_dump(mode="json"),
        "classes": list(rows.classes),
        **measure_folds(rows, sides_of_folds, inputs, results),
        "seconds": round(time.monotonic() - started, 1),
    }
    store.write_bytes(f"{run}.json", json.dumps(record, indent=1).encode())
    return CrossValidated(f"{run}.json", record)


def split_into_folds(rows: TrainingRows, folds: int) -> list[np.ndarray]:
    """Return the side of every row (N,), once per fold; a patient has one side in each."""
    abnormal, patients = rows.truth > 0, rows.patients
    counts = [len(set(patients[kind])) for kind in (abnormal, ~abnormal)]
    least = max(folds, VALIDATION_FOLDS + 1)
    if min(counts) < least:
        raise NotEnoughData(
            f"{counts[0]} patients have abnormal labels and {counts[1]} have `{rows.classes[0]}`; "
            f"{folds} folds need at least {least} of each. Label more patients, or ask for fewer "
            "folds."
        )
    sides_of_folds = []
    outer = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    inner = StratifiedGroupKFold(VALIDATION_FOLDS, shuffle=True, random_state=1)
    for known, test in outer.split(patients, abnormal, patients):
        _, validation = next(inner.split(known, abnormal[known], patients[known]))
        sides = np.full(len(patients), "train", "<U10")
        sides[test], sides[known[validation]] = "test", "validation"
        splits.prove_disjoint(patients, sides)
        sides_of_folds.append(sides)
    return sides_of_folds


@dataclass(frozen=True)
class FoldScorer:
    """Trains every method on the learning sides of a fold and scores its test rows."""

    store: Store
    chosen: ModelChoice
    settings: Settings
    rows: TrainingRows
    inputs: BaselineInputs
    report: Report

    def score(self, name: str, sides: np.ndarray) -> dict:
        """Scores of a fold with these sides (N,); stored as `name`, and read from there if it is.

        Per method `p_abnormal` of the test rows, in their order, and the threshold from the
        validation rows.
        """
        if self.store.has(name):
            return json.loads(self.store.read_bytes(name))
        fold = name.rsplit("/")[-1].removesuffix(".json")
        self.report(f"{fold}: {np.sum(sides == 'test')} test crops")
        scores = self._scores(name.removesuffix(".json"), sides)
        self.store.write_bytes(name, json.dumps(scores).encode())
        return scores

    def _scores(self, run: str, sides: np.ndarray) -> dict:
        rows, inputs, start = replace(self.rows, sides=sides), self.inputs, None
        if how := learn_settings_of(self.store, self.chosen):
            refit = refit_trunk(self.store, self.chosen, rows, how, run)
            rows, start = refit.rows, refit.start
            embeddings = rows.embeddings_of(inputs.kept)
            inputs = replace(inputs, features={**inputs.features, "embeddings": embeddings})
        with ThreadPoolExecutor(1) as pool:
            baselines = pool.submit(inputs.fit, rows, sides)
            head = fit_head(rows, sides, self.chosen, self.settings, start)
            every = np.ones(len(sides), bool)
            found = predict_rows(head, rows, self.chosen)
            scores = {"head": _test_scores(rows, every, found.p_abnormal)}
            if how is None:
                patients, abnormal = rows.patients, rows.truth > 0
                scores[FEWER] = score_fewer(patients, abnormal, sides, self._score_head)
        for method, probabilities in baselines.result().probabilities.items():
            scores[method] = _test_scores(rows, inputs.kept, 1 - probabilities[:, 0])
        for method, distances in self._novelty(inputs, sides).items():
            scores[method] = _test_scores(rows, inputs.kept, distances)
        return scores

    def _novelty(self, inputs: BaselineInputs, sides: np.ndarray) -> dict[str, np.ndarray]:
        """Novelty of the kept rows, fitted to the normal ones of the training side."""
        rows, kept = self.rows, inputs.kept
        maps = inputs.features["embeddings"].reshape(-1, *self.chosen.grid)
        normal = (rows.truth[kept] == 0) & (sides[kept] == "train")
        whole = rows.facts["region_kind"].to_numpy()[kept] == "whole"
        return novelty_scores(maps, normal, whole, self.settings.novelty.seed)

    def _score_head(self, sides: np.ndarray) -> dict:
        """Test scores of a head that learned from the training rows of these sides (N,) alone."""
        rows = replace(self.rows, sides=sides)
        head = fit_head(rows, sides, self.chosen, self.settings)
        found = predict_rows(head, rows, self.chosen)
        return _test_scores(rows, np.ones(len(sides), bool), found.p_abnormal)


def _test_scores(rows: TrainingRows, kept: np.ndarray, p_abnormal: np.ndarray) -> dict:
    sides, abnormal = rows.sides[kept], rows.truth[kept] > 0
    validation = sides == "validation"
    point = metrics.operating_point(abnormal[validation], p_abnormal[validation])
    return {
        "threshold": point.threshold,
        "p_abnormal": np.asarray(p_abnormal[sides == "test"], float).tolist(),
    }


def measure_folds(
    rows: TrainingRows,
    sides_of_folds: list[np.ndarray],
    inputs: BaselineInputs,
    results: list[dict],
) -> dict:
    """Measure all folds together: scores with intervals over patients, support, differences.

    AUROCs and their differences are those within the folds; `auroc_pooled` ranks all rows together.
    """
    kept = inputs.kept
    fold = sum(number * (sides == "test") for number, sides in enumerate(sides_of_folds))[kept]
    abnormal, patients = rows.truth[kept] > 0, rows.patients[kept]
    # Earlier versions stored folds without the newer methods.
    common = set(results[0]).intersection(*results)
    methods = [method for method in results[0] if method in common and method != FEWER]
    pooled = {method: _pool_folds(method, sides_of_folds, kept, results) for method in methods}
    head = pooled["head"][0]
    estimates = {
        method: metrics.two_classes(abnormal, scores, patients, thresholds, fold)
        | {"auroc_pooled": metrics.two_classes(abnormal, scores, patients, thresholds)["auroc"]}
        for method, (scores, thresholds) in pooled.items()
    }
    return {
        "folds": len(sides_of_folds),
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
        "learning_curve": _curve(rows, sides_of_folds, kept, results, fold),
    }


def _curve(
    rows: TrainingRows,
    sides_of_folds: list[np.ndarray],
    kept: np.ndarray,
    results: list[dict],
    fold: np.ndarray,
) -> list[dict]:
    """The learning curve; empty for a learned trunk and for folds that earlier versions stored."""
    if not all(FEWER in found for found in results):
        return []
    scores = {"1.0": _pool_folds("head", sides_of_folds, kept, results)[0]}
    training = [len(np.unique(rows.patients[sides == "train"])) for sides in sides_of_folds]
    counts = {"1.0": training}
    for share in results[0][FEWER]:
        of_folds = [found[FEWER][share] for found in results]
        as_head = [{"head": found} for found in of_folds]
        scores[share] = _pool_folds("head", sides_of_folds, kept, as_head)[0]
        counts[share] = [found["patients"] for found in of_folds]
    return learning_curve(rows.truth[kept] > 0, rows.patients[kept], fold, scores, counts)


def _pool_folds(
    method: str, sides_of_folds: list[np.ndarray], kept: np.ndarray, results: list[dict]
) -> tuple[np.ndarray, np.ndarray]:
    """Put the test scores of a method and their thresholds in the order of the kept rows."""
    scores, thresholds = np.zeros((2, len(kept)))
    for sides, found in zip(sides_of_folds, results, strict=True):
        test = (sides == "test") & (kept if method != "head" else True)
        scores[test] = found[method]["p_abnormal"]
        thresholds[test] = found[method]["threshold"]
    return scores[kept], thresholds[kept]


def run_of(
    rows: TrainingRows, chosen: ModelChoice, settings: Settings, sides_of_folds: list[np.ndarray]
) -> str:
    """Name of the run: the same rows, trunk, settings and folds give the same one."""
    sides = [" ".join(of_row) for of_row in zip(*sides_of_folds, strict=True)]
    return f"runs/cross-validation-{fingerprint_of(rows, chosen, settings, sides)}"
