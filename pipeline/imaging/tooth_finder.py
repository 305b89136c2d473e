"""Find the teeth of a panoramic that nobody annotated: places to look at, likeliest first.

A fully convolutional network sees the panoramic as 128 × 256 pixels and says for every 4 × 4 of
them how likely a tooth has its middle there. It was learned from phantoms alone (`make
phantom-finder`), and is computed with NumPy and OpenCV, since the processes that read scans know
no Keras. Places are (x, y) in shares of the picture's width and height.
"""

import hashlib
from functools import cache
from itertools import product as pairs
from pathlib import Path

import cv2
import numpy as np

from pipeline.imaging.downscale import shrink
from pipeline.imaging.picture_area import ARCH_BOTTOM, ARCH_LEFT, ARCH_RIGHT, ARCH_TOP

WEIGHTS = Path(__file__).with_name("finder.npz")
WIDTH, HEIGHT = 256, 128  # pixels of what the network sees
# Pixels between neighbouring outputs. With cells twice as high and a convolution less, as many
# teeth are found in two thirds of the time; but heads that learned from the least likely places
# what is no finding had an AUROC of 0.89 instead of 0.91 over five folds, less in each.
CELL = 4
FIRST_KERNEL = 8
GRID = HEIGHT // CELL, WIDTH // CELL  # rows and columns of cells
DILATIONS = (1, 2, 4, 8)  # of the 3 × 3 convolutions; together they see half of the picture's width
REACH = max(DILATIONS)  # cells
NEIGHBOURHOOD = 33  # pixels over which contrast is made equal
MOST = 48  # places of a scan
# Teeth stand in the arch, give or take this share: it leaves out eye sockets and jaw joints.
MARGIN = 0.03
# Half axes of the ellipse in which no second place is taken, in shares of width and height. Teeth
# are upright. Peaks of the chances alone end at 35 places and 90 % of 601 annotated teeth; going
# on along their slopes reaches 96 % with 48.
APART = np.array([0.027, 0.10])
ACROSS = np.tile(np.float32([-1, 0, 1]), (3, 1))
ROW, COLUMN = (np.indices(GRID) + 0.5) / np.reshape(GRID, (2, 1, 1))  # middles of cells
ARCH_MIDDLE = (ARCH_LEFT + ARCH_RIGHT) / 2, (ARCH_TOP + ARCH_BOTTOM) / 2
ARCH_REACH = (ARCH_RIGHT - ARCH_LEFT) / 2 + MARGIN, (ARCH_BOTTOM - ARCH_TOP) / 2 + MARGIN


def find_teeth(pixels: np.ndarray) -> np.ndarray:
    """Middles of teeth in a panoramic, uint8 (height, width): float (n, 2), n at most 48.

    Its overview will do as well. The likeliest comes first. What no tooth is likely at follows, so
    that a jaw without teeth is looked at too.
    """
    _, chances = tooth_map(pixels)
    return middles(chances)


def tooth_map(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A panoramic as the network sees it, float32 (128, 256), and its answer, float32 (32, 64)."""
    picture = contrasted(shrink(pixels, WIDTH, HEIGHT))
    return picture, tooth_chances(picture)


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
    kernels = iter(_kernels())
    first = _first(picture, next(kernels), next(kernels))
    rows, columns, channels = first.shape
    # Rows share their margins of zeros: what lies right of one is what lies left of the next.
    x = np.zeros((rows + 2 * REACH + 1, REACH + columns, channels), np.float32)
    inner = x[REACH : REACH + rows, REACH:]
    inner[:] = first
    for dilation in DILATIONS:
        # Each adds to what was there: the network learns faster so.
        inner += _rectified(x, dilation, next(kernels), next(kernels))
    logits = (inner @ next(kernels) + next(kernels))[..., 0]
    return 1 / (1 + np.exp(-logits))


def middles(chances: np.ndarray) -> np.ndarray:
    """Places of the greatest chances (32, 64), apart, in the arch: float (n, 2), at most 48."""
    # Between cells: the centre of mass of a cell and its eight neighbours.
    mass = cv2.boxFilter(chances, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
    across = cv2.filter2D(chances, -1, ACROSS, borderType=cv2.BORDER_CONSTANT) / mass
    down = cv2.filter2D(chances, -1, ACROSS.T, borderType=cv2.BORDER_CONSTANT) / mass
    x, y = COLUMN + across / GRID[1], ROW + down / GRID[0]
    inside = np.abs(x - ARCH_MIDDLE[0]) < ARCH_REACH[0]
    inside &= np.abs(y - ARCH_MIDDLE[1]) < ARCH_REACH[1]
    # Complex, since their distances are one call.
    left = x[inside] / APART[0] + 1j * (y[inside] / APART[1])
    left, taken = left[np.argsort(-chances[inside], kind="stable")], []
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


@cache
def _kernels() -> tuple[np.ndarray, ...]:
    """The weights in the order of the computation: kernels by tap (taps, values in, values out)."""
    first, bias, *rest = _weights()
    half = FIRST_KERNEL // CELL
    blocks = first.reshape(half, CELL, half, CELL, -1).swapaxes(1, 2)
    taps = [blocks.reshape(half * half, CELL * CELL, -1), bias]
    for kernel, values in zip(rest[:-2:2], rest[1:-2:2], strict=True):
        taps += [kernel.reshape(9, -1, kernel.shape[-1]), values]
    return *map(np.ascontiguousarray, taps), *rest[-2:]


def _first(picture: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The first convolution with ReLU: it sees 2 × 2 blocks of 4 × 4 pixels."""
    padding = (FIRST_KERNEL - CELL) // 2
    padded = cv2.copyMakeBorder(picture, *[padding] * 4, cv2.BORDER_CONSTANT, value=0)
    rows, columns = (side // CELL for side in padded.shape)
    blocks = padded.reshape(rows, CELL, columns, CELL).swapaxes(1, 2).reshape(rows, columns, -1)
    corners = [blocks[i : rows - 1 + i, j : columns - 1 + j] for i in (0, 1) for j in (0, 1)]
    # Piece by piece: for all of it at once OpenBLAS starts threads, which then wait busily.
    out = bias + sum(seen @ weights for seen, weights in zip(corners, kernel, strict=True))
    return np.maximum(out, 0, out=out)


def _rectified(x: np.ndarray, dilation: int, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """What a 3 × 3 convolution with ReLU makes of the inner part of maps with margins.

    Cells lie in one row after the other, so a neighbour is a fixed number of cells away and is
    multiplied where it lies: laying all neighbours out first took 4 times as long as multiplying.
    """
    wide, channels = x.shape[1:]
    rows = x.shape[0] - 2 * REACH - 1
    cells, first = x.reshape(-1, channels), REACH * wide + REACH
    out = np.empty((rows * wide, channels), np.float32)
    out[:] = bias
    product = np.empty_like(out)  # one for all: new memory costs more than the multiplying
    steps = (-dilation, 0, dilation)
    for weights, (down, across) in zip(kernel, pairs(steps, repeat=2), strict=True):
        start = first + down * wide + across
        np.matmul(cells[start : start + rows * wide], weights, out=product)
        out += product
    np.maximum(out, 0, out=out)
    return out.reshape(rows, wide, channels)[:, : wide - REACH]
