"""Choose the regions of a scan to crop, from its boxes or by finding teeth.

`box` around delivered boxes, `tooth` for teeth found on a panoramic without boxes, `whole` for any
other scan, and `drawn` around boxes that reviewers drew later. `background` regions of a panoramic
with boxes contain no annotated tooth: heads learn from them what false positives of the tooth
finder look like. A region's name contains its place in source pixels, so that a crop_id identifies
the same pixels under any recipe.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.config import Recipe
from pipeline.imaging import tooth_finder
from pipeline.imaging.crops import Place, square_around, within
from pipeline.imaging.frame import Frame
from pipeline.imaging.picture_area import is_panoramic, picture_area
from pipeline.imaging.tooth_numbering import guess_teeth

# Raised when the code below or in crops.py cuts other pixels with the same settings.
CODE_VERSION = 8
NEARLY_IDENTICAL = 0.9  # intersection over union from which two boxes count as the same tooth
# Of the finder's places, most probable first, those after this many are hardly ever teeth.
TEETH = 28
NEAR_BOX = 1.5  # times a box's size around its centre are not background
NO_GUESS = None, None  # tooth and confidence
TOLERANCE = 0.01  # share of the image's size by which a box may overshoot without a problem
CLIPPED_BOX = "clipped_box"


@dataclass(frozen=True)
class Annotated:
    """An annotated box in source pixels."""

    place: Place
    label: str | None
    tooth: int | None


@dataclass(frozen=True)
class Region:
    """A region to crop: `square` is cut, black outside `area`, to show `place`."""

    name: str
    kind: str  # whole, box, tooth, drawn or background
    place: Place
    square: Place
    area: Place
    label: str | None
    tooth: int | None  # delivered FDI number
    guess: int | None = None  # FDI number guessed from the position of a found tooth
    confidence: float | None = None  # probability that the guess is right

    def named(self, name: str) -> "Region":
        return replace(self, name=name)


def fingerprint(recipe: Recipe) -> str:
    """The first 12 hex digits of a SHA-256 over everything that can change a crop."""
    facts = {"code": CODE_VERSION, "finder": tooth_finder.digest(), **recipe.model_dump()}
    text = json.dumps(facts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def find_regions(
    frame: Frame,
    modality: str | None,
    boxes: Sequence[Annotated],
    recipe: Recipe,
    label: str | None = None,
    tooth: int | None = None,
) -> list[Region]:
    """The regions of one frame, in a fixed order.

    `label` and `tooth` apply to the whole scan; the teeth of a panoramic do not inherit them, since
    a finding somewhere on it is not on every tooth.
    """
    height, width = frame.pixels.shape
    panoramic = is_panoramic(width, height, modality)
    if boxes:
        return box_regions(frame, modality, boxes, recipe)
    if panoramic:
        return _tooth_regions(frame, recipe)
    area = picture_area(frame)
    square = square_around(*area.centre, max(area.w, area.h))
    return [Region("whole", "whole", area, square, area, label, tooth)]


def _tooth_regions(frame: Frame, recipe: Recipe) -> list[Region]:
    """Regions around found teeth, with guesses of their FDI numbers."""
    picture, probabilities = tooth_finder.tooth_map(frame.overview)
    places = tooth_finder.tooth_centres(probabilities)
    guesses = [
        (int(tooth), float(confidence)) if tooth else NO_GUESS
        for tooth, confidence in zip(*guess_teeth(picture, probabilities, places), strict=True)
    ]
    return _regions_at(frame, places, guesses, "tooth", recipe)


def box_regions(
    frame: Frame, modality: str | None, boxes: Sequence[Annotated], recipe: Recipe, kind="box"
) -> list[Region]:
    """Regions around boxes, of kind box or drawn.

    Each is a square whose side is a fixed share of the scan, so as not to reveal the box's size.
    """
    height, width = frame.pixels.shape
    panoramic, shorter = is_panoramic(width, height, modality), min(width, height)
    side = round(recipe.panoramic_share * height if panoramic else recipe.other_share * shorter)
    scan = Place(0, 0, width, height)
    regions = []
    for box in boxes:
        square = square_around(*box.place.centre, max(1, side))
        name = "{}-{}-{}-{}-{}".format(kind, *box.place)
        regions.append(Region(name, kind, box.place, square, scan, box.label, box.tooth))
    return regions


def find_background(
    frame: Frame, modality: str | None, boxes: Sequence[Annotated], recipe: Recipe
) -> list[Region]:
    """Regions at the finder's least probable places outside all boxes, at most 20.

    Such places are its false positives on scans without boxes: off the arch and between teeth. Only
    panoramics with boxes have background regions.
    """
    height, width = frame.pixels.shape
    if not boxes or not is_panoramic(width, height, modality):
        return []
    places = tooth_finder.find_teeth(frame.overview)[TEETH:]
    away = np.abs(places[:, np.newaxis] * [width, height] - [box.place.centre for box in boxes])
    near = (away < NEAR_BOX / 2 * np.array([[box.place.w, box.place.h] for box in boxes])).all(2)
    free = places[~near.any(axis=1)]
    return _regions_at(frame, free, [NO_GUESS] * len(free), "background", recipe)


def _regions_at(
    frame: Frame, places: np.ndarray, guesses: Sequence, kind: str, recipe: Recipe
) -> list[Region]:
    """Regions around places (n, 2), fractions of the scan, with the same squares as boxes."""
    height, width = frame.pixels.shape
    side = max(1, round(recipe.panoramic_share * height))
    scan = Place(0, 0, width, height)
    regions: dict[str, Region] = {}  # on a tiny scan two places may be the same pixel
    for (x, y), guess in zip(places, guesses, strict=True):
        square = square_around(float(x) * width, float(y) * height, side)
        place = within(square, width, height)
        name = "{}-{}-{}-{}-{}".format(kind, *place)
        regions[name] = Region(name, kind, place, square, scan, None, None, *guess)
    return list(regions.values())


def place_boxes(
    boxes: Sequence, width: int, height: int
) -> tuple[list[Annotated], list[tuple[str, str, str]]]:
    """Delivered boxes in whole pixels of a scan, and their problems as (kind, where, what).

    Boxes beyond the scan are clipped, or left out if their middle is outside. Of equal boxes one is
    kept, without a label if classes differ; nearly equal ones with two classes are reported.
    """
    placed: dict[Place, Annotated] = {}
    withdrawn, problems = set(), []  # places whose classes differ
    for box in boxes:
        across, down = (width, height) if box.shares else (1, 1)
        left, top = box.x * across, box.y * down
        right, bottom = (box.x + box.w) * across, (box.y + box.h) * down
        if not _fits(left, right, width) or not _fits(top, bottom, height):
            is_used = 0 <= left + right < 2 * width and 0 <= top + bottom < 2 * height
            what = f"the box from ({left:.0f}, {top:.0f}) to ({right:.0f}, {bottom:.0f}) does not "
            what += f"fit a scan {width} wide and {height} high; it was "
            what += "clipped" if is_used else "not used"
            problems.append((CLIPPED_BOX if is_used else "box_outside", box.where, what))
            if not is_used:
                continue
        # A sliver of the last pixel may round to the one after it.
        x, y = min(max(0, round(left)), width - 1), min(max(0, round(top)), height - 1)
        place = Place(x, y, min(width, round(right)) - x, min(height, round(bottom)) - y)
        place = place._replace(w=max(1, place.w), h=max(1, place.h))
        for other in placed.values():
            differ = None not in (box.label, other.label) and box.label != other.label
            if differ and overlap(place, other.place) >= NEARLY_IDENTICAL:
                what = f"nearly the same box is labelled `{other.label}` and `{box.label}`"
                problems.append(("two_classes", box.where, what))
                if place == other.place:
                    withdrawn.add(place)
        # One label file may give the tooth or class of a box that another lacks.
        earlier = placed.get(place, Annotated(place, None, None))
        label = None if place in withdrawn else box.label or earlier.label
        placed[place] = Annotated(place, label, box.tooth or earlier.tooth)
    return list(placed.values()), problems


def _fits(start: float, end: float, size: int) -> bool:
    return -TOLERANCE * size <= start < size and 0 < end <= (1 + TOLERANCE) * size


def overlap(one: Place, other: Place) -> float:
    """Intersection over union of two rectangles."""
    across = min(one.x + one.w, other.x + other.w) - max(one.x, other.x)
    down = min(one.y + one.h, other.y + other.h) - max(one.y, other.y)
    shared = max(0, across) * max(0, down)
    return shared / (one.w * one.h + other.w * other.h - shared)
