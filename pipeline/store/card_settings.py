"""Settings as stored cards hold them, whatever version wrote the card.

A card holds the settings that a model was made with. Today's defaults are no substitute for one
that it lacks: they may have changed since, and rows made now would differ from the stored ones.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from pipeline.config import GROUPS, Group, Trunk
from pipeline.errors import ArtifactError
from pipeline.removed_settings import without_removed

# For a setting that came after the first cards, or that no card holds: what was done without it.
# Whoever adds a field to the recipe, the trunk, its layers or the learning of trunks adds a line.
OF_ITS_TIME: dict[str, Any] = {
    "recipe.mask_border": 0.0,
    # Cards have no path of a weights file, which would reveal this machine, and those of learned
    # trunks no seed. The weights themselves are stored with the card.
    "trunk.weights": "random",
    "trunk.seed": 0,
    # Cards of earlier versions are of the notes' network.
    "trunk.model": "notes",
    "trunk.layer": None,
    "trunk.pool": "none",
    "trunk.scale": "0..255",
    "trunk.precision": "float32",
}

SomeGroup = TypeVar("SomeGroup", bound=Group)


def settings_from_card(group: type[SomeGroup], stored: Mapping[str, Any], model: str) -> SomeGroup:
    """The settings that the card of `model` holds for `group`.

    Raises ArtifactError when the card lacks one that every version wrote, holds one that this
    version does not know, or a value that is not valid.
    """
    name = next(name for name, each in GROUPS.items() if each is group)
    known, _ = without_removed(stored, name)
    if group is Trunk and known.get("model", "notes") != "notes":
        # Of the network of the notes, which it is not.
        known = Trunk().model_dump(include={"channels", "layers"}) | known
    try:
        return group(**_complete(group, known, name, model))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([name, *map(str, first["loc"])])
        raise ArtifactError(
            f"The card of {model} has {first['input']!r} as setting `{key}`: {first['msg']}. "
            "Restore it from your backup."
        ) from None


def _complete(group: type[Group], stored: Mapping[str, Any], path: str, model: str) -> dict:
    """`stored` with the value of its time for each setting that it lacks."""
    if unknown := stored.keys() - group.model_fields.keys():
        raise ArtifactError(
            f"The card of {model} has the setting `{path}.{min(unknown)}`, which this version does "
            "not know: a newer version wrote it. Install that version or a newer one."
        )
    complete = {}
    for name in group.model_fields:
        key = f"{path}.{name}"
        if name not in stored and key not in OF_ITS_TIME:
            raise ArtifactError(
                f"The card of {model} lacks the setting `{key}`, so it is damaged. Restore it from "
                "your backup."
            )
        value = stored[name] if name in stored else OF_ITS_TIME[key]
        if name in GROUPS and isinstance(value, list):
            value = [_complete(GROUPS[name], each, key, model) for each in value]
        complete[name] = value
    return complete
