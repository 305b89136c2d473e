"""Guess the FDI numbers of found teeth from their positions, with a confidence.

A panoramic has two rows of teeth, above and below the dark bite line. The positions of the teeth in
a row are known from phantoms up to two parameters, the midline and the width of the jaws. Every
pair of parameters is weighted by how well it explains all found places, and a place's tooth is
guessed from all pairs together. A place that no pair explains, or that several explain differently,
gets no guess. The shape of teeth is not used: a guess is a hint, never a finding, and means nothing
on a child's jaws, since only the 32 permanent teeth are modelled. Places are (x, y) as fractions of
the image's width and height; x increases to the right, which is the patient's left.
"""

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

MIN_CONFIDENCE = 0.5  # below it there is no guess
# Distances from the midline to the centres of teeth 1 to 8 of the upper and the lower row, as
# fractions of the width, and how often each tooth is there: means of phantoms (a test draws some).
DISTANCES = np.array(
    [
        [0.019, 0.053, 0.085, 0.118, 0.148, 0.189, 0.235, 0.280],
        [0.013, 0.038, 0.068, 0.099, 0.131, 0.176, 0.225, 0.275],
    ]
)
PRESENCE = np.float32([1, 1, 1, 0.94, 0.94, 0.87, 0.93, 0.65])
PRESENCE = np.concatenate([PRESENCE[::-1], PRESENCE]) / np.float32(2 * PRESENCE.sum())  # from left
# Distances from the bite line down to the centres of the upper and the lower row, as fractions of
# the height, and their standard deviation: jaws differ in height, and impacted teeth are deep.
ROWS, ROWS_SPREAD = np.float32([-0.11, 0.12]), 0.04
# Standard deviation between a place and where a pair expects its tooth, as a fraction of the width.
# It is three times that of phantoms: patients vary more, and so fewer guesses are made.
PLACE_SPREAD = 0.011
BACKGROUND_DENSITY = 2.3  # of places without a tooth: evenly over the arch
# Pairs that are tried, and their priors: mean and standard deviation.
MIDLINES, WIDTHS = np.linspace(0.44, 0.56, 13), np.linspace(0.75, 1.45, 29)
MIDLINE_PRIOR, WIDTH_PRIOR = (0.5, 0.03), (1.07, 0.15)
BINS = 256  # of the width, for which the expected density of each pair is tabulated
NEGLIGIBLE = 0.03  # weight of a pair, as a fraction of the greatest

# The bite line is searched among curves y = y0 + tilt · u − bend · u² with u = x − 0.5.
CURVES = [(tilt, bend) for tilt in (-0.05, 0.0, 0.05) for bend in (-0.3, 0.0, 0.3, 0.6, 0.9, 1.3)]
COLUMNS = np.linspace(0.27, 0.73, 16, dtype=np.float32)  # wisdom teeth are often off the curve
LINES = 64  # over the height
CANDIDATES = np.arange(16, 53)  # lines at which the curve may cross the midline
CROWN, ABOVE, BELOW = 3, 7, 8  # lines from the bite line to the crowns, and to the tooth centres
BITE_PRIOR = (0.52, 0.07)
# The best line must lead any line 4 or more away by this much, else nothing is guessed: over an
# edentulous jaw the sinus looks like a bite line. 85 of 116 real panoramics are so clear, and their
# lines were all right when checked one by one; without the bound some were on the palate.
MIN_LEAD, NEARBY = 0.8, 4


@dataclass(frozen=True)
class Bite:
    """The line between the upper and the lower teeth."""

    y0: float
    tilt: float
    bend: float
    lead: float  # of its score over the best line elsewhere

    def at(self, x: np.ndarray) -> np.ndarray:
        """The line's y at x."""
        u = x - 0.5
        return self.y0 + self.tilt * u - self.bend * u**2


def guess_teeth(
    picture: np.ndarray, probabilities: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """FDI numbers (n,) of places (n, 2), 0 for no guess, and confidences, float32 (n,).

    `picture` (128, 256) and `probabilities` (32, 64) are the finder's input and output. The
    confidence is the probability that the guess is right: `make bench-finder` compares the two on
    phantoms.
    """
    teeth, confidences = np.zeros(len(places), np.int8), np.zeros(len(places), np.float32)
    bite = find_bite(picture, probabilities)
    if not len(places) or bite.lead < MIN_LEAD:
        return teeth, confidences
    x, y = places.T.astype(np.float32)  # twice as fast, and precise enough
    below = y - bite.at(x)
    lower = (below > 0).astype(int)
    rows, columns = probabilities.shape
    cells = probabilities[(y * rows).astype(int), (x * columns).astype(int)]
    # A place far from both rows is not a tooth, however probable it looks.
    tooth = cells * _normal(below - ROWS[lower], ROWS_SPREAD) / 2
    likely, posteriors = _posteriors(x, lower, tooth, (1 - cells) * BACKGROUND_DENSITY)
    confidences[likely] = posteriors.max(axis=1)
    teeth[likely] = _numbers()[lower[likely], posteriors.argmax(axis=1)]
    confident = confidences >= MIN_CONFIDENCE
    return np.where(confident, teeth, 0), np.where(confident, confidences, 0)


def _posteriors(
    x: np.ndarray, lower: np.ndarray, tooth: np.ndarray, other: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Indices (n,) of probable teeth, and the probability of each of the 16 teeth of their rows.

    The probabilities are (n, 16), from left to right. `tooth` and `other` are the likelihoods of a
    place with and without a tooth, without the factor of its x.
    """
    column = np.minimum((x * BINS).astype(int), BINS - 1)
    density = _expected_density()[lower, column]
    likelihood = tooth[:, np.newaxis] * density + other[:, np.newaxis]
    weights = np.log(likelihood).sum(axis=0) + _log_prior()
    weights = np.exp(weights - weights.max())
    used = weights >= NEGLIGIBLE
    shares = weights[used] / weights[used].sum() * tooth[:, np.newaxis] / likelihood[:, used]
    # A place that is less probably a tooth cannot be any of the 16 with MIN_CONFIDENCE.
    [places] = np.nonzero((shares * density[:, used]).sum(axis=1) >= MIN_CONFIDENCE)
    binned = (column + np.float32(0.5)) / np.float32(BINS)  # as in the table, else sums exceed 1
    centres = _tooth_positions(_pairs()[used]).swapaxes(0, 1)[lower[places]]
    near = binned[places, np.newaxis, np.newaxis] - centres
    # For all pairs at once, and in place: this is most of the work.
    np.multiply(near, near, out=near)
    np.multiply(near, np.float32(-0.5 / PLACE_SPREAD**2), out=near)
    np.exp(near, out=near)  # (n, pairs, 16)
    return places, (shares[places, np.newaxis] @ near)[:, 0] * PRESENCE * _peak(PLACE_SPREAD)


def find_bite(picture: np.ndarray, probabilities: np.ndarray) -> Bite:
    """The line that is dark between bright crowns, with probable teeth on both sides."""
    grey, teeth = _along(cv2.blur(np.clip(picture, -2, 2), (9, 3))), _along(probabilities)
    lines = CANDIDATES
    dark = np.minimum(grey[:, lines - CROWN], grey[:, lines + CROWN]) - grey[:, lines]
    between = teeth[:, lines - ABOVE] + teeth[:, lines + BELOW] - 2 * teeth[:, lines]
    unusual = ((lines / LINES - BITE_PRIOR[0]) / BITE_PRIOR[1]) ** 2
    score = 0.7 * np.minimum(dark, 1.2) + 3 * between - 0.05 * unusual
    best = score.max(axis=0)
    line = int(best.argmax())
    tilt, bend = CURVES[score[:, line].argmax()]
    elsewhere = best[np.abs(lines - lines[line]) > NEARBY]
    return Bite((int(lines[line]) + 0.5) / LINES, tilt, bend, float(best[line] - elsewhere.max()))


def _along(picture: np.ndarray) -> np.ndarray:
    """Means of an image along the curves through every line of its midline: (curves, lines)."""
    points = _curve_points(*picture.shape)
    values = cv2.remap(picture, *points, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cv2.reduce(values, 1, cv2.REDUCE_AVG).reshape(len(CURVES), LINES)


@cache
def _curve_points(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y in pixels of all points of all curves, float32 (curves · lines, points)."""
    u = COLUMNS - 0.5
    offsets = np.array([tilt * u - bend * u**2 for tilt, bend in CURVES])
    y = (np.arange(LINES)[:, np.newaxis] + 0.5) / LINES + offsets[:, np.newaxis]
    y = y.reshape(-1, len(u)).astype(np.float32)
    return np.broadcast_to(COLUMNS * columns - 0.5, y.shape).copy(), y * rows - 0.5


@cache
def _pairs() -> np.ndarray:
    """Pairs of midline and width that are tried, (pairs, 2)."""
    pairs = np.stack(np.meshgrid(MIDLINES, WIDTHS), axis=-1)
    return pairs.reshape(-1, 2).astype(np.float32)


@cache
def _log_prior() -> np.ndarray:
    """Logarithm of the prior of each pair, up to a constant."""
    means, spreads = np.transpose([MIDLINE_PRIOR, WIDTH_PRIOR])
    return -(((_pairs() - means) / spreads) ** 2).sum(axis=1) / 2


def _tooth_positions(pairs: np.ndarray) -> np.ndarray:
    """The x at which pairs expect the teeth of both rows, from left to right: (pairs, 2, 16)."""
    signed = np.concatenate([-DISTANCES[:, ::-1], DISTANCES], axis=1, dtype=np.float32)
    return pairs[:, :1, np.newaxis] + pairs[:, 1:, np.newaxis] * signed


@cache
def _expected_density() -> np.ndarray:
    """Density of teeth over x that every pair expects in both rows, (2, bins, pairs)."""
    x = (np.arange(BINS) + 0.5) / BINS
    distance = x[:, np.newaxis, np.newaxis, np.newaxis] - _tooth_positions(_pairs())
    density = (PRESENCE * _normal(distance, PLACE_SPREAD)).sum(axis=3)  # (bins, pairs, 2)
    return np.ascontiguousarray(density.transpose(2, 0, 1), np.float32)


@cache
def _numbers() -> np.ndarray:
    """FDI numbers of both rows from left to right, int8 (2, 16)."""
    position = np.arange(1, 9)
    quadrants = [(10 + position[::-1], 20 + position), (40 + position[::-1], 30 + position)]
    return np.array([np.concatenate(pair) for pair in quadrants], np.int8)


def _normal(distance: np.ndarray, spread: float) -> np.ndarray:
    return np.exp(distance * distance * (-0.5 / spread**2)) * _peak(spread)


def _peak(spread: float) -> float:
    return 1 / (spread * math.sqrt(2 * math.pi))
