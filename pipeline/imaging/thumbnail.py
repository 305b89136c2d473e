"""The thumbnail of a scan, on which quality and perceptual hash are computed.

Images are uint8 of shape (height, width).
"""

import numpy as np

from pipeline.imaging.downscale import shrink
from pipeline.imaging.frame import Frame
from pipeline.imaging.picture_area import exposed_area

THUMBNAIL = 256  # pixels of the longer edge


def whole_thumbnail(frame: Frame) -> np.ndarray:
    """The frame downscaled to at most 256 pixels."""
    height, width = frame.pixels.shape
    scale = min(1.0, THUMBNAIL / max(height, width))
    return shrink(frame.overview, max(1, round(width * scale)), max(1, round(height * scale)))


def thumbnail(frame: Frame) -> np.ndarray:
    """The frame downscaled to at most 256 pixels, then without its collimation border."""
    small = whole_thumbnail(frame)
    area = exposed_area(small)
    return small[area.y : area.y + area.h, area.x : area.x + area.w]
