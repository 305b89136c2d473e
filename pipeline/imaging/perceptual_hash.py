"""64 bits of a scan that stay nearly the same when it is exported again: a perceptual hash.

The bits are those of phash (the signs of the lowest frequencies about their median), taken of the
exposed area with its histogram equalised: another window, gamma or border changes few of them.
A mirrored scan is another picture, and so is one that was trimmed by a twentieth or more.
"""

import cv2
import numpy as np

from pipeline.imaging.downscale import shrink

SIDE, LOWEST = 32, 8  # of the picture that is transformed, and the frequencies that are kept


def perceptual_hash(small: np.ndarray) -> str:
    """16 hex digits for a thumbnail, uint8 (height, width); alike scans differ in few bits.

    As `imagehash.phash` does it, whose SciPy would cost every worker a second at its start.
    """
    square = shrink(cv2.equalizeHist(small), SIDE, SIDE)
    lowest = cv2.dct(square.astype(np.float32))[:LOWEST, :LOWEST]
    return np.packbits(lowest > np.median(lowest)).tobytes().hex()
