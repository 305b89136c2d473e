"""Augmentation of crops for radiographs: what another exposure of the same tooth could look like.

Crops are mirrored, because teeth 11-18 mirror 21-28; small rotations, zooms and shifts simulate the
patient's pose, gamma and contrast the exposure, blur and noise the sensor. What a rotation or a
shift brings in from outside the crop is mirrored at its edge: black corners revealed to a network
which crops had been moved. On the first of five grouped folds of 601 real crops, the mirror and
shifts of 12 % instead of 6 gave an AUROC of 0.91 instead of 0.86.
"""

import numpy as np

from pipeline.model.keras_backend import keras

ROTATION = np.deg2rad(12)
ZOOM = 0.13  # of the natural logarithm
SHIFT = 0.12  # of the crop's edge; the distance of a found place from a tooth's centre
GAMMA = 0.35  # of the natural logarithm
CONTRAST = 0.2
BRIGHTNESS = 0.08
SHARPER, BLURRED = -0.5, 1.0  # share of the difference to a 3 × 3 mean
NOISE = 0.03


def plain(crops: np.ndarray) -> np.ndarray:
    """Convert uint8 crops (N, side, side) to float32 (N, side, side, 1) from 0 to 1."""
    return crops[..., np.newaxis].astype(np.float32) / 255


def augment(crops: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Like `plain`, but another random view of every crop each time."""
    count = len(crops)
    exposed = np.stack(
        [table[crop] for table, crop in zip(tone_tables(count, random), crops, strict=True)]
    )
    moved = keras.ops.image.affine_transform(
        exposed[..., np.newaxis],
        affine_transforms(count, crops.shape[1], random),
        fill_mode="reflect",
        data_format="channels_last",
    )
    views = np.asarray(moved)[..., 0]
    views = views + uniform(SHARPER, BLURRED, count, random) * (blur(views) - views)
    noise = random.standard_normal(views.shape, np.float32)
    return (views + uniform(0, NOISE, count, random) * noise)[..., np.newaxis]


def uniform(low: float, high: float, count: int, random: np.random.Generator) -> np.ndarray:
    """Draw a number for every crop, float32 (N, 1, 1)."""
    return random.uniform(low, high, (count, 1, 1)).astype(np.float32)


def tone_tables(count: int, random: np.random.Generator) -> np.ndarray:
    """Lookup tables of the 256 grey levels for other exposures, float32 (N, 256).

    A table takes a tenth of the time of raising every pixel to a power.
    """
    grey = np.linspace(0, 1, 256, dtype=np.float32)
    gamma = np.exp(uniform(-GAMMA, GAMMA, count, random))[:, 0]
    contrast = 1 + uniform(-CONTRAST, CONTRAST, count, random)[:, 0]
    return grey**gamma * contrast + uniform(-BRIGHTNESS, BRIGHTNESS, count, random)[:, 0]


def blur(views: np.ndarray) -> np.ndarray:
    """Average 3 × 3 pixels. Sums of slices take a fifth of the time of Keras' own pooling."""
    padded = np.pad(views, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / np.float32(9)


def affine_transforms(count: int, size: int, random: np.random.Generator) -> np.ndarray:
    """Random poses (N, 8): the source of each pixel of a view, about the centre.

    A pixel (x, y) comes from (a·x + b·y + c, d·x + e·y + f); the last two numbers are zero.
    """
    angle = random.uniform(-ROTATION, ROTATION, count)
    zoom = np.exp(random.uniform(-ZOOM, ZOOM, count))
    mirror = random.choice([-1.0, 1.0], count)
    shift = random.uniform(-SHIFT, SHIFT, (2, count)) * size
    a, b = np.cos(angle) * zoom * mirror, -np.sin(angle) * zoom
    d, e = np.sin(angle) * zoom * mirror, np.cos(angle) * zoom
    centre = (size - 1) / 2
    c = centre - (a + b) * centre + shift[0]
    f = centre - (d + e) * centre + shift[1]
    zero = np.zeros(count)
    return np.stack([a, b, c, d, e, f, zero, zero], axis=1).astype(np.float32)
