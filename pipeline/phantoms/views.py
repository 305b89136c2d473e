"""Augmented views of phantom panoramics for training the tooth finder: other poses and exposures.

They vary more than real films do: the finder must work on images unlike any phantom. A view is the
finder's image, uint8 (128, 256), with the centres and sizes of its teeth as fractions of the image.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.imaging.downscale import averaged
from pipeline.imaging.tooth_finder import HEIGHT, WIDTH
from pipeline.phantoms.phantom import Phantom

STRETCH = (-0.20, 0.30)  # of the natural logarithm; real panoramics are cropped closer
UNEVEN = 0.18  # of the natural logarithm, height relative to width
TURN = 0.03  # radians, standard deviation
SHIFT = 0.07  # of the image's edges
GAMMA = 0.5  # of the natural logarithm
DRAWN = 2  # times the resolution of a view, so that enlarging does not blur


@dataclass(frozen=True, eq=False)
class Drawn:
    """A panoramic with the boxes of all its teeth."""

    pixels: np.ndarray  # uint8 (256, 512)
    teeth: np.ndarray  # float (n, 4): x and y of the centre, width and height; fractions


def drawn(phantom: Phantom) -> Drawn:
    """Downscale a phantom for taking views of it."""
    height, width = phantom.pixels.shape
    boxes = np.array([(box.x, box.y, box.w, box.h) for box in phantom.teeth], float)
    boxes = boxes.reshape(-1, 4) / [width, height, width, height]
    teeth = np.concatenate([boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:]], axis=1)
    eight_bits = (phantom.pixels >> 4).astype(np.uint8)
    return Drawn(averaged(eight_bits, DRAWN * WIDTH, DRAWN * HEIGHT), teeth)


def view(scan: Drawn, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A random exposure of the scan in a random pose, and its teeth as in `Drawn`."""
    pose, shift, sizes = _pose(random)
    size = np.array([WIDTH, HEIGHT])
    turned = np.diag(size) @ pose @ np.diag(1 / (DRAWN * size))
    moved = size * (0.5 + shift) - turned @ (DRAWN * size / 2)
    beyond = cv2.BORDER_CONSTANT if random.random() < 0.5 else cv2.BORDER_REFLECT
    matrix = np.column_stack([turned, moved])
    pixels = cv2.warpAffine(scan.pixels, matrix, (WIDTH, HEIGHT), borderMode=beyond)
    places = (scan.teeth[:, :2] - 0.5) @ pose.T + 0.5 + shift
    return _exposed(pixels, random), np.concatenate([places, scan.teeth[:, 2:] * sizes], axis=1)


def _pose(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A random linear map of places about the centre, a shift, and factors of sizes."""
    across = np.exp(random.uniform(*STRETCH))
    down = across * np.exp(random.uniform(-UNEVEN, UNEVEN))
    turn, mirror = random.normal(0, TURN), random.choice([-1, 1])
    ratio = WIDTH / HEIGHT
    pose = np.array(
        [
            [across * mirror * np.cos(turn), -across * np.sin(turn) / ratio],
            [down * mirror * np.sin(turn) * ratio, down * np.cos(turn)],
        ]
    )
    return pose, random.uniform(-SHIFT, SHIFT, 2), np.array([across, down])


def _exposed(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A random tone curve, brightness gradient, sharpness and noise."""
    x = (pixels.astype(np.float32) / 255) ** np.float32(np.exp(random.uniform(-GAMMA, GAMMA)))
    x = x * (1 + random.uniform(-0.3, 0.3)) + random.uniform(-0.1, 0.1)
    x = x + 0.12 * random.random() * _clouds(random.integers(2, 6), random)
    x = x * (1 + 0.3 * random.random() * _clouds(random.integers(2, 8), random))
    soft = cv2.GaussianBlur(x, (0, 0), random.uniform(0.5, 1.5))
    # Half are sharpened or blurred at random, since real films went through sharpening filters.
    x = x + (random.uniform(-1.5, 1) if random.random() < 0.5 else 0.5) * (soft - x)
    if random.random() < 0.5:
        x = x + 0.06 * random.random() * _clouds(HEIGHT // 2, random)
    x = x + 0.03 * random.random() * random.standard_normal(x.shape, np.float32)
    return np.clip(255 * x, 0, 255).astype(np.uint8)


def _clouds(count: int, random: np.random.Generator) -> np.ndarray:
    """A random field with about `count` clouds over its height, float32 (128, 256)."""
    coarse = random.standard_normal((count, 2 * count), np.float32)
    return cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
