"""Which head is the champion: a new one is promoted unless it is worse on the same patients."""

import json

import numpy as np
import pandas as pd

from pipeline.model import metrics
from pipeline.stages.labelled import Rows
from pipeline.stages.predict import Head
from pipeline.stages.registry import Chosen, champion
from pipeline.store.features import load_features
from pipeline.store.folder import Store


def promote(store: Store, chosen: Chosen, rows: Rows, head: Head) -> tuple[bool, str]:
    """Make the head the champion unless it is worse on the same test patients; say which."""
    standing = champion(store)
    if standing is None:
        words = "there was no champion"
    elif standing["head"] == head.head_id:
        return False, "it is the champion already: nothing new was learned"
    else:
        words, worse = _compared(store, rows, chosen, head, Head(store, standing["head"]))
        if worse:
            return False, words
    record = {
        "recipe": chosen.recipe_id,
        "trunk": chosen.trunk_id,
        "head": head.head_id,
        "before": standing and standing["head"],
        "why": words,
    }
    number = standing["number"] + 1 if standing else 1
    if not store.create(f"models/promotions/{number:05d}.json", json.dumps(record).encode()):
        return False, "another run promoted a head at the same moment; train again to compare"
    return True, words


def _compared(
    store: Store, rows: Rows, chosen: Chosen, head: Head, standing: Head
) -> tuple[str, bool]:
    """AUROC of both on the same test rows, and whether the new head is worse.

    Worse means that the 95 % interval of the difference, over patients, lies below zero.
    """
    test = rows.sides == "test"
    ours = rows.embeddings[test]
    theirs, known = ours, np.ones(int(test.sum()), bool)
    if standing.card["trunk"] != chosen.trunk_id:
        theirs, known = _features_of(store, standing, rows.facts["crop_id"][test])
    abnormal = rows.truth[test][known] != 0
    new = _p_abnormal(head, ours[known])
    old = _p_abnormal(standing, theirs)
    found = metrics.paired_difference(abnormal, old, new, rows.patients[test][known])
    if found.low is None:
        return f"the champion could not be compared: {found.reason}", True
    interval = f"{found.value:+.3f} (95 % interval {found.low:+.3f} to {found.high:+.3f})"
    worse = found.high < 0
    verdict = "worse than" if worse else "not worse than"
    return f"AUROC {interval} against the champion: {verdict} it on {known.sum()} crops", worse


def _features_of(store: Store, head: Head, crop_ids: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of another head's trunk for these crops, and which of them have one."""
    facts, embeddings = load_features(store, trunk=head.card["trunk"], columns=["crop_id"])
    place = {crop_id: row for row, crop_id in enumerate(facts["crop_id"])}
    rows = np.array([place.get(crop_id, -1) for crop_id in crop_ids])
    return embeddings[rows[rows >= 0]], rows >= 0


def _p_abnormal(head: Head, embeddings: np.ndarray) -> np.ndarray:
    normal = head.card["classes"].index(head.card["normal_class"])
    return 1 - head.probabilities(embeddings)[:, normal]
