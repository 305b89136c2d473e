"""`make bench-novelty`: how small and faint a planted finding novelty still finds.

Phantom mouths are drawn twice from the same exposure, as they are and with nothing wrong. Teeth of
other, sound mouths teach what is normal; then every planted caries and periapical lesion stands
against the same tooth without it. The recipe and the trunk are those of your settings.

Nothing measured on phantoms says how well anything works on real radiographs.
"""

import sys
from dataclasses import dataclass
from multiprocessing.pool import Pool

import numpy as np

from pipeline import config
from pipeline.imaging.crops import Place, cut
from pipeline.imaging.phantoms import Phantom, draw_panoramic
from pipeline.imaging.phantoms.phantom import CARIES, LESION
from pipeline.imaging.regions import Annotated, find_regions
from pipeline.ingest.picture import to_eight_bits

LEARNED, JUDGED = 40, 80  # mouths
TEETH = 8  # of a mouth to learn from
HEIGHT = 700  # pixels; a phantom is no sharper than this
BITS = 12


@dataclass(frozen=True)
class Case:
    """One planted finding: its tooth with and without it, and where it lies in the crop."""

    kind: str
    contrast: float  # grey levels of 255
    size: float  # root of its area, as a share of the crop's edge
    place: tuple[float, float, float, float]  # left, top, right, bottom, as shares of the crop
    crop: np.ndarray  # uint8 (side, side)
    sound: np.ndarray


def normal_crops(seed: int, recipe: config.Recipe) -> np.ndarray:
    """Some teeth of one sound mouth, uint8 (n, side, side)."""
    phantom = draw_panoramic(seed, HEIGHT, anomalies=False)
    chosen = np.random.default_rng(seed).permutation(len(phantom.teeth))[:TEETH]
    return np.stack([around(phantom, place_of(phantom.teeth[n]), recipe)[0] for n in chosen])


def cases(seed: int, recipe: config.Recipe) -> list[Case]:
    """The findings of one mouth."""
    phantom = draw_panoramic(seed, HEIGHT)
    sound = draw_panoramic(seed, HEIGHT, anomalies=False)
    teeth = {box.tooth: place_of(box) for box in phantom.teeth}
    found = []
    for item in phantom.planted:
        if item.kind not in (CARIES, LESION) or item.tooth not in teeth:
            continue
        crop, square = around(phantom, teeth[item.tooth], recipe)
        left, top = (item.x - square.x) / square.w, (item.y - square.y) / square.h
        place = (left, top, left + item.w / square.w, top + item.h / square.h)
        size = float(np.sqrt(item.w * item.h) / square.w)
        other, _ = around(sound, teeth[item.tooth], recipe)
        found.append(Case(item.kind, item.contrast, size, place, crop, other))
    return found


def place_of(box) -> Place:
    return Place(box.x, box.y, box.w, box.h)


def around(phantom: Phantom, place: Place, recipe: config.Recipe) -> tuple[np.ndarray, Place]:
    """The crop around a box, and the square that was cut."""
    pixels = to_eight_bits(phantom.pixels, BITS)
    (region,) = find_regions(pixels, None, [Annotated(place, None, None)], recipe)
    return cut(pixels, region.square, region.area, recipe.side), region.square


def hits(peaks: np.ndarray, found: list[Case], cells: int) -> np.ndarray:
    """Whether each peak (row, column) lies in its finding, give or take one cell."""
    left, top, right, bottom = (np.array([each.place for each in found]) * cells).T
    row, column = peaks.T + 0.5
    across = (left - 1.5 <= column) & (column <= right + 1.5)
    return across & (top - 1.5 <= row) & (row <= bottom + 1.5)


def drawn(pool: Pool, recipe: config.Recipe) -> tuple[np.ndarray, list[Case]]:
    """Crops of sound teeth to learn from, and findings of other mouths."""
    tell(f"drawing {LEARNED + JUDGED} mouths")
    learned = pool.starmap(normal_crops, [(seed, recipe) for seed in range(LEARNED)], 1)
    seeds = range(LEARNED, LEARNED + JUDGED)
    judged = pool.starmap(cases, [(seed, recipe) for seed in seeds], 1)
    return np.concatenate(learned), [case for some in judged for case in some]


def tell(doing: str) -> None:
    print(f"… {doing}", file=sys.stderr, flush=True)
