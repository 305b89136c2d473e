"""`make bench-drift`: how often drift is detected, by kind of change and number of scans.

Periapical phantoms, one per patient, are drawn once, unchanged and changed, and embedded with the
trunk of your settings. References and batches are sampled from them repeatedly, never with the same
phantom on both sides; the row "nothing" is the false-alarm rate.

Results on phantoms are no evidence of how well this works on real radiographs.
"""

import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from multiprocessing.pool import Pool

import cv2
import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest

from benchmarks.progress import log_step
from pipeline import config
from pipeline.imaging.crops import cut
from pipeline.imaging.frame import Frame
from pipeline.imaging.quality import measure
from pipeline.imaging.regions import find_regions
from pipeline.imaging.thumbnail import thumbnail
from pipeline.ingest.decoded_picture import to_eight_bits
from pipeline.model.architecture import grid
from pipeline.model.drift import Sample, compare, describe
from pipeline.phantoms import draw_periapical

PHANTOMS, REFERENCE = 1200, 256  # half of the phantoms have a finding
HEIGHT, BITS = 500, 12
ABNORMAL = 0.2  # of the reference
SIZES = (16, 32, 64, 128)  # scans of a batch
ALARM_RATE = config.Drift().alarm_rate
DEALS = 999
REPEATS, UNCHANGED_REPEATS = 100, 500


def contrast(share: float) -> Callable[[np.ndarray], np.ndarray]:
    """Change the contrast of the middle greys only: missing black or white is easily detected."""
    grey = np.arange(256) / 255
    curve = grey - (share - 1) * np.sin(2 * np.pi * grey) / (2 * np.pi)
    levels = np.rint(255 * curve).astype(np.uint8)
    return lambda pixels: levels[pixels]


def blur(share: float) -> Callable[[np.ndarray], np.ndarray]:
    """Blur by a Gaussian whose standard deviation is a share of the width."""
    return lambda pixels: cv2.GaussianBlur(pixels, (0, 0), share * pixels.shape[1])


CHANGES = {
    "nothing": lambda pixels: pixels,
    "contrast 90 %": contrast(0.9),
    "contrast 80 %": contrast(0.8),
    "blur of 0.2 % of the width": blur(0.002),
    "blur of 0.4 % of the width": blur(0.004),
}
RATES = {"findings 20 % → 60 %": 0.6, "findings 20 % → 100 %": 1.0}


def drawn(seed: int, recipe: config.Recipe) -> list[tuple[np.ndarray, dict[str, float]]]:
    """One phantom with every change: the crop, uint8 (side, side), and its quality measures."""
    phantom = draw_periapical(seed, HEIGHT, abnormal=is_abnormal(seed))
    pixels, found = to_eight_bits(phantom.pixels, BITS), []
    for change in CHANGES.values():
        changed = change(pixels)
        (region,) = find_regions(Frame(changed), None, [], recipe)
        crop = cut(changed, region.square, region.area, recipe.side)
        found.append((crop, asdict(measure(thumbnail(Frame(changed))))))
    return found


def is_abnormal(seed: int) -> bool:
    return bool(seed % 2)


def populations(pool: Pool, settings: config.Settings) -> dict[str, Sample]:
    """All phantoms with every change, as samples for the comparison."""
    log_step(f"drawing {PHANTOMS} phantoms")
    orders = [(seed, settings.recipe) for seed in range(PHANTOMS)]
    phantoms = pool.starmap(drawn, orders, 8)
    log_step("embedding")
    # Imported this late because TensorFlow's threads would slow the drawing.
    from pipeline.model.network import Embedder, build

    embed = Embedder(build(settings.trunk, settings.recipe.side)).embed
    shape, patients = grid(settings.trunk, settings.recipe.side), np.arange(PHANTOMS).astype(str)
    found = {}
    for number, name in enumerate(CHANGES):
        crops, facts = zip(*(each[number] for each in phantoms), strict=True)
        maps = embed(np.stack(crops)).reshape(-1, *shape)
        numbers = {fact: np.array([each[fact] for each in facts]) for fact in facts[0]}
        found[name] = Sample(patients, numbers, {}, describe(maps))
    return found


def reference_and_batch(
    found: dict[str, Sample], name: str, size: int, random: np.random.Generator
) -> tuple[Sample, Sample]:
    """An unchanged reference, and a batch of other phantoms with a change."""
    order = random.permutation(PHANTOMS)
    abnormal, normal = order[order % 2 == 1], order[order % 2 == 0]
    usual, now = round(ABNORMAL * REFERENCE), round(RATES.get(name, ABNORMAL) * size)
    reference = np.concatenate([abnormal[:usual], normal[: REFERENCE - usual]])
    batch = np.concatenate([abnormal[usual:][:now], normal[REFERENCE - usual :][: size - now]])
    population = found.get(name, found["nothing"])
    return _rows(found["nothing"], reference), _rows(population, batch)


def _rows(sample: Sample, numbers: np.ndarray) -> Sample:
    return sample.only(np.isin(np.arange(PHANTOMS), numbers))


def alarms(found: dict[str, Sample], name: str, size: int, repeats: int) -> int:
    """How many of `repeats` batches raise an alarm."""
    random = np.random.default_rng(size)
    pairs = (reference_and_batch(found, name, size, random) for _ in range(repeats))
    least = (compare(*pair, DEALS, seed)[0].p_value for seed, pair in enumerate(pairs))
    return sum(p_value <= ALARM_RATE for p_value in least)


def main() -> None:
    """Draw, compare and print."""
    started, settings = time.monotonic(), config.load()
    with multiprocessing.get_context("spawn").Pool(os.cpu_count() or 1) as pool:
        found = populations(pool, settings)
    table = Table(box=SIMPLE, title=f"Share of batches in alarm, at a rate of {ALARM_RATE:.0%}")
    table.add_column("what changed", no_wrap=True)
    for size in SIZES:
        table.add_column(f"{size} scans", justify="right")
    unchanged = 0
    for name in (*CHANGES, *RATES):
        log_step(name)
        repeats = UNCHANGED_REPEATS if name == "nothing" else REPEATS
        counts = [alarms(found, name, size, repeats) for size in SIZES]
        unchanged = sum(counts) if name == "nothing" else unchanged
        table.add_row(name, *(f"{count / repeats:.1%}" for count in counts))
    Console(width=120).print(table)
    total = len(SIZES) * UNCHANGED_REPEATS
    low, high = binomtest(unchanged, total).proportion_ci(0.95, "wilson")
    print(
        f"False alarms: {unchanged} of {total}, {unchanged / total:.2%} ({low:.2%} to {high:.2%}). "
        f"References of {REFERENCE} patients. Phantoms are synthetic images and no "
        f"evidence about real ones. Measured in {time.monotonic() - started:.0f} s."
    )


if __name__ == "__main__":
    main()
