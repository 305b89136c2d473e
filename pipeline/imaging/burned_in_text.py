"""Detect letters burned into a scan near its upper or lower edge.

Letters of side markers, dates and names are small, bright and sharply separated from their
surroundings. On 116 real panoramics this finds 45 of 52 with letters visible to the eye, and flags
no other; faint, dark, large or very small letters, and those in the middle, are missed. The result
is a hint, not a guarantee. Images are uint8 of shape (height, width).
"""

import cv2
import numpy as np

from pipeline.imaging.downscale import shrink

MIN_EDGE = 1000  # pixels of the longer edge that downscaling leaves, at least
# Shares of the height that are searched; in the middle columns of the lower part only below FLOOR,
# since lower teeth reach into the rest.
TOP, BOTTOM, FLOOR, SIDES = 0.10, 0.30, 0.18, 0.20
BRIGHT = 225  # least grey level of a letter
KERNEL = np.ones((3, 3), np.uint8)
MIN_CONTRAST = 80  # grey levels from a letter to most of its surroundings


def has_burned_in_text(pixels: np.ndarray) -> bool:
    """Whether at least one letter is found."""
    factor = max(1, max(pixels.shape) // MIN_EDGE)
    height, width = (side // factor for side in pixels.shape)
    for first, last in ((0, round(TOP * height)), (round((1 - BOTTOM) * height), height)):
        if first < last and width:
            rows = pixels[first * factor : last * factor, : width * factor]
            if _has_letter(shrink(rows, width, last - first), first, height):
                return True
    return False


def _has_letter(strip: np.ndarray, first: int, height: int) -> bool:
    """Whether a strip that starts at row `first` of an image of this height has a letter."""
    bright = (strip >= BRIGHT).astype(np.uint8)
    # Contours: labelling connected components takes three times as long.
    contours, _ = cv2.findContours(bright, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return False
    rows, columns = strip.shape
    boxes = np.array([cv2.boundingRect(contour) for contour in contours])
    x, y, w, h = boxes.T
    # A component at an edge may be part of anything larger: a border, a jaw, a cut letter.
    inside = (x > 0) & (y > 0) & (x + w < columns) & (y + h < rows)
    down, across = (y + h / 2 + first) / height, (x + w / 2) / columns
    margin = (down < TOP) | (down > 1 - FLOOR) | (across < SIDES) | (across > 1 - SIDES)
    high = (h >= 6) & (h >= 0.012 * height) & (h <= 0.09 * height)
    wide = (w >= 3) & (w <= 0.08 * columns)
    return any(_is_letter(strip, bright, *box) for box in boxes[inside & margin & high & wide])


def _is_letter(strip: np.ndarray, bright: np.ndarray, x: int, y: int, w: int, h: int) -> bool:
    """Whether a box contains strokes, and three quarters of the ring around them are darker."""
    place = np.s_[max(0, y - 2) : y + h + 2, max(0, x - 2) : x + w + 2]
    letter, around = bright[place], strip[place]
    if not 0.15 <= np.count_nonzero(letter) / (w * h) <= 0.9:
        return False
    near = cv2.dilate(letter, KERNEL)
    ring = around[cv2.dilate(near, KERNEL) > near]
    brightness = around[letter > 0].mean()
    return np.count_nonzero(ring <= brightness - MIN_CONTRAST) >= 0.75 * ring.size
