"""Baselines on the rows of a head: what they are trained on, their scores, and the differences.

Baselines see at most 4000 rows of every side (`model.scores.svm.MOST_ROWS`); a head is compared
with each on the same test rows. They run in a thread of their own while a head is trained, so
nothing here shows progress.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

from pipeline.learn.training_rows import TrainingRows, crops_of
from pipeline.model.head.abnormal_probability import Predictions
from pipeline.model.scores import baseline_features, baselines, metrics
from pipeline.store.registry import ModelChoice
from pipeline.store.store import Store


class BaselineResults(NamedTuple):
    """Predictions of every baseline for the rows of the mask `kept` (N,)."""

    kept: np.ndarray
    probabilities: dict[str, np.ndarray]  # (n, classes), or (n, 2) of normal against the rest


@dataclass(frozen=True)
class BaselineInputs:
    """Features of the rows of the mask `kept` (N,): an array of n rows per kind."""

    kept: np.ndarray
    features: dict[str, np.ndarray]

    @property
    def usable(self) -> list[str]:
        """Names of the baselines whose features are available."""
        return [name for name, (kind, _) in METHODS.items() if kind in self.features]

    def fit(self, rows: TrainingRows, sides: np.ndarray) -> BaselineResults:
        """Fit every baseline on `sides` (N,), and predict all rows of `kept`."""
        sides, truth = sides[self.kept], rows.truth[self.kept]
        train, validation = sides == "train", sides == "validation"
        found = {}
        for name in self.usable:
            kind, method = METHODS[name]
            features = self.features[kind]
            found[name] = method(features, truth, train, validation, len(rows.classes))
        return BaselineResults(self.kept, found)


def _svm(features, truth, train, validation, _) -> np.ndarray:
    return baselines.support_vector_machine(features, truth, train, validation)


def _normal_or_not(features, truth, train, validation, _) -> np.ndarray:
    return baselines.regression(features, np.minimum(truth, 1), train, validation, 2)


# The features of each baseline and its method, the stronger one where several were tried: five
# grouped folds of 601 crops of real panoramics gave an AUROC of 0.68 for a Gaussian SVM on the
# position and 0.60 for a regression; with the box 0.80 for the SVM, 0.80 for a regression over all
# classes and 0.82 for one of normal against the rest.
METHODS: dict[str, tuple[str, Callable[..., np.ndarray]]] = {
    "probe": ("embeddings", baselines.regression),
    "svm": ("embeddings", _svm),
    "hog": ("edges", _svm),
    "pixels": ("pixels", baselines.regression),
    "place": ("place", _svm),
    "place_and_box": ("place_and_box", _normal_or_not),
}


def read_baseline_inputs(store: Store, chosen: ModelChoice, rows: TrainingRows) -> BaselineInputs:
    """Read the features. Kinds that need crops are left out when some crops were deleted."""
    kept = baselines.cap_rows(rows.sides)
    facts = rows.facts[kept].reset_index(drop=True)
    return BaselineInputs(
        kept,
        {
            "embeddings": rows.embeddings_of(kept),
            "place": baseline_features.place(facts),
            "place_and_box": baseline_features.place_and_box(facts),
            **_crop_features(store, chosen, facts),
        },
    )


def run_baselines(store: Store, chosen: ModelChoice, rows: TrainingRows) -> BaselineResults:
    """Read the features and fit every baseline on the sides of `rows`."""
    return read_baseline_inputs(store, chosen, rows).fit(rows, rows.sides)


def _crop_features(store: Store, chosen: ModelChoice, facts) -> dict[str, np.ndarray]:
    """Compute features of pixels, slice by slice; none when some crops were deleted."""
    kinds = {"pixels": baseline_features.thumbnails, "edges": baseline_features.edges_of}
    features: dict[str, np.ndarray] = {}
    done = np.zeros(len(facts), bool)
    for numbers, crops in crops_of(store, chosen.crops, facts):
        for kind, compute in kinds.items():
            some = compute(crops)
            if kind not in features:
                features[kind] = np.zeros((len(facts), some.shape[1]), np.float32)
            features[kind][numbers] = some
        done[numbers] = True
    return features if done.all() else {}


def evaluate_rows(
    rows: TrainingRows, kept: np.ndarray, probabilities: np.ndarray, p_abnormal: np.ndarray
) -> dict:
    """Evaluate the rows of the mask `kept` (N,); the result is of plain JSON types.

    `probabilities` are of those rows, (n, classes), or (n, 2) of a method that separates the
    normal class from the rest alone; `p_abnormal` (n,) is what the threshold is chosen on.
    """
    classes, truth = rows.classes, rows.truth[kept]
    if probabilities.shape[1] != len(classes):
        classes, truth = (classes[0], f"not {classes[0]}"), np.minimum(truth, 1)
    sides, patients = rows.sides[kept], rows.patients[kept]
    return metrics.evaluate(
        truth, probabilities, p_abnormal, patients, sides, classes, classes[0]
    ).as_dict()


def compare_with_baselines(
    rows: TrainingRows, head: Predictions, baselines: BaselineResults
) -> tuple[dict[str, dict], dict[str, dict]]:
    """Evaluate the head and every baseline on the test side, and the differences.

    `head` are predictions for all rows. A difference is the AUROC of the head minus that of the
    baseline, on the same draws of test patients.
    """
    kept, probabilities_of = baselines
    every = np.ones(len(rows.truth), bool)
    scores = {"head": evaluate_rows(rows, every, *head)}
    differences = {}
    test = rows.sides[kept] == "test"
    abnormal, patients = rows.truth[kept] > 0, rows.patients[kept]
    ours = head.p_abnormal[kept]
    for name, probabilities in probabilities_of.items():
        # Baselines learn no background, so for them every place has a tooth.
        theirs = 1 - probabilities[:, 0]
        scores[name] = evaluate_rows(rows, kept, probabilities, theirs)
        differences[name] = asdict(
            metrics.paired_difference(abnormal[test], theirs[test], ours[test], patients[test])
        )
    return scores, differences
