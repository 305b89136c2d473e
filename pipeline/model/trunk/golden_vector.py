"""Golden crop: a fixed picture whose embedding must match the one stored with a trunk.

Another device, another version of a library or a damaged file can change embeddings without any
error; new rows would then not be comparable with stored ones.
"""

import numpy as np

TOLERANCE = 0.01  # of the largest stored value
COSINE = 0.9999


def golden_crop(side: int) -> np.ndarray:
    """Draw a gradient with three discs, uint8 (side, side), with integer arithmetic only.

    No random generator and no floating point, so the picture is the same on every machine.
    """
    row, column = np.indices((side, side), dtype=np.int64)
    picture = (row * 2 + column) * 160 // max(1, 3 * (side - 1))
    # Centre and radius in sixteenths of the side, and the grey that is added.
    for y, x, radius, grey in ((4, 5, 3, 90), (10, 11, 4, -70), (12, 3, 2, 60)):
        inside = (16 * row - y * side) ** 2 + (16 * column - x * side) ** 2 < (radius * side) ** 2
        picture += np.where(inside, grey, 0)
    return np.clip(picture, 0, 255).astype(np.uint8)


def golden_matches(stored: np.ndarray, now: np.ndarray) -> bool:
    """Whether two embeddings (width,) of the golden crop differ by rounding alone."""
    stored, now = np.asarray(stored, np.float64), np.asarray(now, np.float64)
    if stored.shape != now.shape or not np.isfinite(now).all():
        return False
    lengths = np.linalg.norm(stored) * np.linalg.norm(now)
    if lengths == 0:
        return np.array_equal(stored, now)
    near = np.abs(stored - now).max() <= TOLERANCE * np.abs(stored).max()
    return bool(near and stored @ now / lengths >= COSINE)
