"""Where to look on a scan when nobody said: the arch of a panoramic, another's exposed area."""

import cv2
import numpy as np

from pipeline.imaging.crops import Place
from pipeline.imaging.shrink import shrink

PANORAMIC_RATIO = 1.5  # width / height from which a scan counts as a panoramic
# Projections under names that devices give panoramics too. A wide slice of a CT has no row of
# teeth, and a wide intra-oral scan (IO) shows four teeth, not a jaw.
MAY_BE_PANORAMIC = {None, "CR", "DX", "OT", "RG", "SC"}
# Teeth of a panoramic stand in this part of its width and height: 98 % of 601 annotated boxes on
# 116 real panoramics have their centre in it.
ARCH_LEFT, ARCH_RIGHT, ARCH_TOP, ARCH_BOTTOM = 0.17, 0.83, 0.28, 0.80


def is_panoramic(width: int, height: int, modality: str | None) -> bool:
    """DICOM PX; else at least one and a half times as wide as high, unless DICOM rules it out."""
    wide = width >= PANORAMIC_RATIO * height
    return modality == "PX" or (wide and modality in MAY_BE_PANORAMIC)


def exposed_area(pixels: np.ndarray) -> Place:
    """The scan without its collimation border: edge rows and columns of one extreme tone.

    A row belongs to the border when 95 % of its pixels are nearly black or nearly white. A scan
    that would vanish altogether is returned whole.
    """
    height, width = pixels.shape
    scale = min(1.0, 512 / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = shrink(pixels, *size)
    top, bottom = _inner(small, axis=1)
    left, right = _inner(small, axis=0)
    if bottom - top < 0.25 * size[1] or right - left < 0.25 * size[0]:
        return Place(0, 0, width, height)
    across, down = width / size[0], height / size[1]
    x, y = round(left * across), round(top * down)
    return Place(x, y, min(width, round(right * across)) - x, min(height, round(bottom * down)) - y)


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
