"""Boxes around the shapes of label files: points, rotated rectangles, circles, ellipses.

Coordinates are numbers or texts of numbers, in pixels or in shares of the image. Whatever is not a
box of finite numbers with a positive width and height is None, never an exception.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

MAX_COORDINATE = 10**9  # no scan is that large


class Bounds(NamedTuple):
    """Left, top, width and height of a box."""

    x: float
    y: float
    w: float
    h: float

    def scaled(self, across: float, down: float) -> "Bounds":
        return Bounds(self.x * across, self.y * down, self.w * across, self.h * down)


def numbers(values: Iterable) -> list[float] | None:
    """These values as finite numbers; None unless every one is. Texts may have decimal commas."""
    try:
        found = [
            float(value.replace(",", ".") if isinstance(value, str) else value) for value in values
        ]
    except (TypeError, ValueError, OverflowError):
        return None
    # NaN compares false.
    return found if all(abs(value) < MAX_COORDINATE for value in found) else None


def box(x, y, w, h) -> Bounds | None:
    """The box with this left, top, width and height."""
    found = numbers((x, y, w, h))
    return Bounds(*found) if found and found[2] > 0 and found[3] > 0 else None


def around(points) -> Bounds | None:
    """The box around points (x, y); of two points, the box with these corners."""
    try:
        pairs = [(x, y) for x, y in points]
    except (TypeError, ValueError):
        return None
    across, down = numbers(x for x, _ in pairs), numbers(y for _, y in pairs)
    if not across or not down:
        return None
    left, top = min(across), min(down)
    return box(left, top, max(across) - left, max(down) - top)


def pairs_of(flat) -> list[tuple] | None:
    """Points of a list x, y, x, y, …; None unless their number is even."""
    values = list(flat)
    return None if len(values) % 2 else list(zip(values[::2], values[1::2], strict=True))


def rotated(bounds: Bounds | None, degrees, pivot: tuple[float, float] | None = None):
    """The box around a rectangle turned clockwise about a point, by default its centre."""
    angle = numbers([degrees or 0])
    if bounds is None or angle is None or not angle[0]:
        return bounds if angle else None
    x, y, w, h = bounds
    across, down = pivot or (x + w / 2, y + h / 2)
    cos, sin = math.cos(math.radians(angle[0])), math.sin(math.radians(angle[0]))
    corners = [(a - across, b - down) for a in (x, x + w) for b in (y, y + h)]
    return around((across + a * cos - b * sin, down + a * sin + b * cos) for a, b in corners)


def ellipse(cx, cy, rx, ry, degrees=0) -> Bounds | None:
    """The box around an ellipse with these radii, turned clockwise about its centre."""
    found = numbers((cx, cy, rx, ry, degrees or 0))
    if not found or found[2] <= 0 or found[3] <= 0:
        return None
    x, y, across, down, angle = found
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    w, h = math.hypot(across * cos, down * sin), math.hypot(across * sin, down * cos)
    return box(x - w, y - h, 2 * w, 2 * h)


def circle(cx, cy, r) -> Bounds | None:
    """The box around a circle."""
    return ellipse(cx, cy, r, r)
