"""Simple methods that propose places on a panoramic, as baselines of the tooth finder.

Each takes uint8 (height, width) and returns x and y as shares of width and height, float (n, 2),
the places to look at first coming first.
"""

import cv2
import numpy as np

from pipeline.imaging.downscale import shrink
from pipeline.imaging.picture_area import ARCH_BOTTOM, ARCH_LEFT, ARCH_RIGHT, ARCH_TOP
from pipeline.imaging.tooth_finder import HEIGHT, MAX_PLACES, WIDTH

TILE = 0.28  # of the height
ROW_OFFSET = 0.42  # of a tile, above and below the band's middle
TILE_STEP = 0.5  # of a tile
BITE = np.arange(-14, 15)  # pixels around the band's middle in which the dark line of the bite lies
CROWNS = np.arange(4, 24)  # pixels from the bite over which a row of teeth is averaged


def at_random(pixels: np.ndarray) -> np.ndarray:
    """Random places in the area of the dental arch."""
    random = np.random.default_rng(int(pixels[::16, ::16].sum()))
    return random.uniform([ARCH_LEFT, ARCH_TOP], [ARCH_RIGHT, ARCH_BOTTOM], (MAX_PLACES, 2))


def tiled(pixels: np.ndarray, steps: int | None = None) -> np.ndarray:
    """Two rows of tiles along the band of the teeth, in random order."""
    height, width = pixels.shape
    steps = steps or round((ARCH_RIGHT - ARCH_LEFT) * width / (TILE_STEP * TILE * height)) + 1
    x = np.linspace(ARCH_LEFT, ARCH_RIGHT, steps)
    middle = np.polyval(band_of_teeth(small(pixels)), x)
    rows = [np.stack([x, middle + sign * ROW_OFFSET * TILE], axis=1) for sign in (-1, 1)]
    return np.random.default_rng(0).permutation(np.concatenate(rows))


def between_gaps(pixels: np.ndarray) -> np.ndarray:
    """Peaks of brightness along both rows of teeth, between the darker gaps.

    Integral projections as in Jain & Chen, "Matching of dental X-ray images for human
    identification", Pattern Recognition 37 (2004), along the bent line of the bite.
    """
    picture = small(pixels)
    columns = (np.arange(WIDTH) + 0.5) / WIDTH
    band = np.polyval(band_of_teeth(picture), columns) * HEIGHT
    grey = picture.astype(np.float32)
    dark = cv2.GaussianBlur(_along(grey, band, BITE), (0, 0), sigmaX=12, sigmaY=1)
    bite = band + BITE[(dark + 0.15 * np.abs(BITE)[:, np.newaxis]).argmin(axis=0)]
    inside = (columns > ARCH_LEFT) & (columns < ARCH_RIGHT)
    bite = np.polyval(np.polyfit(columns[inside], bite[inside], 2), columns)
    found = []
    for sign in (-1, 1):
        profile = _along(grey, bite, sign * CROWNS).mean(axis=0, keepdims=True)
        local = cv2.GaussianBlur(profile, (0, 0), 1.5) - cv2.GaussianBlur(profile, (0, 0), 7)
        peak = (local == cv2.dilate(local, np.ones((1, 9), np.uint8)))[0] & inside
        y = (bite + sign * CROWNS.mean()) / HEIGHT
        found.append(np.stack([columns, y, local[0]], axis=1)[peak])
    places = np.concatenate(found)
    return places[np.argsort(-places[:, 2])][:MAX_PLACES, :2]


def small(pixels: np.ndarray) -> np.ndarray:
    return shrink(pixels, WIDTH, HEIGHT)


def _along(grey: np.ndarray, line: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Grey levels at `offsets` below a line (one y per column): (offsets, columns)."""
    across = np.tile(np.arange(WIDTH, dtype=np.float32), (len(offsets), 1))
    down = (line + offsets[:, np.newaxis]).astype(np.float32)
    return cv2.remap(grey, across, down, cv2.INTER_LINEAR)


def band_of_teeth(picture: np.ndarray) -> np.ndarray:
    """Coefficients (a, b, c) of the band's middle y = a·x² + b·x + c; x, y shares of the size.

    Upright edges are densest where teeth stand side by side. Their centre of mass per column is
    fitted by a parabola, weighted by how many there are.
    """
    edges = np.abs(cv2.Sobel(picture.astype(np.float32), cv2.CV_32F, 1, 0, ksize=3))
    # A single bright filling or marker must not outweigh a row of teeth.
    edges = np.minimum(edges, np.percentile(edges, 95))
    dense = cv2.GaussianBlur(edges, (0, 0), WIDTH / 24)
    rows = (np.arange(HEIGHT) + 0.5) / HEIGHT
    columns = (np.arange(WIDTH) + 0.5) / WIDTH
    dense = dense[(rows > ARCH_TOP) & (rows < ARCH_BOTTOM)]
    dense = dense[:, (columns > ARCH_LEFT) & (columns < ARCH_RIGHT)]
    rows = rows[(rows > ARCH_TOP) & (rows < ARCH_BOTTOM)]
    columns = columns[(columns > ARCH_LEFT) & (columns < ARCH_RIGHT)]
    weights = (dense - dense.min(axis=0)) ** 2 + 1e-6
    middle = (weights * rows[:, np.newaxis]).sum(axis=0) / weights.sum(axis=0)
    return np.polyfit(columns, middle, 2, w=np.sqrt(weights.sum(axis=0)))
