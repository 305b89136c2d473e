"""Expose a density map: tone curve, detector blur, sharpening, noise, border and side marker."""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.phantoms.phantom import generator

WHITE = 4095


@dataclass(frozen=True)
class Film:
    """The properties of one exposure."""

    seed: int
    gain: float
    lift: float  # grey of zero exposure
    gamma: float
    blur: float  # mm, standard deviation
    sharpening: float  # of the viewing software; 0 for none
    noise: float  # standard deviation at white, share of white
    frame: float  # width of the collimation border as a share of the height; 0 for none
    frame_tone: float

    def tone(self, density: np.ndarray) -> np.ndarray:
        """Grey 0 to 1 of densities, without blur, sharpening and noise."""
        exposed = np.clip((density - 0.04) * self.gain, 0, 1.6)
        grey = self.lift + (1 - self.lift) * exposed**self.gamma
        # A shoulder instead of a hard limit keeps enamel and metal distinguishable.
        bright = grey > 0.85
        grey[bright] = 0.85 + 0.15 * np.tanh((grey[bright] - 0.85) / 0.15)
        return grey


def load(seed: int) -> Film:
    """The exposure of one scan, drawn from its seed."""
    rng = generator(seed, "film")
    return Film(
        seed=seed,
        gain=rng.uniform(0.95, 1.3),
        lift=rng.uniform(0.0, 0.10),
        gamma=rng.uniform(0.75, 1.25),
        blur=rng.uniform(0.05, 0.28),
        sharpening=max(0.0, rng.uniform(-0.6, 1.2)),
        noise=0.010 + 0.040 * rng.random() ** 2,
        frame=rng.choice([0.0, rng.uniform(0.005, 0.03)], p=[0.55, 0.45]),
        frame_tone=rng.choice([0.0, 1.0], p=[0.7, 0.3]),
    )


def develop(density: np.ndarray, film: Film, scale: float) -> np.ndarray:
    """Grey 0 to 1, float32, of a density map with `scale` pixels per mm; no noise yet."""
    grey = film.tone(density).astype(np.float32)
    if film.blur * scale > 0.3:
        grey = cv2.GaussianBlur(grey, (0, 0), film.blur * scale)
    if film.sharpening > 0:
        # Far wider than the blur, as in acquisition software: halos around teeth, flat backgrounds.
        rows, columns = grey.shape
        small = cv2.resize(grey, (columns // 8, rows // 8), interpolation=cv2.INTER_AREA)
        wide = cv2.GaussianBlur(small, (0, 0), max(0.5, 2.5 * scale / 8))
        grey += film.sharpening * (grey - cv2.resize(wide, (columns, rows)))
    return grey


def expose(grey: np.ndarray, film: Film, width: int, height: int) -> np.ndarray:
    """Detector pixels, uint16 0 to 4095, of grey 0 to 1 enlarged to `width` × `height`.

    Brighter places received fewer photons but are amplified: noise grows with the root of grey.
    """
    large = cv2.resize(grey, (width, height), interpolation=cv2.INTER_LINEAR)
    np.clip(large, 0, 1, out=large)
    noise = generator(film.seed, "noise").standard_normal(large.shape, dtype=np.float32)
    noise *= cv2.sqrt(large + 0.05)
    cv2.scaleAdd(noise, film.noise, large, dst=large)
    np.clip(large, 0, 1, out=large)
    return np.rint(large * WHITE, out=large).astype(np.uint16)


def add_frame(pixels: np.ndarray, film: Film, round_corners: float = 0.0) -> None:
    """Cover the edges with the collimation border; `round_corners` is a share of the height."""
    rows, columns = pixels.shape
    border, radius = round(film.frame * rows), round(round_corners * rows)
    if not border and not radius:
        return
    lit = np.zeros(pixels.shape, np.uint8)
    left, right, top, bottom = border, columns - 1 - border, border, rows - 1 - border
    cv2.rectangle(lit, (left + radius, top), (right - radius, bottom), 1, -1)
    cv2.rectangle(lit, (left, top + radius), (right, bottom - radius), 1, -1)
    for x in (left + radius, right - radius):
        for y in (top + radius, bottom - radius):
            cv2.circle(lit, (x, y), radius, 1, -1)
    pixels[lit == 0] = round(film.frame_tone * WHITE)


def add_marker(pixels: np.ndarray, letter: str, x: float, y: float, size: float) -> None:
    """Burn in a side marker; `x` and `y` are fractions of the image, `size` one of its height."""
    rows, columns = pixels.shape
    place = round(x * columns), round(y * rows)
    scale, thick = size * rows / 22, max(1, round(size * rows / 6))
    mask = np.zeros(pixels.shape, np.uint8)
    cv2.putText(mask, letter, place, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thick, cv2.LINE_AA)
    pixels[mask > 127] = round(0.97 * WHITE)
