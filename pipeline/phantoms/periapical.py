"""Draw synthetic periapicals: a few teeth of one arch, from the crowns to beyond the apices."""

import cv2
import numpy as np

from pipeline.phantoms import film as films
from pipeline.phantoms.boxes import enlarged, tooth_boxes
from pipeline.phantoms.canvas import Canvas, View
from pipeline.phantoms.jaws import SOFT, paint_jaws
from pipeline.phantoms.mouth import MIN_DISTANCE, WEIGHTS, Mouth, Tooth, grow
from pipeline.phantoms.phantom import HEALTHY, Phantom, generator
from pipeline.phantoms.teeth import paint_teeth

LONG, SHORT = 1300, 1000  # pixels of the edges when panoramics are 1400 high
SHOWN = 42.0  # millimetres of the mouth over the long edge
DRAWN_LONG = 650  # pixels


def draw_periapical(
    seed: int,
    height: int = 1400,
    *,
    patient_seed: int | None = None,
    abnormal: bool | None = None,
    anomalies: bool = True,
) -> Phantom:
    """Draw a periapical; its edges are 1300 and 1000 per 1400 of `height`, that of a panoramic.

    `abnormal` selects a tooth with or without a finding, if the mouth has one; None leaves it to
    the seed. Without `anomalies` it is the same exposure without findings.
    """
    mouth = grow(seed if patient_seed is None else patient_seed)
    rng = generator(seed, "view")
    main = _main_tooth(mouth, rng.random() < 0.5 if abnormal is None else abnormal, rng)
    edges = [round(edge * height / 1400) for edge in (LONG, SHORT)]
    # Portrait for front teeth, landscape for back teeth.
    width, high = edges if main.position > 3 else edges[::-1]
    shrunk = min(1.0, DRAWN_LONG / edges[0])
    view = _view(main, rng, round(width * shrunk), round(high * shrunk))
    film = films.load(seed)
    canvas = Canvas(view)
    shown = mouth if anomalies else mouth.sound
    teeth = _teeth_around(main, shown)
    canvas.density += SOFT - 0.12
    paint_jaws(canvas, shown, generator(seed, "grains"))
    planted = paint_teeth(canvas, shown, teeth, film.tone)
    pixels = films.expose(films.develop(canvas.density, film, view.scale), film, width, high)
    _add_print(pixels, film, generator(seed, "print"))
    return Phantom(
        "periapical",
        pixels,
        tooth_boxes(teeth, view.resized(width, high), generator(seed, "boxes")),
        enlarged(planted, width, high, view),
        label=main.label if anomalies else HEALTHY,
        tooth=main.fdi,
    )


def _teeth_around(main: Tooth, mouth: Mouth) -> list[Tooth]:
    """The teeth of the main tooth's arch, without findings on distant teeth at the edges."""
    near = [tooth for tooth in mouth.teeth if _near(tooth, main)]
    far = [tooth for tooth in mouth.sound.teeth if not _near(tooth, main)]
    return [tooth for tooth in [*near, *far] if tooth.upper == main.upper]


def _near(tooth: Tooth, main: Tooth) -> bool:
    return abs(tooth.place - main.place) < MIN_DISTANCE


def _main_tooth(mouth: Mouth, abnormal: bool, rng: np.random.Generator) -> Tooth:
    """Choose the central tooth. No finding is visible near a healthy one."""
    with_finding = [tooth for tooth in mouth.teeth if tooth.finding]
    healthy = [tooth for tooth in mouth.teeth if _is_healthy_around(tooth, mouth)]
    choice = with_finding if abnormal and with_finding else healthy
    weights = np.array([WEIGHTS[tooth.position - 1] for tooth in choice])
    return choice[rng.choice(len(choice), p=weights / weights.sum())]


def _is_healthy_around(main: Tooth, mouth: Mouth) -> bool:
    near = [tooth for tooth in mouth.teeth if tooth.upper == main.upper and _near(tooth, main)]
    return not any(tooth.finding for tooth in near)


def _view(main: Tooth, rng: np.random.Generator, width: int, height: int) -> View:
    """The sensor's position: slightly off the tooth, tilted, foreshortened."""
    scale = max(width, height) / SHOWN * rng.uniform(0.97, 1.1)
    towards_root = -1 if main.upper else 1
    # The crown and the surroundings of the apices stay visible.
    centre = main.x + rng.uniform(-3, 3), main.y + towards_root * rng.uniform(-0.3, 1.7)
    angle, stretch = float(rng.normal(0, 0.05)), float(rng.uniform(0.92, 1.08))
    return View(scale, centre, width, height, angle, stretch)


def _add_print(pixels: np.ndarray, film: films.Film, rng: np.random.Generator) -> None:
    """Rounded corners, a cone cut, the film holder's shadow, a side marker: each on some scans."""
    rows, columns = pixels.shape
    corners, cut, holder, marker = rng.random(4)
    if holder < 0.2:
        thick = round(rows * rng.uniform(0.03, 0.08))
        bar = pixels[:thick] if rng.random() < 0.5 else pixels[-thick:]
        bar += ((films.WHITE - bar) * 0.25).astype(np.uint16)
    if cut < 0.15:
        radius = round(0.72 * columns)
        lit = cv2.circle(
            np.zeros(pixels.shape, np.uint8),
            (round(columns * rng.choice([0.36, 0.64])), rows // 2),
            radius,
            1,
            -1,
        )
        pixels[lit == 0] = round(0.02 * films.WHITE)
    films.add_frame(pixels, film, rng.uniform(0.03, 0.09) if corners < 0.35 else 0.0)
    if marker < 0.4:
        films.add_marker(pixels, "L" if rng.random() < 0.5 else "R", 0.04, 0.12, 0.05)
