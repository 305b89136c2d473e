"""Find the teeth of a panoramic that nobody annotated: places to look at, likeliest first.

A fully convolutional network sees the panoramic as 128 × 256 pixels and says for every 4 × 4 of
them how likely a tooth has its middle there. It was learned from phantoms alone (`make
phantom-finder`), and is computed with NumPy and OpenCV, since the processes that read scans know
no Keras. Places are (x, y) in shares of the picture's width and height.
"""

import hashlib
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from pipeline.imaging.anatomy import ARCH_BOTTOM, ARCH_LEFT, ARCH_RIGHT, ARCH_TOP
from pipeline.imaging.shrink import shrink

WEIGHTS = Path(__file__).with_name("finder.npz")
WIDTH, HEIGHT = 256, 128  # pixels of what the network sees
CELL = 4  # pixels between neighbouring outputs
FIRST_KERNEL = 8
DILATIONS = (1, 2, 4, 8)  # of the 3 × 3 convolutions; together they see half of the picture's width
NEIGHBOURHOOD = 33  # pixels over which contrast is made equal
MOST = 48  # places of a scan
# Teeth stand in the arch, give or take this share: it leaves out eye sockets and jaw joints.
MARGIN = 0.03
# Half axes of the ellipse in which no second place is taken, in shares of width and height. Teeth
# are upright. Peaks of the chances alone end at 35 places and 90 % of 601 annotated teeth; going
# on along their slopes reaches 96 % with 48.
APART = np.array([0.027, 0.10])


def find_teeth(pixels: np.ndarray) -> np.ndarray:
    """Middles of teeth in a panoramic, uint8 (height, width): float (n, 2), n at most 48.

    The likeliest comes first. What no tooth is likely at follows, so that a jaw without teeth is
    looked at too.
    """
    chances = tooth_chances(contrasted(shrink(pixels, WIDTH, HEIGHT)))
    return middles(chances)


def contrasted(small: np.ndarray) -> np.ndarray:
    """A picture, uint8 (128, 256), with the same mean and contrast everywhere; float32.

    Films and sensors differ in both, phantoms and patients too.
    """
    grey = small.astype(np.float32)
    size = (NEIGHBOURHOOD, NEIGHBOURHOOD)
    mean = cv2.blur(grey, size, borderType=cv2.BORDER_REFLECT_101)
    square = cv2.sqrBoxFilter(grey, cv2.CV_32F, size, borderType=cv2.BORDER_REFLECT_101)
    deviation = np.sqrt(np.maximum(square - mean * mean, 0) + 100)  # a flat area stays flat
    return (grey - mean) / deviation


def tooth_chances(picture: np.ndarray) -> np.ndarray:
    """For every cell, float32 (32, 64), how likely the middle of a tooth is there, from 0 to 1."""
    weights = iter(_weights())
    padding = (FIRST_KERNEL - CELL) // 2
    padded = cv2.copyMakeBorder(picture, *[padding] * 4, cv2.BORDER_CONSTANT, value=0)
    seen = np.lib.stride_tricks.sliding_window_view(padded, (FIRST_KERNEL, FIRST_KERNEL))
    x = _rectified(seen[::CELL, ::CELL], next(weights), next(weights))
    for dilation in DILATIONS:
        # Each adds to what was there: the network learns faster so.
        x = x + _rectified(_around(x, dilation), next(weights), next(weights))
    logits = (x @ next(weights) + next(weights))[..., 0]
    return 1 / (1 + np.exp(-logits))


def middles(chances: np.ndarray) -> np.ndarray:
    """Places of the greatest chances (32, 64), apart, in the arch: float (n, 2), at most 48."""
    size = np.array(chances.shape[::-1])
    row, column = np.indices(chances.shape).reshape(2, -1)
    # Between cells: the centre of mass of a cell and its eight neighbours.
    around = _around(chances[..., np.newaxis], 1)[row, column]
    down, across = np.divmod(np.arange(9), 3)
    moved = around @ np.stack([across, down], axis=1) / around.sum(axis=1, keepdims=True) - 1
    places = (np.stack([column, row], axis=1) + 0.5 + moved) / size
    inside = (places > [ARCH_LEFT - MARGIN, ARCH_TOP - MARGIN]).all(axis=1)
    inside &= (places < [ARCH_RIGHT + MARGIN, ARCH_BOTTOM + MARGIN]).all(axis=1)
    places = places[inside][np.argsort(-chances[row, column][inside], kind="stable")]
    left, taken = (places / APART) @ [1, 1j], []  # distances of complex numbers are one call
    while len(left) and len(taken) < MOST:
        taken.append(left[0])
        left = left[np.abs(left - left[0]) >= 1]
    return np.array(taken, complex).view(float).reshape(-1, 2) * APART


@cache
def digest() -> str:
    """Changes with the weights; how they are used is in the recipe's code version."""
    return hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()[:12]


@cache
def _weights() -> tuple[np.ndarray, ...]:
    """Kernels, float32 (values in, values out), each followed by its biases."""
    with np.load(WEIGHTS) as stored:
        return tuple(stored[name].astype(np.float32) for name in stored.files)


def _around(x: np.ndarray, dilation: int) -> np.ndarray:
    """Maps (rows, columns, channels) with each cell's 3 × 3 neighbours: (…, 9 · channels)."""
    rows, columns, channels = x.shape
    padded = np.zeros((rows + 2 * dilation, columns + 2 * dilation, channels), x.dtype)
    padded[dilation:-dilation, dilation:-dilation] = x
    steps = range(0, 2 * dilation + 1, dilation)
    return np.concatenate(
        [padded[i : i + rows, j : j + columns] for i in steps for j in steps], axis=-1
    )


def _rectified(seen: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """What a convolution with ReLU makes of what it sees: (rows, columns, filters)."""
    rows, columns = seen.shape[:2]
    out = seen.reshape(rows * columns, -1) @ kernel
    out += bias
    return np.maximum(out, 0, out=out).reshape(rows, columns, -1)
