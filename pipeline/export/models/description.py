"""The description of an exported head: what goes in, what comes out, and what it was learned from.

It holds what is on the cards of head and trunk, without the machine that made them. Cards hold no
name of a patient, batch, file or store.
"""

import importlib.metadata
from collections.abc import Mapping

from pipeline.store.registry import VERSIONS

INTENDED_USE = (
    "Research on finding abnormal teeth on crops of dental X-rays. Not a medical device: not for "
    "diagnosis, and not for decisions about a patient."
)
INPUT = "grey crops cut by `recipe`, brighter meaning denser, 0 to 255"
PROBABILITIES = "probability of each class, in the order of `classes`, given that there is a tooth"
P_ABNORMAL_BOX = (
    "probability of any class but the normal one, for boxes and whole scans, where there is a tooth"
)
P_ABNORMAL_FOUND = (
    "the same for places that the tooth search found: times the probability that there is a tooth"
)
NO_BACKGROUND = "the same as p_abnormal_box, because the head was trained without background"


def describe_head(head: Mapping, trunk: Mapping, files: Mapping[str, str]) -> dict:
    """Return the description of a head on a trunk, from their cards, as plain JSON types.

    `files` are the names of the exported files by their format.
    """
    side, own = trunk["recipe"]["side"], head["scores"]["head"]
    background = head.get("background_rows", 0)  # missing on cards of earlier versions
    return {
        "head": head["head"],
        "trunk": head["trunk"],
        "recipe_id": head["recipe_id"],
        "intended_use": INTENDED_USE,
        "files": dict(files),
        "input": {"name": "crops", **_array("uint8", ["N", side, side], INPUT)},
        "outputs": _outputs(len(head["classes"]), background > 0),
        "classes": head["classes"],
        "normal_class": head["normal_class"],
        "threshold": head["threshold"],
        "recipe": trunk["recipe"],
        "architecture": {"trunk": trunk["architecture"], "head": head["architecture"]},
        "parameters": {"trunk": trunk["parameters"], "head": head["parameters"]},
        "temperature": head.get("temperature"),
        "trunk_weights": trunk["weights"],
        "training": {
            "crops": head["rows"],
            "region_kinds": head["region_kinds"],
            "background_crops": background,
        },
        "scores": {
            "test_crops": own["rows"],
            "test_crops_abnormal": own["abnormal_rows"],
            "test_patients": own["patients"],
            "estimates": own["estimates"],
        },
        "trained_at": head["made_at"],
        "trained_with": head["versions"],
        "exported_with": {name: importlib.metadata.version(name) for name in VERSIONS},
    }


def _outputs(class_count: int, background: bool) -> dict:
    found = P_ABNORMAL_FOUND if background else NO_BACKGROUND
    return {
        "probabilities": _array("float32", ["N", class_count], PROBABILITIES),
        "p_abnormal_box": _array("float32", ["N"], P_ABNORMAL_BOX),
        "p_abnormal_found": _array("float32", ["N"], found),
    }


def _array(dtype: str, shape: list, meaning: str) -> dict:
    return {"dtype": dtype, "shape": shape, "meaning": meaning}
