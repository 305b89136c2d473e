"""How often the tooth guessed for a found place is right, on phantoms not used for learning.

Each is shown as drawn and in other poses and exposures, which vary more than those of real films. A
guess is right when the place lies in the box of that tooth. The test data have no real panoramics
with numbered teeth.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from rich.table import Table

from pipeline.imaging import tooth_finder
from pipeline.imaging.tooth_numbering import guess_teeth
from pipeline.phantoms import draw_panoramic
from pipeline.phantoms.views import drawn, view

SEEDS = range(5000, 5060)
BINS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.01)
MIRRORED = {1: 2, 2: 1, 3: 4, 4: 3}


class Guess(NamedTuple):
    """The tooth guessed for a place and the tooth whose box it lies in; 0 is none."""

    tooth: int
    confidence: float
    truth: int


def guessed(seed: int, views: int = 0) -> Iterator[Guess]:
    """Guesses for one phantom as drawn, or for `views` views of it."""
    phantom = draw_panoramic(seed, 300)
    scan, numbers = drawn(phantom), np.array([tooth.tooth for tooth in phantom.teeth])
    if not views:
        yield from _guesses(scan.pixels, scan.teeth, numbers)
    random = np.random.default_rng(seed)
    for _ in range(views):
        pixels, teeth = view(scan, random)
        right = np.isin(numbers // 10, (1, 4))
        if teeth[right, 0].mean() > teeth[~right, 0].mean():  # the view is mirrored
            seen = np.array([10 * MIRRORED[each // 10] + each % 10 for each in numbers])
        else:
            seen = numbers
        yield from _guesses(pixels, teeth, seen)


def _guesses(pixels: np.ndarray, teeth: np.ndarray, numbers: np.ndarray) -> Iterator[Guess]:
    picture, chances = tooth_finder.tooth_map(pixels)
    places = tooth_finder.tooth_centres(chances)
    away = np.abs(places[:, np.newaxis] - teeth[:, :2]) / (teeth[:, 2:] / 2)
    nearest, distance = away.max(axis=2).argmin(axis=1), away.max(axis=2).min(axis=1)
    truths = np.where(distance <= 1, numbers[nearest], 0)
    for guess in zip(*guess_teeth(picture, chances, places), truths, strict=True):
        yield Guess(*(each.item() for each in guess))


def reliability(guesses: Sequence[Guess]) -> Iterator[list[str]]:
    """By confidence: number of guesses, share that is right, share with the right quadrant."""
    for low, high in pairwise(BINS):
        some = [guess for guess in guesses if guess.tooth and low <= guess.confidence < high]
        right = np.mean([guess.tooth == guess.truth for guess in some]) if some else np.nan
        quadrant = np.mean([g.tooth // 10 == g.truth // 10 for g in some]) if some else np.nan
        yield [f"{low:.1f}-{min(high, 1):.1f}", str(len(some)), f"{right:.2f}", f"{quadrant:.2f}"]


def tables() -> Iterator[Table]:
    """A table for phantoms as drawn, and one for other poses and exposures."""
    for how, views in (("as drawn", 0), ("in other poses and exposures", 2)):
        guesses = [guess for seed in SEEDS for guess in guessed(seed, views)]
        teeth = [guess for guess in guesses if guess.truth]
        share = np.mean([guess.tooth > 0 for guess in teeth])
        table = Table(title=f"Guessed teeth of {len(SEEDS)} phantoms, {how}: {share:.0%} of places")
        for heading in ("confidence", "guesses", "right", "right quadrant"):
            table.add_column(heading, justify="right")
        for cells in reliability(guesses):
            table.add_row(*cells)
        yield table
