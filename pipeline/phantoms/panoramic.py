"""Draw synthetic panoramics: both jaws unrolled, with the ghost images of real panoramics."""

import cv2
import numpy as np

from pipeline.phantoms import film as films
from pipeline.phantoms.boxes import enlarged, tooth_boxes
from pipeline.phantoms.canvas import Canvas, Patch, View, smooth
from pipeline.phantoms.jaws import SOFT, arch_reach, paint_jaws
from pipeline.phantoms.mouth import Mouth, grow
from pipeline.phantoms.phantom import Phantom, generator
from pipeline.phantoms.teeth import paint_teeth

RATIO = 2900 / 1400  # width to height
SHOWN = 116.0  # millimetres of the mouth over the height
DRAWN_HEIGHT = 700  # pixels; the resolution of a panoramic is not higher
GHOST_HEIGHT = 140  # pixels; enough for structures out of focus


def draw_panoramic(
    seed: int, height: int = 1400, *, patient_seed: int | None = None, anomalies: bool = True
) -> Phantom:
    """Draw a panoramic of `height` pixels; `seed` sets the exposure, `patient_seed` the mouth.

    Without `anomalies` it is the same exposure of the same mouth without findings and without
    impacted teeth.
    """
    mouth = grow(seed if patient_seed is None else patient_seed)
    mouth = mouth if anomalies else mouth.sound
    film = films.load(seed)
    width, drawn = round(height * RATIO), min(height, DRAWN_HEIGHT)
    view = _view(generator(seed, "view"), round(drawn * RATIO), drawn)
    canvas = Canvas(view)
    _paint_head(canvas, mouth, generator(seed, "head"))
    paint_jaws(canvas, mouth, generator(seed, "grains"))
    planted = paint_teeth(canvas, mouth, list(mouth.teeth), film.tone)
    pixels = films.expose(films.develop(canvas.density, film, view.scale), film, width, height)
    films.add_frame(pixels, film)
    _add_marker(pixels, generator(seed, "marker"))
    boxes = tooth_boxes(list(mouth.teeth), view.resized(width, height), generator(seed, "boxes"))
    return Phantom("panoramic", pixels, boxes, enlarged(planted, width, height, view))


def _view(rng: np.random.Generator, width: int, height: int) -> View:
    """The patient's position: shifted, rotated, chin up or down."""
    scale = height / SHOWN * rng.uniform(0.97, 1.12)
    centre = float(rng.normal(0, 2.5)), float(rng.uniform(-5, 1))
    angle, stretch = float(rng.normal(0, 0.015)), float(rng.uniform(0.95, 1.08))
    return View(scale, centre, width, height, angle, stretch, bend=float(rng.normal(0, 2)))


def _paint_head(canvas: Canvas, mouth: Mouth, rng: np.random.Generator) -> None:
    """Soft tissue, airways and structures out of focus, drawn small and enlarged."""
    view = canvas.view
    small = Canvas(view.resized(round(GHOST_HEIGHT * RATIO), GHOST_HEIGHT))
    patch = small.whole
    _paint_soft_tissue(patch, mouth, rng)
    _paint_air(patch, mouth, rng)
    _paint_ghosts(patch, rng)
    canvas.density += cv2.resize(patch.density, view.size, interpolation=cv2.INTER_CUBIC)
    _paint_skull(canvas.whole, rng)
    # Uneven movement of the unit causes faint vertical stripes.
    stripes = cv2.GaussianBlur(rng.standard_normal((1, view.width)), (0, 0), view.scale)
    canvas.density *= 1 + 0.03 * stripes.astype(np.float32)


def _paint_soft_tissue(patch: Patch, mouth: Mouth, rng: np.random.Generator) -> None:
    """Cheeks, neck and tongue; darker beside the neck."""
    patch.density += rng.uniform(0.10, 0.26)
    wide = arch_reach(mouth, upper=False) + rng.uniform(28, 46)
    neck = rng.uniform(0.55, 0.85) * wide
    face = [(-wide, -90), (wide, -90), (wide, 5), (neck, 48), (neck, 90), (-neck, 90), (-neck, 48)]
    tissue = patch.fill([smooth([*face, (-wide, 5)])], 3.0)
    patch.density += (SOFT - patch.density) * tissue
    patch.density += rng.uniform(0.0, 0.08) * patch.glow(0, 8, 50, 14)  # the tongue
    for _ in range(8):
        x, y = rng.uniform(-110, 110), rng.uniform(-60, 50)
        patch.density += rng.normal(0, 0.03) * patch.glow(x, y, *rng.uniform(8, 30, 2))


def _paint_air(patch: Patch, mouth: Mouth, rng: np.random.Generator) -> None:
    """Air between tongue and palate, between the arches, and in the pharynx over the rami."""
    x = np.linspace(-1, 1, 25)
    reach = arch_reach(mouth, upper=True)
    arch = np.stack([x * reach * 1.05, -25 + 5 * x**2 + rng.uniform(-2, 2)], axis=1)
    patch.add_stroke(-rng.uniform(0.0, 0.13), arch, rng.uniform(4, 9), 1.5)
    bite = np.stack([x * reach, [mouth.bite(place) for place in x * reach]], axis=1)
    patch.add_stroke(-rng.uniform(0.06, 0.12), bite, mouth.gap + 1.5, 1.0)
    depth = rng.uniform(0.02, 0.11)
    for side in (-1, 1):
        throat = [(reach + 2, -30), (reach + 12, -14), (reach + 13, 10), (reach + 18, 40)]
        line = smooth([(side * x, y) for x, y in throat], closed=False)
        patch.add_stroke(-depth, line, rng.uniform(7, 14), 3.0)


def _paint_ghosts(patch: Patch, rng: np.random.Generator) -> None:
    """Ghosts of the cervical spine and of the opposite ramus, and the hyoid bone."""
    spine = rng.uniform(0.03, 0.16)
    patch.density += spine * patch.glow(rng.normal(0, 2), 30, rng.uniform(6, 14), 60)
    patch.density += spine * rng.uniform(0, 0.8) * patch.glow(0, 50, 14, 14)
    ghost = rng.uniform(0.0, 0.09)
    for side in (-1, 1):
        patch.density += ghost * patch.glow(side * 78, -12, 26, 20)
        patch.density += rng.uniform(0, 0.12) * patch.glow(side * 118, 10, 8, 50)
        hyoid = smooth([(side * 48, 54), (side * 62, 50), (side * 84, 53)], closed=False)
        patch.add_stroke(rng.uniform(0, 0.16), hyoid, 3.0, 0.8)


def _paint_skull(patch: Patch, rng: np.random.Generator) -> None:
    """Edges of the mid-face: orbits, zygomatic bones, skull base over the condyles."""
    bright = rng.uniform(0.06, 0.16)
    for side in (-1, 1):
        orbit = [(10, -50), (30, -46), (52, -50), (60, -62)]
        cheek = [(46, -22), (54, -30), (58, -46), (70, -48), (96, -46)]
        base = [(70, -52), (92, -56), (104, -50), (118, -58)]
        wall = [(40, -20), (44, -36), (43, -58)]
        for line, width in ((orbit, 1.2), (cheek, 1.5), (base, 2.5), (wall, 0.8)):
            moved = np.array(line) + rng.normal(0, 1.5, 2)
            curve = smooth([(side * x, y) for x, y in moved], closed=False)
            patch.add_stroke(bright, curve, width, 0.5)
        patch.density += 1.3 * bright * patch.glow(side * 104, -58, 16, 9)


def _add_marker(pixels: np.ndarray, rng: np.random.Generator) -> None:
    """The side marker: R is on the left of the image."""
    letter, x = ("R", rng.uniform(0.02, 0.06)) if rng.random() < 0.6 else ("L", 0.93)
    films.add_marker(pixels, letter, x, rng.uniform(0.55, 0.9), rng.uniform(0.04, 0.07))
