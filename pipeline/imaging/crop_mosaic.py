"""Reassemble a downscaled scan from its crops, black where there is none.

Images are uint8 of shape (height, width); places are in source pixels.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.imaging.crops import Place

WIDTH = 640  # pixels of a mosaic


def mosaic(
    crops: Sequence[np.ndarray], squares: Sequence[Place], scan: tuple[int, int]
) -> np.ndarray:
    """A scan of this (width, height), reassembled 640 pixels wide, black where no crop was cut."""
    width, height = scan
    scale = WIDTH / width
    whole = np.zeros((max(1, round(scale * height)), WIDTH), np.uint8)
    rows, columns = whole.shape
    for crop, square in zip(crops, squares, strict=True):
        left, top = round(scale * square.x), round(scale * square.y)
        edge = max(1, round(scale * square.w))
        piece = cv2.resize(crop, (edge, edge), interpolation=cv2.INTER_AREA)
        # A square may extend beyond the scan.
        above, before = max(0, -top), max(0, -left)
        piece = piece[above : rows - top, before : columns - left]
        y, x = top + above, left + before
        whole[y : y + piece.shape[0], x : x + piece.shape[1]] = piece
    return whole
