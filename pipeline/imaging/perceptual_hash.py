"""Perceptual hash: 64 bits that hardly change when the same scan is exported again.

The bits are those of phash (the lowest frequencies, greater or less than their median), of the
exposed area with its histogram equalised: another window, gamma or border changes few of them. A
mirrored scan has another hash, and so has one that was trimmed by a twentieth or more.
"""

import cv2
import numpy as np

from pipeline.imaging.downscale import shrink

SIDE, LOWEST = 32, 8  # pixels of the transformed square, and frequencies kept per axis


def perceptual_hash(small: np.ndarray) -> str:
    """16 hex digits for a thumbnail, uint8 (height, width); similar scans differ in few bits.

    Like `imagehash.phash`, whose import of SciPy would cost every worker a second.
    """
    square = shrink(cv2.equalizeHist(small), SIDE, SIDE)
    lowest = cv2.dct(square.astype(np.float32))[:LOWEST, :LOWEST]
    return np.packbits(lowest > np.median(lowest)).tobytes().hex()
