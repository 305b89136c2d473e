"""Settings of earlier versions: ignored with a notice in settings, accepted in stored cards."""

import functools
import os
from collections.abc import Mapping
from typing import Any

from pydantic import model_validator

from pipeline.progress import log

# Why each is gone, by its key as in `dental.toml`. A key never comes back with another meaning.
REMOVED = {
    "recipe.tile_step": "panoramics are cut where teeth may be, no longer into a grid",
    "learn.window": "a trunk learns from whole crops",
    "learn.label_smoothing": "it is always 0.1",
    "head.shared": "weights are shared over the map wherever `head.units` allow it",
    "head.shift": "training maps always move by at most one cell",
    "head.mirror": "half of the training maps are always mirrored",
    "head.taught": "heads are no longer distilled from a support-vector machine",
    "novelty.coreset": "500 patches always represent the normal ones",
}


def without_removed(values: Mapping[str, Any], path: str = "") -> tuple[dict[str, Any], list[str]]:
    """`values` without removed settings, and the keys of those; `path` is the group's own key.

    A group that held nothing else is left out too: as an empty one it would count as set, and a
    recipe or trunk that is set takes precedence over the champion's.
    """
    kept, removed = {}, []
    for name, value in values.items():
        key = f"{path}.{name}" if path else name
        if key in REMOVED:
            removed.append(key)
            continue
        if isinstance(value, Mapping):
            value, inner = without_removed(value, key)
            removed += inner
            if inner and not value:
                continue
        kept[name] = value
    return kept, removed


def variable_of(key: str, prefix: str) -> str:
    """The environment variable of a setting."""
    return prefix + key.replace(".", "__").upper()


@model_validator(mode="before")
@classmethod
def ignore_removed(cls, values: dict[str, Any]) -> dict[str, Any]:
    """Take removed settings out of what was set, and log a notice about each, once a process."""
    kept, removed = without_removed(values)
    prefix = cls.model_config["env_prefix"]
    # pydantic-settings does not read a variable that belongs to no field.
    for key in {*removed, *(key for key in REMOVED if variable_of(key, prefix) in os.environ)}:
        variable = variable_of(key, prefix)
        place = variable if variable in os.environ else "your settings"
        log_once(f"Setting `{key}` is ignored: {REMOVED[key]}. Remove it from {place}.")
    return kept


@functools.cache
def log_once(line: str) -> None:
    """Log a line the first time it comes: a run reads its settings more than once."""
    log.warning(line)
