"""More training rows than there are crops, made from stored embeddings alone.

The cells of an embedding's map lie on a grid over the crop (16 pixels apart for the network of the
notes), so moving the map by whole cells is moving the crop by whole steps of that grid. Mirroring
the map is only nearly mirroring the crop, because kernels have a left and a right.
"""

import numpy as np

from pipeline import config
from pipeline.model.head.layers import Grid


def augment(
    rows: np.ndarray, grid: Grid, settings: config.Head, random: np.random.Generator
) -> np.ndarray:
    """Standardised embeddings (n, width), each moved and perhaps mirrored at random.

    Every map moves by up to `settings.shift` cells down and across; what comes in from outside is
    zero, the mean of its channel.
    """
    count, (height, width, _) = len(rows), grid
    room = settings.shift
    maps = np.pad(rows.reshape(count, *grid), ((0, 0), (room, room), (room, room), (0, 0)))
    down, across = random.integers(0, 2 * room + 1, (2, count, 1))
    columns = np.arange(width)
    if settings.mirror:
        mirrored = random.integers(0, 2, (count, 1), dtype=bool)
        columns = np.where(mirrored, columns[::-1], columns)
    y = (down + np.arange(height))[:, :, np.newaxis]
    x = (across + columns)[:, np.newaxis, :]
    return maps[np.arange(count)[:, np.newaxis, np.newaxis], y, x].reshape(count, -1)
