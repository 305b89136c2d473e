"""Fingerprints of models: the first 12 hex digits of a SHA-256 over all that can change them.

Nothing here imports Keras, so checking whether a model exists takes no time.
"""

import hashlib
import json
from collections.abc import Sequence

from pipeline import config

# Raise when the same settings and the same data would train another head.
HEAD_FORM = 5
# Raise when the same settings and the same crops would learn another trunk.
LEARNED_FORM = 2
# Settings that are constants now. They stay in the fingerprint, so that trunks keep their names.
FORMER_LEARN_SETTINGS = {"label_smoothing": 0.1}


def fingerprint(facts: dict) -> str:
    """Return 12 hex digits for `facts`, plain JSON types; the order of keys does not matter."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def architecture_settings(trunk: config.Trunk) -> dict:
    """The settings of a trunk's network, as fingerprints and cards have them.

    `precision` came later: trunks of the default one keep their names.
    """
    names = {"channels", "layers", *(["precision"] if trunk.precision != "float32" else [])}
    return trunk.model_dump(mode="json", include=names)


def learned_fingerprint(
    trunk: config.Trunk,
    settings: config.Learn,
    recipe_fingerprint: str,
    side: int,
    class_names: Sequence[str],
    data: str,
    start: str | None,
) -> str:
    """Fingerprint of the trunk that is learned from the crops of which `data` is a digest.

    `start` is the trunk that it is fine-tuned from, if it is.
    """
    return fingerprint(
        {
            "form": LEARNED_FORM,
            "architecture": {"fine-tuned": start} if start else architecture_settings(trunk),
            "settings": settings.model_dump(mode="json") | FORMER_LEARN_SETTINGS,
            "recipe": recipe_fingerprint,
            "side": side,
            "classes": list(class_names),
            "data": data,
        }
    )


def head_fingerprint(
    trunk_fingerprint: str,
    settings: config.Head,
    class_names: Sequence[str],
    normal_class: str,
    data: str,
    background: str,
) -> str:
    """Fingerprint of the head that is trained on these rows.

    `data` is the `rows_digest` of the labelled rows, `background` that of the rows of background,
    whose three texts are all their id.
    """
    return fingerprint(
        {
            "form": HEAD_FORM,
            "trunk": trunk_fingerprint,
            # Decides whether a head is trained, never what it learns.
            "settings": settings.model_dump(mode="json", exclude={"min_patients"}),
            "classes": list(class_names),
            "normal": normal_class,
            "rows": data,
            "background": background,
        }
    )


def rows_digest(crop_ids: Sequence[str], labels: Sequence[str], sides: Sequence[str]) -> str:
    """SHA-256 over labelled rows, one text per row each.

    Their order counts: it decides which rows share a training batch.
    """
    rows = hashlib.sha256()
    for row in zip(crop_ids, labels, sides, strict=True):
        # JSON, because a plain separator could occur in a label.
        rows.update(json.dumps([str(text) for text in row]).encode() + b"\n")
    return rows.hexdigest()
