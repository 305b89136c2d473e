"""Names for results: the first 12 hex digits of a SHA-256 over everything that can change them.

Nothing here imports Keras, so asking whether a model exists already costs nothing.
"""

import hashlib
import json
from collections.abc import Sequence

from pipeline import config

# Raise when the same settings and the same data would train another head.
HEAD_FORM = 5
# Raise when the same settings and the same crops would learn another trunk.
LEARNED_FORM = 2


def fingerprint(facts: dict) -> str:
    """12 hex digits for `facts`, plain JSON types whose order of keys does not matter."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def learned_fingerprint(
    trunk: config.Trunk,
    settings: config.Learn,
    recipe_fingerprint: str,
    side: int,
    class_names: Sequence[str],
    data: str,
) -> str:
    """Name of the trunk that these settings learn from the crops of which `data` is a digest."""
    return fingerprint(
        {
            "form": LEARNED_FORM,
            "architecture": trunk.model_dump(mode="json", include={"channels", "layers"}),
            "settings": settings.model_dump(mode="json"),
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
    crop_ids: Sequence[str],
    labels: Sequence[str],
    sides: Sequence[str],
    background: Sequence[str] = (),
) -> str:
    """Name of the head that these settings learn from these rows, in this order.

    `crop_ids`, `labels` and `sides` have one text per row, `background` the ids of rows without a
    finding. The order counts: it decides which rows share a training batch.
    """
    return fingerprint(
        {
            "form": HEAD_FORM,
            "trunk": trunk_fingerprint,
            # Decides whether a head is trained, never what it learns.
            "settings": settings.model_dump(mode="json", exclude={"min_patients"}),
            "classes": list(class_names),
            "normal": normal_class,
            "rows": rows_digest(crop_ids, labels, sides),
            "background": rows_digest(background, background, background),
        }
    )


def rows_digest(crop_ids: Sequence[str], labels: Sequence[str], sides: Sequence[str]) -> str:
    """SHA-256 over labelled rows, one text per row each; their order counts."""
    rows = hashlib.sha256()
    for row in zip(crop_ids, labels, sides, strict=True):
        # JSON, because a plain separator could stand in a label.
        rows.update(json.dumps([str(text) for text in row]).encode() + b"\n")
    return rows.hexdigest()
