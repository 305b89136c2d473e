"""`make bench-novelty`: how small and faint a planted finding novelty still finds.

Phantom mouths are drawn twice from the same exposure, as they are and with nothing wrong. Teeth of
other, sound mouths teach what is normal; then every planted caries and periapical lesion stands
against the same tooth without it. The recipe and the trunk are those of your settings.

Nothing measured on phantoms says how well anything works on real radiographs.
"""

import multiprocessing
import os
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.pool import Pool

import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from pipeline import config
from pipeline.imaging.crops import Place, cut
from pipeline.imaging.frame import Frame
from pipeline.imaging.regions import Annotated, find_regions
from pipeline.ingest.picture import to_eight_bits
from pipeline.model.architecture import grid
from pipeline.model.novelty import CORESET, fit, middle
from pipeline.phantoms import Phantom, draw_panoramic
from pipeline.phantoms.phantom import CARIES, LESION

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
    (region,) = find_regions(Frame(pixels), None, [Annotated(place, None, None)], recipe)
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


def main() -> None:
    """Draw, learn, score and print."""
    started, settings = time.monotonic(), config.load()
    with multiprocessing.get_context("spawn").Pool(os.cpu_count() or 1) as pool:
        learned, judged = drawn(pool, settings.recipe)
    tell("embedding")
    # TensorFlow's threads would only be in the way before.
    from pipeline.model.network import Embedder, build

    embed = Embedder(build(settings.trunk, settings.recipe.side)).embed
    shape = grid(settings.trunk, settings.recipe.side)
    maps = [
        embed(np.stack(crops)).reshape(-1, *shape)
        for crops in (learned, [case.crop for case in judged], [case.sound for case in judged])
    ]
    tell("learning normal and scoring")
    show(measured(*maps, judged, settings.novelty))
    print(
        f"{len(learned)} crops of sound teeth learned from; {len(judged)} findings of others, "
        "each against its tooth without it. Phantoms are synthetic pictures and no evidence of "
        f"anything. Measured in {time.monotonic() - started:.0f} s."
    )


def measured(
    learned: np.ndarray,
    planted: np.ndarray,
    sound: np.ndarray,
    judged: list[Case],
    settings: config.Novelty,
) -> list[tuple[str, int, dict[str, tuple[float, float]]]]:
    """Per slice: its name, how many findings, and by method AUROC and share of peaks that hit."""
    model = fit(iter([learned]), learned.shape[1:], CORESET, settings.seed)
    counted = middle(*learned.shape[1:3])
    ill, well = model.score(planted).only(counted), model.score(sound).only(counted)
    methods = {
        "gaussian": (ill.gaussian_map, well.gaussian_map),
        "neighbour": (ill.neighbour_map, well.neighbour_map),
    }
    rows = []
    for name, chosen in slices(judged).items():
        found = {
            method: (auroc(with_[chosen], without[chosen]), hit_rate(with_, judged, chosen))
            for method, (with_, without) in methods.items()
        }
        rows.append((name, int(chosen.sum()), found))
    return rows


def slices(judged: list[Case]) -> dict[str, np.ndarray]:
    """Which findings belong to each kind, and to each third of size and of contrast."""
    kinds = np.array([case.kind for case in judged])
    found = {"all": np.ones(len(judged), bool)} | {kind: kinds == kind for kind in (CARIES, LESION)}
    for what, unit in (("size", 100), ("contrast", 1)):
        values = unit * np.array([getattr(case, what) for case in judged])
        edges = np.quantile(values, [0, 1 / 3, 2 / 3, 1])
        sign = " % of the crop" if what == "size" else " grey levels"
        for low, high in pairwise(edges):
            name = f"{what} {low:.1f} to {high:.1f}{sign}"
            last = values <= high if high == edges[-1] else values < high
            found[name] = (values >= low) & last
    return found


def auroc(ill: np.ndarray, well: np.ndarray) -> float:
    """How often the greater of two greatest cells is that of a tooth with its finding."""
    scores = np.concatenate([ill, well]).max(axis=(1, 2))
    return float(roc_auc_score(np.repeat([1, 0], len(ill)), scores))


def hit_rate(maps: np.ndarray, judged: list[Case], chosen: np.ndarray) -> float:
    """Share of the chosen findings in which the greatest cell lies."""
    flat = maps.reshape(len(maps), -1).argmax(axis=1)
    peaks = np.stack(np.unravel_index(flat, maps.shape[1:]), axis=1)
    return float(hits(peaks, judged, maps.shape[1])[chosen].mean())


def show(rows: list[tuple[str, int, dict[str, tuple[float, float]]]]) -> None:
    """Print one row per slice."""
    table = Table(box=SIMPLE, title="Planted findings, with and without them")
    table.add_column("slice", no_wrap=True)
    for heading in ("findings", "gaussian AUROC", "peak hits", "neighbour AUROC", "peak hits"):
        table.add_column(heading, justify="right")
    for name, count, found in rows:
        numbers = [f"{value:.2f}" for pair in found.values() for value in pair]
        table.add_row(name, str(count), *numbers)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
