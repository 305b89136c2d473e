"""`make bench-novelty`: how small and faint the findings are that the novelty score detects.

Phantoms are drawn twice with the same exposure, with and without findings. The model is fitted to
teeth of other phantoms without findings; then the crop of every drawn caries and periapical lesion
is compared with the same crop without it. The recipe and the trunk are those of your settings.

Results on phantoms are no evidence of how well this works on real radiographs.
"""

import multiprocessing
import os
import time
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.pool import Pool

import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from benchmarks.progress import log_step
from pipeline import config
from pipeline.imaging.crops import Place, cut
from pipeline.imaging.frame import Frame
from pipeline.imaging.regions import Annotated, find_regions
from pipeline.ingest.decoded_picture import to_eight_bits
from pipeline.model.architecture import grid
from pipeline.model.fit_novelty import CORESET, fit
from pipeline.phantoms import Phantom, draw_panoramic
from pipeline.phantoms.phantom import CARIES, LESION

FITTED, TESTED = 40, 80  # phantoms
TEETH = 8  # of each phantom that the model is fitted to
HEIGHT = 700  # pixels; phantoms have no finer detail
BITS = 12


@dataclass(frozen=True)
class Case:
    """One drawn finding: its tooth with and without it, and its place in the crop."""

    kind: str
    contrast: float  # grey levels of 255
    size: float  # root of its area, as a share of the crop's edge
    place: tuple[float, float, float, float]  # left, top, right, bottom, as shares of the crop
    crop: np.ndarray  # uint8 (side, side)
    without: np.ndarray


def normal_crops(seed: int, recipe: config.Recipe) -> np.ndarray:
    """Teeth of one phantom without findings, uint8 (n, side, side)."""
    phantom = draw_panoramic(seed, HEIGHT, anomalies=False)
    chosen = np.random.default_rng(seed).permutation(len(phantom.teeth))[:TEETH]
    return np.stack([around(phantom, place_of(phantom.teeth[n]), recipe)[0] for n in chosen])


def cases(seed: int, recipe: config.Recipe) -> list[Case]:
    """The findings of one phantom."""
    phantom = draw_panoramic(seed, HEIGHT)
    without = draw_panoramic(seed, HEIGHT, anomalies=False)
    teeth = {box.tooth: place_of(box) for box in phantom.teeth}
    found = []
    for item in phantom.planted:
        if item.kind not in (CARIES, LESION) or item.tooth not in teeth:
            continue
        crop, square = around(phantom, teeth[item.tooth], recipe)
        left, top = (item.x - square.x) / square.w, (item.y - square.y) / square.h
        place = (left, top, left + item.w / square.w, top + item.h / square.h)
        size = float(np.sqrt(item.w * item.h) / square.w)
        other, _ = around(without, teeth[item.tooth], recipe)
        found.append(Case(item.kind, item.contrast, size, place, crop, other))
    return found


def place_of(box) -> Place:
    return Place(box.x, box.y, box.w, box.h)


def around(phantom: Phantom, place: Place, recipe: config.Recipe) -> tuple[np.ndarray, Place]:
    """The crop around a box, and its square in source pixels."""
    pixels = to_eight_bits(phantom.pixels, BITS)
    (region,) = find_regions(Frame(pixels), None, [Annotated(place, None, None)], recipe)
    return cut(pixels, region.square, region.area, recipe.side), region.square


def hits(peaks: np.ndarray, found: list[Case], cells: int) -> np.ndarray:
    """Whether each peak (row, column) lies in its finding or within one cell of it."""
    left, top, right, bottom = (np.array([each.place for each in found]) * cells).T
    row, column = peaks.T + 0.5
    across = (left - 1.5 <= column) & (column <= right + 1.5)
    return across & (top - 1.5 <= row) & (row <= bottom + 1.5)


def drawn(pool: Pool, recipe: config.Recipe) -> tuple[np.ndarray, list[Case]]:
    """Crops of normal teeth to fit to, and findings of other phantoms."""
    log_step(f"drawing {FITTED + TESTED} phantoms")
    fitted = pool.starmap(normal_crops, [(seed, recipe) for seed in range(FITTED)], 1)
    seeds = range(FITTED, FITTED + TESTED)
    tested = pool.starmap(cases, [(seed, recipe) for seed in seeds], 1)
    return np.concatenate(fitted), [case for some in tested for case in some]


def main() -> None:
    """Draw, learn, score and print."""
    started, settings = time.monotonic(), config.load()
    with multiprocessing.get_context("spawn").Pool(os.cpu_count() or 1) as pool:
        fitted, tested = drawn(pool, settings.recipe)
    log_step("embedding")
    # Imported this late because TensorFlow's threads would slow the drawing.
    from pipeline.model.network import Embedder, build

    embed = Embedder(build(settings.trunk, settings.recipe.side)).embed
    shape = grid(settings.trunk, settings.recipe.side)
    maps = [
        embed(np.stack(crops)).reshape(-1, *shape)
        for crops in (fitted, [case.crop for case in tested], [case.without for case in tested])
    ]
    log_step("fitting and scoring")
    show(measured(*maps, tested, settings.novelty))
    print(
        f"{len(fitted)} crops of normal teeth fitted to; {len(tested)} findings of other phantoms, "
        "each compared with its tooth without it. Phantoms are synthetic images and no evidence "
        f"about real ones. Measured in {time.monotonic() - started:.0f} s."
    )


def measured(
    fitted: np.ndarray,
    planted: np.ndarray,
    without: np.ndarray,
    tested: list[Case],
    settings: config.Novelty,
) -> list[tuple[str, int, dict[str, tuple[float, float]]]]:
    """Per slice: its name, the number of findings, and by method AUROC and hit rate of peaks."""
    model = fit(iter([fitted]), fitted.shape[1:], CORESET, settings.seed)
    middle_alone = np.zeros(len(tested), bool)
    with_finding, without_finding = (
        model.score(planted, middle_alone),
        model.score(without, middle_alone),
    )
    methods = {
        "gaussian": (with_finding.gaussian_map, without_finding.gaussian_map),
        "neighbour": (with_finding.neighbour_map, without_finding.neighbour_map),
    }
    rows = []
    for name, chosen in slices(tested).items():
        found = {
            method: (auroc(one[chosen], other[chosen]), hit_rate(one, tested, chosen))
            for method, (one, other) in methods.items()
        }
        rows.append((name, int(chosen.sum()), found))
    return rows


def slices(tested: list[Case]) -> dict[str, np.ndarray]:
    """Which findings belong to each kind, and to each third of size and of contrast."""
    kinds = np.array([case.kind for case in tested])
    found = {"all": np.ones(len(tested), bool)} | {kind: kinds == kind for kind in (CARIES, LESION)}
    for what, unit in (("size", 100), ("contrast", 1)):
        values = unit * np.array([getattr(case, what) for case in tested])
        edges = np.quantile(values, [0, 1 / 3, 2 / 3, 1])
        sign = " % of the crop" if what == "size" else " grey levels"
        for low, high in pairwise(edges):
            name = f"{what} {low:.1f} to {high:.1f}{sign}"
            last = values <= high if high == edges[-1] else values < high
            found[name] = (values >= low) & last
    return found


def auroc(with_finding: np.ndarray, without_finding: np.ndarray) -> float:
    """AUROC of the greatest cell, between teeth with their finding and without."""
    scores = np.concatenate([with_finding, without_finding]).max(axis=(1, 2))
    return float(roc_auc_score(np.repeat([1, 0], len(with_finding)), scores))


def hit_rate(maps: np.ndarray, tested: list[Case], chosen: np.ndarray) -> float:
    """Share of the chosen findings that the greatest cell lies in."""
    flat = maps.reshape(len(maps), -1).argmax(axis=1)
    peaks = np.stack(np.unravel_index(flat, maps.shape[1:]), axis=1)
    return float(hits(peaks, tested, maps.shape[1])[chosen].mean())


def show(rows: list[tuple[str, int, dict[str, tuple[float, float]]]]) -> None:
    """Print one row per slice."""
    table = Table(box=SIMPLE, title="Teeth with and without their finding")
    table.add_column("slice", no_wrap=True)
    for heading in ("findings", "gaussian AUROC", "peak hits", "neighbour AUROC", "peak hits"):
        table.add_column(heading, justify="right")
    for name, count, found in rows:
        numbers = [f"{value:.2f}" for pair in found.values() for value in pair]
        table.add_row(name, str(count), *numbers)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
