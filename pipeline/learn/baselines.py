"""Baselines on the rows of a head: what they are trained on, their scores, and the differences.

Baselines see at most 4000 rows of every side (`model.scores.svm.MOST_ROWS`); a head is compared
with each on the same test rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np

from pipeline.learn.training_rows import TrainingRows, crops_of
from pipeline.model.head.abnormal_probability import Predictions
from pipeline.model.scores import baseline_features, baselines, metrics
from pipeline.progress import progress
from pipeline.store.registry import ModelChoice
from pipeline.store.store import Store


@dataclass(frozen=True)
class BaselineInputs:
    """Features of the rows of the mask `kept` (N,): an array of n rows per kind."""

    kept: np.ndarray
    features: dict[str, np.ndarray]

    @property
    def usable(self) -> list[str]:
        """Names of the baselines whose features are available."""
        return [name for name, (kind, _) in METHODS.items() if kind in self.features]

    def scored(self, rows: TrainingRows, sides: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Yield every baseline with its probabilities (n, classes) or (n, 2), on `sides` (N,)."""
        sides, truth = sides[self.kept], rows.truth[self.kept]
        train, validation = sides == "train", sides == "validation"
        for name in self.usable:
            kind, method = METHODS[name]
            yield name, method(self.features[kind], truth, train, validation, len(rows.classes))


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


def _crop_features(store: Store, chosen: ModelChoice, facts) -> dict[str, np.ndarray]:
    """Compute features of pixels, slice by slice; none when some crops were deleted."""
    kinds = {"pixels": baseline_features.thumbnails, "edges": baseline_features.edges_of}
    features: dict[str, np.ndarray] = {}
    done = np.zeros(len(facts), bool)
    with progress("edges", len(facts)) as advance:
        for numbers, crops in crops_of(store, chosen.crops, facts):
            for kind, compute in kinds.items():
                some = compute(crops)
                if kind not in features:
                    features[kind] = np.zeros((len(facts), some.shape[1]), np.float32)
                features[kind][numbers] = some
            done[numbers] = True
            advance(len(numbers))
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
    rows: TrainingRows, inputs: BaselineInputs, head: Predictions, advance: Callable[[int], None]
) -> tuple[dict[str, dict], dict[str, dict]]:
    """Evaluate the head and every baseline on the test side, and the differences.

    `head` are predictions for all rows. A difference is the AUROC of the head minus that of the
    baseline, on the same draws of test patients.
    """
    every = np.ones(len(rows.truth), bool)
    scores = {"head": evaluate_rows(rows, every, *head)}
    differences = {}
    test = rows.sides[inputs.kept] == "test"
    abnormal, patients = rows.truth[inputs.kept] > 0, rows.patients[inputs.kept]
    ours = head.p_abnormal[inputs.kept]
    for name, probabilities in inputs.scored(rows, rows.sides):
        # Baselines learn no background, so for them every place has a tooth.
        theirs = 1 - probabilities[:, 0]
        scores[name] = evaluate_rows(rows, inputs.kept, probabilities, theirs)
        differences[name] = asdict(
            metrics.paired_difference(abnormal[test], theirs[test], ours[test], patients[test])
        )
        advance(1)
    return scores, differences
