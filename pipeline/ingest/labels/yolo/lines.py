"""Read one line of a YOLO file: a class and a box, polygon, oriented box or pose.

    class cx cy w h                      a box: centre and size as fractions of the image
    class cx cy w h confidence           a predicted box
    class x1 y1 x2 y2 x3 y3 …            a polygon or an oriented box, perhaps with its confidence
    class cx cy w h x1 y1 v1 …           a pose: a box and key points, with or without visibility
    x1 y1 … x4 y4 class difficulty       an oriented box of DOTA, in pixels; 0 or 1, or nothing

Of polygons and oriented boxes, the box around their points is used, and of poses their box.
"""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

HEADER = re.compile(r"(imagesource|gsd)\s*:.*", re.IGNORECASE)  # the first lines of DOTA's files
CORNERS = 8  # numbers of an oriented box
LARGEST_SHARE = 2.0  # coordinates of more are in pixels
VISIBILITY = {0.0, 1.0, 2.0}  # of a key point: not labelled, hidden, visible


class Line(NamedTuple):
    """A line's class, as written, and its box: left, top, width and height."""

    written: str
    place: tuple[float, float, float, float]
    shares: bool  # of the image, not pixels


def is_header(text: str) -> bool:
    """Whether a line is one of those that DOTA's files begin with."""
    return HEADER.fullmatch(text.strip()) is not None


def read_line(text: str, key_points: tuple[int, int] | None, in_dota: bool) -> Line | None:
    """One line; None if it has none of the forms. `in_dota`: its folder is one of DOTA's."""
    tokens = text.split()
    if len(tokens) == 1:  # commas instead of blanks
        tokens = re.split(r"[,;]", tokens[0])
    tokens = [token.rstrip(",;") for token in tokens]
    numbers = [_number(token) for token in tokens]
    corners = numbers[:CORNERS]
    has_corners = None not in corners and len(tokens) > CORNERS
    if has_corners and (in_dota or _is_in_pixels(corners, tokens[CORNERS])):
        return _dota(tokens, corners)
    # A class name may have blanks.
    first = next((n for n, token in enumerate(tokens[1:], start=1) if _is_number(token)), None)
    if first is None or None in numbers[first:] or (first > 1 and _is_number(tokens[0])):
        return None
    place = _place(numbers[first:], key_points)
    return Line(" ".join(tokens[:first]), place, shares=True) if place else None


def _is_in_pixels(corners: list[float], name: str) -> bool:
    return max(corners) > LARGEST_SHARE and not _is_number(name)


def _dota(tokens: list[str], corners: list[float]) -> Line | None:
    name = tokens[CORNERS:]
    if len(name) > 1 and name[-1].isdecimal():
        name.pop()  # the difficulty
    place = _around(corners)
    return Line(" ".join(name), place, shares=False) if place else None


def _number(text: str) -> float | None:
    """A finite number, perhaps with a decimal comma; None for anything else."""
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _is_number(text: str) -> bool:
    """Whether a text is a number, infinite ones and NaN included, and so no class name."""
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def _place(
    numbers: Sequence[float], key_points: tuple[int, int] | None
) -> tuple[float, float, float, float] | None:
    count = len(numbers)
    has_confidence = count % 2 == 1 and 0 <= numbers[-1] <= 1
    if count < 4:
        return None
    if count == 4 or (count == 5 and has_confidence) or _is_pose(numbers, key_points):
        centre_x, centre_y, w, h = numbers[:4]
        return (centre_x - w / 2, centre_y - h / 2, w, h) if w > 0 and h > 0 else None
    if count < 6 or (count % 2 and not has_confidence):
        return None
    return _around(numbers[: count - count % 2])


def _is_pose(numbers: Sequence[float], key_points: tuple[int, int] | None) -> bool:
    """Whether four numbers of a box are followed by key points.

    Without `kpt_shape`, those with a visibility show: it is 0, 1 or 2, while the coordinates of a
    polygon are fractions, of which none is 2.
    """
    rest = numbers[4:]
    if key_points is not None:
        return len(rest) - key_points[0] * key_points[1] in (0, 1)
    visible = rest[2::3]
    is_sure = len(numbers) % 2 == 1 or 2.0 in visible
    return len(rest) > 0 and len(rest) % 3 == 0 and VISIBILITY.issuperset(visible) and is_sure


def _around(numbers: Sequence[float]) -> tuple[float, float, float, float] | None:
    """The box around points x1 y1 x2 y2 …; None if it has no area."""
    xs, ys = numbers[::2], numbers[1::2]
    left, top = min(xs), min(ys)
    w, h = max(xs) - left, max(ys) - top
    return (left, top, w, h) if w > 0 and h > 0 else None
