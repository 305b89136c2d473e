"""Find the teeth of a panoramic without boxes: their centres, most probable first.

A fully convolutional network sees the panoramic as 128 × 256 pixels and gives, for every cell of
4 × 4 pixels, the probability that a tooth has its centre there. It was trained on phantoms alone
(`make phantom-finder`) and is computed with NumPy and OpenCV, since the processes that read scans
do not import Keras. Places are (x, y) as fractions of the image's width and height.
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
WIDTH, HEIGHT = 256, 128  # pixels of the network's input
# Pixels between neighbouring outputs. With cells twice as high and a convolution less, as many
# teeth are found in two thirds of the time; but heads that learned the background from the least
# probable places had an AUROC of 0.89 instead of 0.91 over five folds, less in each.
CELL = 4
FIRST_KERNEL = 8
GRID = HEIGHT // CELL, WIDTH // CELL  # rows and columns of cells
DILATIONS = (1, 2, 4, 8)  # of the 3 × 3 convolutions; together they see half of the image's width
MARGIN_CELLS = max(DILATIONS)
NEIGHBOURHOOD = 33  # pixels over which contrast is normalised
MAX_PLACES = 48  # per scan
# Centres of teeth lie in the arch, give or take this share: it excludes orbits and jaw joints.
MARGIN = 0.03
# Half axes of the ellipse around a place without a second one, as fractions of width and height;
# teeth are upright. Peaks of the probabilities alone end at 35 places and 90 % of 601 annotated
# teeth; continuing along their slopes reaches 96 % with 48.
MIN_DISTANCE = np.array([0.027, 0.10])
GRADIENT_X = np.tile(np.float32([-1, 0, 1]), (3, 1))
ROW, COLUMN = (np.indices(GRID) + 0.5) / np.reshape(GRID, (2, 1, 1))  # centres of cells
ARCH_CENTRE = (ARCH_LEFT + ARCH_RIGHT) / 2, (ARCH_TOP + ARCH_BOTTOM) / 2
ARCH_REACH = (ARCH_RIGHT - ARCH_LEFT) / 2 + MARGIN, (ARCH_BOTTOM - ARCH_TOP) / 2 + MARGIN


def find_teeth(pixels: np.ndarray) -> np.ndarray:
    """Centres of teeth in a panoramic or its overview, uint8 (height, width).

    Returns float (n, 2), n at most 48, most probable first. Improbable places follow, so that a jaw
    without teeth is cropped too.
    """
    _, probabilities = tooth_map(pixels)
    return tooth_centres(probabilities)


def tooth_map(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The network's input, float32 (128, 256), and output, float32 (32, 64), for a panoramic."""
    picture = normalise_contrast(shrink(pixels, WIDTH, HEIGHT))
    return picture, tooth_probabilities(picture)


def normalise_contrast(small: np.ndarray) -> np.ndarray:
    """An image, uint8 (128, 256), with the same mean and contrast everywhere; float32.

    Both differ between films and sensors, and between phantoms and patients.
    """
    grey = small.astype(np.float32)
    size = (NEIGHBOURHOOD, NEIGHBOURHOOD)
    mean = cv2.blur(grey, size, borderType=cv2.BORDER_REFLECT_101)
    square = cv2.sqrBoxFilter(grey, cv2.CV_32F, size, borderType=cv2.BORDER_REFLECT_101)
    deviation = np.sqrt(np.maximum(square - mean * mean, 0) + 100)  # a flat area stays flat
    return (grey - mean) / deviation


def tooth_probabilities(picture: np.ndarray) -> np.ndarray:
    """For every cell, float32 (32, 64), the probability of the centre of a tooth, 0 to 1."""
    kernels = iter(_kernels())
    first = _first_convolution(picture, next(kernels), next(kernels))
    rows, columns, channels = first.shape
    # Rows share their zero padding: the right margin of one row is the left margin of the next.
    x = np.zeros((rows + 2 * MARGIN_CELLS + 1, MARGIN_CELLS + columns, channels), np.float32)
    inner = x[MARGIN_CELLS : MARGIN_CELLS + rows, MARGIN_CELLS:]
    inner[:] = first
    for dilation in DILATIONS:
        # Residual: the network learns faster.
        inner += _dilated_convolution(x, dilation, next(kernels), next(kernels))
    logits = (inner @ next(kernels) + next(kernels))[..., 0]
    return 1 / (1 + np.exp(-logits))


def tooth_centres(probabilities: np.ndarray) -> np.ndarray:
    """The most probable places (32, 64) in the arch, at a distance: float (n, 2), n at most 48."""
    # With sub-cell precision: the centre of mass of a cell and its eight neighbours.
    mass = cv2.boxFilter(probabilities, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
    across = cv2.filter2D(probabilities, -1, GRADIENT_X, borderType=cv2.BORDER_CONSTANT) / mass
    down = cv2.filter2D(probabilities, -1, GRADIENT_X.T, borderType=cv2.BORDER_CONSTANT) / mass
    x, y = COLUMN + across / GRID[1], ROW + down / GRID[0]
    inside = np.abs(x - ARCH_CENTRE[0]) < ARCH_REACH[0]
    inside &= np.abs(y - ARCH_CENTRE[1]) < ARCH_REACH[1]
    # Complex numbers, whose distances are one call.
    rest = x[inside] / MIN_DISTANCE[0] + 1j * (y[inside] / MIN_DISTANCE[1])
    rest, taken = rest[np.argsort(-probabilities[inside], kind="stable")], []
    while len(rest) and len(taken) < MAX_PLACES:
        taken.append(rest[0])
        rest = rest[np.abs(rest - rest[0]) >= 1]
    return np.array(taken, complex).view(float).reshape(-1, 2) * MIN_DISTANCE


@cache
def digest() -> str:
    """A hash of the weights; the code that uses them is covered by the recipe's CODE_VERSION."""
    return hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()[:12]


@cache
def _weights() -> tuple[np.ndarray, ...]:
    """Kernels, float32 (inputs, outputs), each followed by its biases."""
    with np.load(WEIGHTS) as stored:
        return tuple(stored[name].astype(np.float32) for name in stored.files)


@cache
def _kernels() -> tuple[np.ndarray, ...]:
    """The weights in the order of the computation, kernels as (taps, inputs, outputs)."""
    first, bias, *rest = _weights()
    half = FIRST_KERNEL // CELL
    blocks = first.reshape(half, CELL, half, CELL, -1).swapaxes(1, 2)
    taps = [blocks.reshape(half * half, CELL * CELL, -1), bias]
    for kernel, values in zip(rest[:-2:2], rest[1:-2:2], strict=True):
        taps += [kernel.reshape(9, -1, kernel.shape[-1]), values]
    return *map(np.ascontiguousarray, taps), *rest[-2:]


def _first_convolution(picture: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The first convolution with ReLU, over 2 × 2 blocks of 4 × 4 pixels."""
    padding = (FIRST_KERNEL - CELL) // 2
    padded = cv2.copyMakeBorder(picture, *[padding] * 4, cv2.BORDER_CONSTANT, value=0)
    rows, columns = (side // CELL for side in padded.shape)
    blocks = padded.reshape(rows, CELL, columns, CELL).swapaxes(1, 2).reshape(rows, columns, -1)
    corners = [blocks[i : rows - 1 + i, j : columns - 1 + j] for i in (0, 1) for j in (0, 1)]
    # In four products: for a single large one OpenBLAS starts threads, which then wait busily.
    out = bias + sum(block @ weights for block, weights in zip(corners, kernel, strict=True))
    return np.maximum(out, 0, out=out)


def _dilated_convolution(
    x: np.ndarray, dilation: int, kernel: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    """A dilated 3 × 3 convolution with ReLU over the inner part of padded maps.

    Rows of cells are contiguous, so a neighbour is at a fixed offset and is multiplied in place:
    gathering all neighbours first (im2col) took 4 times as long as the multiplication.
    """
    wide, channels = x.shape[1:]
    rows = x.shape[0] - 2 * MARGIN_CELLS - 1
    cells, first = x.reshape(-1, channels), MARGIN_CELLS * wide + MARGIN_CELLS
    out = np.empty((rows * wide, channels), np.float32)
    out[:] = bias
    product = np.empty_like(out)  # reused: allocating memory costs more than multiplying
    steps = (-dilation, 0, dilation)
    for weights, (down, across) in zip(kernel, pairs(steps, repeat=2), strict=True):
        start = first + down * wide + across
        np.matmul(cells[start : start + rows * wide], weights, out=product)
        out += product
    np.maximum(out, 0, out=out)
    return out.reshape(rows, wide, channels)[:, : wide - MARGIN_CELLS]
