"""Locate the part of a scan to crop without boxes: a panoramic's arch, another's exposed area."""

import cv2
import numpy as np

from pipeline.imaging.crops import Place
from pipeline.imaging.frame import Frame

PANORAMIC_RATIO = 1.5  # width / height from which a scan counts as a panoramic
# Projections under names that devices give panoramics too. A wide slice of a CT has no row of
# teeth, and a wide intra-oral scan (IO) shows four teeth, not a jaw.
MAY_BE_PANORAMIC = {None, "CR", "DX", "OT", "RG", "SC"}
# The teeth of a panoramic are in this part of its width and height: 98 % of 601 annotated boxes on
# 116 real panoramics have their centre in it.
ARCH_LEFT, ARCH_RIGHT, ARCH_TOP, ARCH_BOTTOM = 0.17, 0.83, 0.28, 0.80

MIN_REMAINING = 0.25  # share of the edges that must remain, else it is no border
# Nothing was cut from 158 periapical phantoms without a holder. Of 6960 windows of real panoramics,
# as large as a periapical, 5 lost something: the bright palate at their edge, never a tooth.
# The shadow of a film holder: least and greatest share of the edge, grey levels by which it is
# brighter than the image, lines over which its edge is soft, and the greatest standard deviation,
# in grey levels, of a shadow without a tooth.
HOLDER, DROP, SOFT, FLAT = (0.015, 0.12), 10, 2, 14


def is_panoramic(width: int, height: int, modality: str | None) -> bool:
    """Whether a scan is a panoramic.

    DICOM modality PX; else at least 1.5 times as wide as high, unless the modality excludes it.
    """
    wide = width >= PANORAMIC_RATIO * height
    return modality == "PX" or (wide and modality in MAY_BE_PANORAMIC)


def picture_area(frame: Frame) -> Place:
    """The exposed area of a frame, without the shadow of a film holder at its edges."""
    small = frame.overview
    x, y, w, h = exposed_area(small)
    rows = small[y : y + h, x : x + w]
    columns = np.ascontiguousarray(rows.T)
    top, bottom = _shadow(rows), _shadow(rows[::-1])
    left, right = _shadow(columns), _shadow(columns[::-1])
    inner = Place(x + left, y + top, w - left - right, h - top - bottom)
    return _to_source_pixels(inner, small, frame.pixels)


def exposed_area(pixels: np.ndarray) -> Place:
    """An image without its collimation border: edge rows and columns of one extreme tone.

    A row belongs to the border when 95 % of its pixels are nearly black or nearly white. If less
    than a quarter of an edge remained, the whole image is returned.
    """
    rows, columns = pixels.shape
    top, bottom = _inner(pixels, axis=1)
    left, right = _inner(pixels, axis=0)
    if bottom - top < MIN_REMAINING * rows or right - left < MIN_REMAINING * columns:
        return Place(0, 0, columns, rows)
    return Place(left, top, right - left, bottom - top)


def _to_source_pixels(place: Place, small: np.ndarray, pixels: np.ndarray) -> Place:
    """A place on the downscaled image, in pixels of the scan."""
    (rows, columns), (height, width) = small.shape, pixels.shape
    across, down = width / columns, height / rows
    x, y = round(place.x * across), round(place.y * down)
    right, bottom = round((place.x + place.w) * across), round((place.y + place.h) * down)
    return Place(x, y, min(width, right) - x, min(height, bottom) - y)


def _shadow(lines: np.ndarray) -> int:
    """How many of the first lines (n, length) are the shadow of a film holder, usually none.

    A holder is straight and has no structure: the image gets darker along a whole line, and all
    before it has much the same tone. A tooth that reaches into a shadow makes it uneven, so that it
    is kept.
    """
    deep, length = round(HOLDER[1] * len(lines)), lines.shape[1]
    middle = lines[: deep + SOFT + 1, round(0.1 * length) : round(0.9 * length)]  # without corners
    if not middle.size or len(middle) <= 2 * SOFT:
        return 0
    drop = cv2.subtract(middle[: -2 * SOFT], middle[2 * SOFT :])
    steep = cv2.reduce((drop >= DROP).view(np.uint8), 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel()
    where = np.flatnonzero(steep >= 0.95 * middle.shape[1])
    where = where[where >= HOLDER[0] * len(lines)]
    if not where.size:
        return 0
    first = int(where[0])
    _, uneven = cv2.meanStdDev(middle[: first + 1])
    return first + 2 * SOFT if uneven.item() <= FLAT else 0


def _inner(small: np.ndarray, axis: int) -> tuple[int, int]:
    """The first line that is not border, and one past the last."""
    # Counting is 10 times as fast as np.percentile, which took longer than decoding a small JPEG,
    # and OpenCV counts 10 times as fast as NumPy.
    least = 0.95 * small.shape[axis]
    dark, light = (
        cv2.reduce(mask.view(np.uint8), axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel() >= least
        for mask in (small < 12, small > 243)
    )
    kept = np.flatnonzero(~(dark | light))
    return (int(kept[0]), int(kept[-1]) + 1) if kept.size else (0, 0)
