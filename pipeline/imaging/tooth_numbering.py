"""Guess from position alone which tooth a found place shows, and say how sure that is.

A panoramic has two rows of teeth, above and below the dark line of the bite. Where the teeth of a
row stand is known from phantoms up to two numbers, the midline and the width of the jaws. Every
pair of these is weighed by how well it explains all found places, and a place's tooth is guessed
from all pairs together. A place that none explains, or that several explain differently, gets no
guess. Nothing here sees a tooth's shape: a guess is a hint, never a finding, and means nothing on
a child's jaws, since it knows the 32 permanent teeth alone. Places are (x, y) in shares of the
picture's width and height; x grows to the right, which is the patient's left.
"""

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

LEAST = 0.5  # confidence below which there is no guess
# From the midline to the middles of teeth 1 to 8 of an upper and a lower row, in shares of the
# width, and how often the tooth is there: means of phantoms (a test draws some).
DISTANCES = np.array(
    [
        [0.019, 0.053, 0.085, 0.118, 0.148, 0.189, 0.235, 0.280],
        [0.013, 0.038, 0.068, 0.099, 0.131, 0.176, 0.225, 0.275],
    ]
)
THERE = np.float32([1, 1, 1, 0.94, 0.94, 0.87, 0.93, 0.65])
THERE = np.concatenate([THERE[::-1], THERE]) / np.float32(2 * THERE.sum())  # from left
# From the bite down to the middles of the upper and the lower row, in shares of the height, and how
# far they vary: jaws differ in height, and impacted teeth lie deep.
ROWS, ROWS_VARY = np.float32([-0.11, 0.12]), 0.04
# Share of the width by which a place misses where a pair expects its tooth. It is three times what
# phantoms vary by: patients vary more, and so fewer guesses are ventured.
ASTRAY = 0.011
ANYWHERE = 2.3  # density of places without a tooth: evenly over the arch
# Pairs that are tried, and what is usual: mean and spread.
MIDLINES, WIDTHS = np.linspace(0.44, 0.56, 13), np.linspace(0.75, 1.45, 29)
USUAL_MIDLINE, USUAL_WIDTH = (0.5, 0.03), (1.07, 0.15)
BINS = 256  # of the width, for which is kept what a pair explains
NEGLIGIBLE = 0.03  # weight of a pair, as a share of the greatest

# The bite is sought among curves y = y0 + tilt · u − bend · u² with u = x − 0.5.
CURVES = [(tilt, bend) for tilt in (-0.05, 0.0, 0.05) for bend in (-0.3, 0.0, 0.3, 0.6, 0.9, 1.3)]
COLUMNS = np.linspace(0.27, 0.73, 16, dtype=np.float32)  # wisdom teeth often lie off the curve
LINES = 64  # of the height
SOUGHT = np.arange(16, 53)  # lines at which the curve may pass the middle
CROWN, ABOVE, BELOW = 3, 7, 8  # lines from the bite to the crowns, and to the middles of teeth
USUAL_BITE = (0.52, 0.07)
# By so much must the best line be ahead of any 4 lines away, else there is no guess at all: over an
# edentulous jaw the sinus looks like a bite. So clear are 85 of 116 real panoramics, and looked at
# one by one all of these lines were right; without the bound some lay over the palate.
CLEAR, NEARBY = 0.8, 4


@dataclass(frozen=True)
class Bite:
    """The line between the upper and the lower teeth."""

    y0: float
    tilt: float
    bend: float
    ahead: float  # of the best line elsewhere

    def at(self, x: np.ndarray) -> np.ndarray:
        """Its y at x."""
        u = x - 0.5
        return self.y0 + self.tilt * u - self.bend * u**2


def guess_teeth(
    picture: np.ndarray, chances: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """FDI numbers (n,) of places (n, 2), 0 where none is guessed, and confidences, float32 (n,).

    `picture` (128, 256) and `chances` (32, 64) are what the finder sees and says. The confidence is
    the chance that the guess is right: `make bench-finder` compares the two on phantoms.
    """
    teeth, confidences = np.zeros(len(places), np.int8), np.zeros(len(places), np.float32)
    bite = find_bite(picture, chances)
    if not len(places) or bite.ahead < CLEAR:
        return teeth, confidences
    x, y = places.T.astype(np.float32)  # which is twice as fast, and exact enough
    away = y - bite.at(x)
    lower = (away > 0).astype(int)
    cells = chances[(y * chances.shape[0]).astype(int), (x * chances.shape[1]).astype(int)]
    # What lies far from both rows is no tooth, however likely it looked.
    tooth = cells * _normal(away - ROWS[lower], ROWS_VARY) / 2
    likely, shares = _shares(x, lower, tooth, (1 - cells) * ANYWHERE)
    best = shares.argmax(axis=1)
    confidences[likely] = shares.max(axis=1)
    teeth[likely] = _numbers()[lower[likely], best]
    sure = confidences >= LEAST
    return np.where(sure, teeth, 0), np.where(sure, confidences, 0)


def _shares(
    x: np.ndarray, lower: np.ndarray, tooth: np.ndarray, other: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (n,) of places that are likely teeth, and the chance of each of the 16 of their rows.

    The chances are (n, 16), from left to right. `tooth` and `other` say how likely a place is with
    and without a tooth, but for its x.
    """
    column = np.minimum((x * BINS).astype(int), BINS - 1)
    explained = _explained()[lower, column]
    likely = tooth[:, np.newaxis] * explained + other[:, np.newaxis]
    weights = np.log(likely).sum(axis=0) + _usual()
    weights = np.exp(weights - weights.max())
    tried = weights >= NEGLIGIBLE
    shares = weights[tried] / weights[tried].sum() * tooth[:, np.newaxis] / likely[:, tried]
    # What is no tooth with half a chance is none of the 16 with as much.
    [places] = np.nonzero((shares * explained[:, tried]).sum(axis=1) >= LEAST)
    binned = (column + np.float32(0.5)) / np.float32(BINS)  # as in the table, else shares exceed 1
    middles = _middles(_pairs()[tried]).swapaxes(0, 1)[lower[places]]
    near = binned[places, np.newaxis, np.newaxis] - middles
    # Of all pairs at once, and in place: this is most of the work.
    np.multiply(near, near, out=near)
    np.multiply(near, np.float32(-0.5 / ASTRAY**2), out=near)
    np.exp(near, out=near)  # (n, pairs, 16)
    return places, (shares[places, np.newaxis] @ near)[:, 0] * THERE * _peak(ASTRAY)


def find_bite(picture: np.ndarray, chances: np.ndarray) -> Bite:
    """The line that is dark between bright crowns, with likely teeth on both sides."""
    grey, teeth = _along(cv2.blur(np.clip(picture, -2, 2), (9, 3))), _along(chances)
    dark = np.minimum(grey[:, SOUGHT - CROWN], grey[:, SOUGHT + CROWN]) - grey[:, SOUGHT]
    between = teeth[:, SOUGHT - ABOVE] + teeth[:, SOUGHT + BELOW] - 2 * teeth[:, SOUGHT]
    usual = ((SOUGHT / LINES - USUAL_BITE[0]) / USUAL_BITE[1]) ** 2
    score = 0.7 * np.minimum(dark, 1.2) + 3 * between - 0.05 * usual
    best = score.max(axis=0)
    line = int(best.argmax())
    tilt, bend = CURVES[score[:, line].argmax()]
    elsewhere = best[np.abs(SOUGHT - SOUGHT[line]) > NEARBY]
    return Bite((int(SOUGHT[line]) + 0.5) / LINES, tilt, bend, float(best[line] - elsewhere.max()))


def _along(picture: np.ndarray) -> np.ndarray:
    """Means of a picture along the curves through every line of its middle: (curves, lines)."""
    points = _curves(*picture.shape)
    seen = cv2.remap(picture, *points, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cv2.reduce(seen, 1, cv2.REDUCE_AVG).reshape(len(CURVES), LINES)


@cache
def _curves(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y in pixels, float32 (curves · lines, points), of all points of all curves."""
    u = COLUMNS - 0.5
    offsets = np.array([tilt * u - bend * u**2 for tilt, bend in CURVES])
    y = (np.arange(LINES)[:, np.newaxis] + 0.5) / LINES + offsets[:, np.newaxis]
    y = y.reshape(-1, len(u)).astype(np.float32)
    return np.broadcast_to(COLUMNS * columns - 0.5, y.shape).copy(), y * rows - 0.5


@cache
def _pairs() -> np.ndarray:
    """Midlines and widths that are tried, (pairs, 2)."""
    pairs = np.stack(np.meshgrid(MIDLINES, WIDTHS), axis=-1)
    return pairs.reshape(-1, 2).astype(np.float32)


@cache
def _usual() -> np.ndarray:
    """Logarithm of how usual each pair is, but for a constant."""
    means, spreads = np.transpose([USUAL_MIDLINE, USUAL_WIDTH])
    return -(((_pairs() - means) / spreads) ** 2).sum(axis=1) / 2


def _middles(pairs: np.ndarray) -> np.ndarray:
    """Where pairs expect the teeth of both rows, from left to right: (pairs, 2, 16)."""
    signed = np.concatenate([-DISTANCES[:, ::-1], DISTANCES], axis=1, dtype=np.float32)
    return pairs[:, :1, np.newaxis] + pairs[:, 1:, np.newaxis] * signed


@cache
def _explained() -> np.ndarray:
    """Density of teeth over x that every pair expects in both rows, (2, bins, pairs)."""
    x = (np.arange(BINS) + 0.5) / BINS
    away = x[:, np.newaxis, np.newaxis, np.newaxis] - _middles(_pairs())
    density = (THERE * _normal(away, ASTRAY)).sum(axis=3)  # (bins, pairs, 2)
    return np.ascontiguousarray(density.transpose(2, 0, 1), np.float32)


@cache
def _numbers() -> np.ndarray:
    """FDI numbers of both rows from left to right, int8 (2, 16)."""
    along = np.arange(1, 9)
    quadrants = [(10 + along[::-1], 20 + along), (40 + along[::-1], 30 + along)]
    return np.array([np.concatenate(pair) for pair in quadrants], np.int8)


def _normal(away: np.ndarray, spread: float) -> np.ndarray:
    return np.exp(away * away * (-0.5 / spread**2)) * _peak(spread)


def _peak(spread: float) -> float:
    return 1 / (spread * math.sqrt(2 * math.pi))
