"""Data classes of phantoms: a synthetic radiograph with its ground truth.

Phantoms are drawn by this program and show no patient. They serve demonstrations, tests and load
tests; results on them do not predict results on real radiographs.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

CARIES, LESION, IMPACTED, HEALTHY = "caries", "periapical_lesion", "impacted", "healthy"
CLASSES = (CARIES, LESION, IMPACTED, HEALTHY)  # the order of classes.txt


@dataclass(frozen=True)
class Planted:
    """A drawn anomaly and its place."""

    file: str  # empty until the phantom is written
    kind: str  # one of CLASSES, never healthy
    x: int  # left, top, width and height in pixels of the anomaly itself, not of its tooth
    y: int
    w: int
    h: int
    contrast: float  # mean change of grey inside it, before noise, in grey levels of 255
    tooth: int  # FDI number


@dataclass(frozen=True)
class ToothBox:
    """The box of one tooth with its roots, entirely inside the image, in pixels."""

    x: int
    y: int
    w: int
    h: int
    label: str  # one of CLASSES
    tooth: int  # FDI number


@dataclass(frozen=True, eq=False)
class Phantom:
    """A drawn radiograph; brighter means denser."""

    kind: Literal["panoramic", "periapical"]
    pixels: np.ndarray  # uint16 (height, width), 0 to 4095
    teeth: tuple[ToothBox, ...]  # the teeth whose whole outline is in the image
    planted: tuple[Planted, ...]
    label: str | None = None  # of the whole scan; None for panoramics, whose teeth have labels
    tooth: int | None = None  # FDI number of a periapical's main tooth


def generator(seed: int, purpose: str) -> np.random.Generator:
    """The random generator of one purpose, independent of how many numbers others draw."""
    return np.random.default_rng([seed, *purpose.encode()])
