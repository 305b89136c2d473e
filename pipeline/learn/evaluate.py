"""Evaluation of a head on the test side: overall, by class and by slice, with a check of the sides.

Thresholds come from validation rows alone, scores from test rows alone. Only Parquet is read:
stored predictions where there are any, else stored embeddings and the head.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import pandas as pd

from pipeline.errors import ConfigError, NotEnoughData
from pipeline.learn.scored_rows import ScoredRows, scored_rows
from pipeline.model.scores import evaluation, splits
from pipeline.model.scores.curves import Curve, precision_recall_curve, roc_curve
from pipeline.model.scores.evaluation import Bin, Thresholds, threshold_at
from pipeline.model.scores.metrics import Estimate, operating_point
from pipeline.model.scores.overlap import Overlap, find_overlap
from pipeline.stages.predict import Head
from pipeline.store import catalog
from pipeline.store.model_ids import require_head
from pipeline.store.patient_sides import patient_sides, sides_for
from pipeline.store.registry import champion
from pipeline.store.store import Store

SPECIFICITIES = (0.8, 0.9, 0.95)
SLICES = {
    "modality": "modality",
    "tooth": "tooth",
    "batch": "batch",
    "region_kind": "kind of region",
}
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Group:
    """Test rows that were measured together."""

    kind: str  # all, class, modality, tooth, batch or region_kind
    name: str
    rows: int
    patients: int
    positive: int  # abnormal rows; of a class, its own
    prevalence: float  # that `ppv` is computed for
    estimates: dict[str, Estimate]


@dataclass(frozen=True)
class HeadEvaluation:
    """The evaluation of a head."""

    card: dict
    proof: tuple[str, ...]
    left_out: int  # test rows that look like one on another side
    unknown: int  # test rows of classes that the head never learned; they count as abnormal
    groups: tuple[Group, ...]  # the whole first
    hidden: dict[str, int]  # groups of too few patients, by kind
    reliability: tuple[Bin, ...]
    roc: tuple[tuple[float, float], ...]
    curves: dict[str, Curve]  # roc and precision_recall; empty when the rows hold one kind only
    rows: ScoredRows = field(repr=False)  # the test rows behind all of it

    def values(self) -> dict:
        """All fields but the rows, whose patients are for no program's output."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "rows"}


def evaluate_head(
    store: Store,
    head_id: str | None,
    distance: int,
    prevalence: float | None = None,
    specificities: Sequence[float] = SPECIFICITIES,
) -> HeadEvaluation:
    """Evaluate a head, by default the champion.

    `distance` are the bits by which hashes of near-duplicates differ at most; `prevalence` is by
    default the share of abnormal test rows. Raises ConfigError for an unknown head or shares
    outside 0 to 1, NotEnoughData without labelled test rows.
    """
    for share in [*specificities, *([] if prevalence is None else [prevalence])]:
        if not 0 < share < 1:
            raise ConfigError(f"{share:g} was given where a share between 0 and 1 was expected.")
    head = Head(store, _known(store, head_id))
    proof = check_sides(head, distance)
    rows = scored_rows(store, head)
    test = (rows.sides == "test") & ~rows.facts["scan_id"].isin(proof.left_out).to_numpy()
    _require_rows(test, head)
    if prevalence is None:
        prevalence = float(rows.abnormal[test].mean())
    whole, validation = rows.only(test), rows.only(rows.sides == "validation")
    groups, hidden = _groups(whole, validation, prevalence, specificities)
    given = whole.abnormal, whole.p_abnormal, whole.patients
    return HeadEvaluation(
        card=head.card,
        proof=proof.lines,
        left_out=int((rows.sides == "test").sum() - test.sum()),
        unknown=int((~whole.facts["label"].isin(head.card["classes"])).sum()),
        groups=tuple(groups),
        hidden=hidden,
        reliability=tuple(evaluation.reliability(*given)),
        roc=tuple(evaluation.roc(*given[:2])),
        curves=_curves(*given),
        rows=whole,
    )


def _require_rows(test: np.ndarray, head: Head) -> None:
    if not test.any():
        raise NotEnoughData(
            f"No test row of trunk {head.card['trunk']} has a label, so there is nothing to "
            "measure on. Deliver labelled scans of more patients."
        )


def _curves(*given: np.ndarray) -> dict[str, Curve]:
    found = {"roc": roc_curve(*given), "precision_recall": precision_recall_curve(*given)}
    return {name: curve for name, curve in found.items() if curve}


def _known(store: Store, head_id: str | None) -> str:
    if head_id is None:
        current = champion(store)
        if current is None:
            raise ConfigError("The store has no champion yet; train a head with: dental train")
        return current["head"]
    return require_head(store, head_id)


def check_sides(
    head: Head, distance: int, others_learned_from: frozenset[str] = frozenset()
) -> Overlap:
    """Count patients and scans on two sides, of every scan that the head's trunk has embedded.

    Patients that the head, or another that it is compared with, learned from are on no test side.
    Raises ArtifactError when a patient is on two.
    """
    questions = "embedded_scans", "given_sides", "split_conflicts"
    with catalog.open_store(head.store, *questions) as con:
        scans = catalog.query(con, "embedded_scans", trunk=head.card["trunk"])
        before = patient_sides(con, scans["patient_key"])
        learned_from = head.with_trunk_learned_from | others_learned_from
        sides = sides_for(before, scans["patient_key"], learned_from)
        moved = scans["patient_key"][sides != before].nunique()
        conflicts = catalog.query(con, "split_conflicts")["patient_key"].nunique()
    patients = (
        splits.prove_disjoint(scans["patient_key"], sides).replace(" rows", " scans").splitlines()
    )
    if moved:
        patients.append(
            "patients who moved to the test side after this head or its trunk learned from them, "
            f"and count as training here: {moved}"
        )
    if conflicts:
        patients.append(
            f"patients with scans in folders of several sides: {conflicts}; "
            f"{splits.CONFLICT_RULE} (dental query split_conflicts)"
        )
    hashes = [None if pd.isna(each) else each for each in scans["likeness"]]
    centres = [None if each is None else list(each) for each in scans["likeness_turned"]]
    found = find_overlap(scans["scan_id"], sides, hashes, centres, distance)
    return Overlap((*patients, *found.lines), found.left_out)


def _groups(
    test: ScoredRows, validation: ScoredRows, prevalence: float, specificities: Sequence[float]
) -> tuple[list[Group], dict[str, int]]:
    """Measure all test rows, every class and every slice; and count the hidden ones by kind."""
    abnormal, scores = validation.abnormal, validation.p_abnormal
    at = {each: threshold_at(each, abnormal, scores) for each in specificities}
    # The threshold of the card decides what is flagged.
    thresholds = Thresholds(test.card["threshold"], at)

    def group(kind: str, name: str, mask: np.ndarray) -> Group:
        return _measured(
            kind,
            name,
            test.abnormal[mask],
            test.p_abnormal[mask],
            test.patients[mask],
            thresholds,
            prevalence,
        )

    groups = [group("all", "all", np.ones(len(test.facts), bool))]
    of_classes, hidden = _by_class(test, validation, specificities)
    groups += of_classes
    counts = {"class": hidden}
    for kind in SLICES:
        shown, counts[kind] = evaluation.slices(_as_texts(test.facts[kind]), test.patients)
        groups += [group(kind, name, mask) for name, mask in shown.items()]
    return groups, {kind: count for kind, count in counts.items() if count}


def _by_class(
    test: ScoredRows, validation: ScoredRows, specificities: Sequence[float]
) -> tuple[list[Group], int]:
    """Measure every class against the rest, by its own probability and its own thresholds."""
    shown, _ = evaluation.slices(test.facts["label"], test.patients)
    groups = []
    for name in test.card["classes"]:
        if name not in shown:
            continue
        of_class = (validation.facts["label"] == name).to_numpy(bool)
        scores = validation.of_class(name)
        thresholds = Thresholds(
            operating_point(of_class, scores).threshold,
            {each: threshold_at(each, of_class, scores) for each in specificities},
        )
        positive = shown[name]
        groups.append(
            _measured(
                "class",
                name,
                positive,
                test.of_class(name),
                test.patients,
                thresholds,
                float(positive.mean()),
            )
        )
    return groups, len(test.card["classes"]) - len(groups)


def _measured(
    kind: str,
    name: str,
    positive: np.ndarray,
    scores: np.ndarray,
    patients: np.ndarray,
    thresholds: Thresholds,
    prevalence: float,
) -> Group:
    return Group(
        kind,
        name,
        rows=len(positive),
        patients=len(set(patients)),
        positive=int(positive.sum()),
        prevalence=prevalence,
        estimates=evaluation.measures(positive, scores, patients, thresholds, prevalence),
    )


def _as_texts(column: pd.Series) -> np.ndarray:
    """The values of a slice as texts; missing ones have a name too."""
    if pd.api.types.is_numeric_dtype(column):  # integers of which some are missing
        column = column.astype("Int64")
    return column.astype("string").fillna(UNKNOWN).to_numpy(str)
