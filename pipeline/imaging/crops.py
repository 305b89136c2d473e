"""Cut squares out of a scan and resize them to what the trunk expects.

Pictures are uint8 of shape (height, width). Places are whole source pixels, x to the right, y
down; a square may reach outside the scan and is black there.
"""

from typing import NamedTuple

import cv2
import numpy as np

from pipeline.imaging.shrink import shrink


class Place(NamedTuple):
    """A rectangle in source pixels: left, top, width, height."""

    x: int
    y: int
    w: int
    h: int

    @property
    def centre(self) -> tuple[float, float]:
        return self.x + self.w / 2, self.y + self.h / 2


def square_around(x: float, y: float, side: int) -> Place:
    """The square of `side` pixels centred on (x, y), on whole pixels."""
    return Place(round(x - side / 2), round(y - side / 2), side, side)


def within(place: Place, width: int, height: int) -> Place:
    """The part of `place` that lies inside a picture of this size; may be empty."""
    left, top = max(0, place.x), max(0, place.y)
    right, bottom = min(width, place.x + place.w), min(height, place.y + place.h)
    return Place(left, top, max(0, right - left), max(0, bottom - top))


def cut(pixels: np.ndarray, square: Place, area: Place, side: int) -> np.ndarray:
    """Cut `square` and resize it to (side, side) uint8; what lies outside `area` is black."""
    height, width = pixels.shape
    inside = within(
        Place(
            max(square.x, area.x),
            max(square.y, area.y),
            min(square.x + square.w, area.x + area.w) - max(square.x, area.x),
            min(square.y + square.h, area.y + area.h) - max(square.y, area.y),
        ),
        width,
        height,
    )
    if not inside.w or not inside.h:
        return np.zeros((side, side), np.uint8)
    seen = pixels[inside.y : inside.y + inside.h, inside.x : inside.x + inside.w]
    if inside != square:
        left, top = inside.x - square.x, inside.y - square.y
        right, bottom = square.w - left - inside.w, square.h - top - inside.h
        seen = cv2.copyMakeBorder(seen, top, bottom, left, right, cv2.BORDER_CONSTANT, value=0)
    # Averaging areas avoids moiré on the way down but turns blocky on the way up.
    if square.w > side:
        return shrink(seen, side, side)
    return cv2.resize(seen, (side, side), interpolation=cv2.INTER_CUBIC)


def without_border(pixels: np.ndarray, share: float) -> np.ndarray:
    """The scan with this share of its height and width blacked at each edge."""
    if not share:
        return pixels
    down, across = (round(share * side) for side in pixels.shape)
    kept = np.s_[down : pixels.shape[0] - down, across : pixels.shape[1] - across]
    masked = np.zeros_like(pixels)
    masked[kept] = pixels[kept]
    return masked


def png(pixels: np.ndarray) -> bytes:
    """A picture as the bytes of a PNG file, for reports."""
    return cv2.imencode(".png", pixels)[1].tobytes()
