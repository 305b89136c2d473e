"""Where to look on a scan when nobody said: the arch of a panoramic, another's exposed area."""

import cv2
import numpy as np

from pipeline.imaging.crops import Place
from pipeline.imaging.frame import Frame

PANORAMIC_RATIO = 1.5  # width / height from which a scan counts as a panoramic
# Projections under names that devices give panoramics too. A wide slice of a CT has no row of
# teeth, and a wide intra-oral scan (IO) shows four teeth, not a jaw.
MAY_BE_PANORAMIC = {None, "CR", "DX", "OT", "RG", "SC"}
# Teeth of a panoramic stand in this part of its width and height: 98 % of 601 annotated boxes on
# 116 real panoramics have their centre in it.
ARCH_LEFT, ARCH_RIGHT, ARCH_TOP, ARCH_BOTTOM = 0.17, 0.83, 0.28, 0.80

LEAST_LEFT = 0.25  # of the edges, else it is no border
# Nothing was cut from 158 periapical phantoms without a holder. Of 6960 windows of real panoramics,
# as large as a periapical, 5 lost something: the bright palate at their edge, never a tooth.
# The shadow of a film holder: least and greatest share of the edge, grey levels by which it is
# brighter than what lies beside it, lines over which that edge is soft, and grey levels (standard
# deviation) that a shadow without any tooth has at most.
HOLDER, DROP, SOFT, FLAT = (0.015, 0.12), 10, 2, 14


def is_panoramic(width: int, height: int, modality: str | None) -> bool:
    """DICOM PX; else at least one and a half times as wide as high, unless DICOM rules it out."""
    wide = width >= PANORAMIC_RATIO * height
    return modality == "PX" or (wide and modality in MAY_BE_PANORAMIC)


def picture_area(frame: Frame) -> Place:
    """The exposed area of a frame without the shadow of a film holder at its edges."""
    small = frame.overview
    x, y, w, h = exposed_area(small)
    upright = small[y : y + h, x : x + w]
    lying = np.ascontiguousarray(upright.T)
    top, bottom = _shadow(upright), _shadow(upright[::-1])
    left, right = _shadow(lying), _shadow(lying[::-1])
    inner = Place(x + left, y + top, w - left - right, h - top - bottom)
    return _enlarged(inner, small, frame.pixels)


def exposed_area(pixels: np.ndarray) -> Place:
    """A picture without its collimation border: edge rows and columns of one extreme tone.

    A row belongs to the border when 95 % of its pixels are nearly black or nearly white. A picture
    that would vanish altogether is returned whole.
    """
    rows, columns = pixels.shape
    top, bottom = _inner(pixels, axis=1)
    left, right = _inner(pixels, axis=0)
    if bottom - top < LEAST_LEFT * rows or right - left < LEAST_LEFT * columns:
        return Place(0, 0, columns, rows)
    return Place(left, top, right - left, bottom - top)


def _enlarged(place: Place, small: np.ndarray, pixels: np.ndarray) -> Place:
    """A place on the reduced picture in pixels of the scan."""
    (rows, columns), (height, width) = small.shape, pixels.shape
    across, down = width / columns, height / rows
    x, y = round(place.x * across), round(place.y * down)
    right, bottom = round((place.x + place.w) * across), round((place.y + place.h) * down)
    return Place(x, y, min(width, right) - x, min(height, bottom) - y)


def _shadow(lines: np.ndarray) -> int:
    """How many of the first lines (n, length) are the shadow of a film holder, usually none.

    A holder is straight and has no structure: all along a line the picture gets darker at once, and
    before it all is of much the same tone. A tooth that reaches into a shadow makes it uneven, so
    that it is kept.
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
    """First and one past the last line that is no border."""
    # Counting is 10 times as fast as np.percentile, which took longer than decoding a small JPEG,
    # and OpenCV counts 10 times as fast as NumPy.
    most = 0.95 * small.shape[axis]
    dark, light = (
        cv2.reduce(mask.view(np.uint8), axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel() >= most
        for mask in (small < 12, small > 243)
    )
    kept = np.flatnonzero(~(dark | light))
    return (int(kept[0]), int(kept[-1]) + 1) if kept.size else (0, 0)
