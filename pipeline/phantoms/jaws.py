"""Paint the bones of a mouth: mandible, maxilla, trabeculae, sinuses and mandibular canal."""

import cv2
import numpy as np

from pipeline.phantoms.canvas import Canvas, Patch, smooth
from pipeline.phantoms.mouth import Mouth

SOFT = 0.27  # density of soft tissue


def paint_jaws(canvas: Canvas, mouth: Mouth, grains: np.random.Generator) -> None:
    """Add both jaws to the soft tissue on `canvas`."""
    patch = canvas.whole
    texture = _trabeculae(patch, grains)
    for outline, blur in ((mandible(mouth), 0.7), (maxilla(mouth), 1.2)):
        if canvas.around([outline], 0) is None:
            continue
        bone = patch.fill([outline], blur)
        patch.density += bone * (mouth.bone - SOFT + mouth.grain * texture)
    _paint_sinuses(patch, mouth)
    _paint_cortex(patch, mouth)


def mandible(mouth: Mouth) -> np.ndarray:
    """The outline of the mandible, from condyle to condyle, with the crest below the crowns."""
    reach = arch_reach(mouth, upper=False)
    low = 24 * mouth.size + mouth.jaw
    right = [
        (0, low),
        (0.35 * reach, low - 0.5),
        (0.72 * reach, low - 6),
        (reach + 8, low - 15),
        (reach + 22, 8),
        (reach + 26, -18),
        (reach + 29, -38),
        (reach + 27, -45),
        (reach + 20, -43),
        (reach + 17, -30),
        (reach + 11, -27),
        (reach + 5, -33),
        (reach + 2, -29),
        (reach + 4, -12),
        (reach + 1, 2),
    ]
    crest = crest_line(mouth, upper=False)
    left = [(-x, y) for x, y in right[:0:-1]]
    outer = smooth([*left, *right], closed=False)
    return np.concatenate([outer, crest[::-1]])


def maxilla(mouth: Mouth) -> np.ndarray:
    """The outline of the maxilla, from the crest to the floor of the orbits."""
    reach = arch_reach(mouth, upper=True)
    crest = crest_line(mouth, upper=True)
    top = [(reach + 3, -14), (reach + 5, -26), (reach - 2, -44), (0.4 * reach, -48)]
    outer = [*top, (0, -46), *[(-x, y) for x, y in top[::-1]]]
    return np.concatenate([crest, smooth(outer, closed=False)])


def arch_reach(mouth: Mouth, upper: bool) -> float:
    """The distance from the midline to the end of an arch, mm."""
    return (62.0 if upper else 64.0) * mouth.size


def crest_line(mouth: Mouth, upper: bool) -> np.ndarray:
    """The alveolar crest, between crowns and roots, from left to right, (33, 2)."""
    x = np.linspace(-1, 1, 33) * arch_reach(mouth, upper)
    crown = np.interp(np.abs(x), [0, 20, 34, 62], [9.6, 9.6, 8.2, 7.2]) * mouth.size
    height = mouth.gap / 2 + crown + mouth.crest
    y = -mouth.smile * (x / 50) ** 2 + (-height if upper else height)
    return np.stack([x, y], axis=1)


def _trabeculae(patch: Patch, rng: np.random.Generator) -> np.ndarray:
    """Trabecular texture: bright threads around dark gaps, unevenly distributed; about -1 to 1."""
    rows, columns = patch.density.shape
    texture = np.zeros((rows, columns), np.float32)
    for pore, weight in ((0.55, 0.5), (1.1, 0.6), (8.0, 0.35)):
        step = max(1.0, pore * patch.view.scale)
        size = round(rows / step) + 2, round(columns / step * 0.8) + 2
        noise = rng.standard_normal(size, dtype=np.float32)
        if pore < 5:  # threads run where the noise changes sign
            noise = 0.8 - 1.6 * np.minimum(1, np.abs(noise))
        texture += weight * cv2.resize(noise, (columns, rows), interpolation=cv2.INTER_CUBIC)
    return texture


def _paint_sinuses(patch: Patch, mouth: Mouth) -> None:
    """The maxillary sinuses and the nasal cavity: dark with a thin bright floor."""
    floor = -24 * mouth.size + mouth.sinus
    for side in (-1, 1):
        x = np.array([14, 22, 34, 46, 56, 60, 50, 26, 15]) * side * mouth.size
        y = np.array([-34, floor - 2, floor + 2, floor + 3, floor - 4, -40, -52, -54, -46])
        sinus = smooth(list(zip(x, y, strict=True)))
        patch.add_fill(-0.13, [sinus], 1.0)
        patch.add_stroke(0.12, np.concatenate([sinus, sinus[:1]]), 0.5, 0.25)
    nose = smooth([(-11, -36), (0, -33), (11, -36), (13, -50), (0, -60), (-13, -50)])
    patch.add_fill(-0.10, [nose], 1.5)
    patch.add_stroke(0.10, np.array([(0.4, -70.0), (-0.3, -33.0)]), 1.4, 0.5)


def _paint_cortex(patch: Patch, mouth: Mouth) -> None:
    """Mandibular cortex, crests with gingiva, mandibular canal and hard palate."""
    reach, low = arch_reach(mouth, upper=False), 24 * mouth.size + mouth.jaw
    rim = mandible(mouth)[:-33]
    patch.add_stroke(0.13, rim, 1.0, 0.4)
    # The lower border is the thickest part; the ends of the rim are the condyles.
    border = rim[len(rim) // 4 : -len(rim) // 4]
    patch.add_stroke(0.20, border - [0, 1.4], 2.4, 0.8)
    for upper in (True, False):
        crest = crest_line(mouth, upper)
        patch.add_stroke(0.08, crest, 0.6, 0.3)
        gum = crest - [0, -2.5 if upper else 2.5]
        patch.add_stroke(0.09, gum, 5.0, 1.5)
    for side in (-1, 1):
        course = [(reach + 14, -20), (reach + 10, 4), (reach - 8, low - 13), (26, low - 12)]
        canal = smooth([(side * x, y) for x, y in course], closed=False)
        patch.add_stroke(0.05, canal, 3.4, 0.4)
        patch.add_stroke(-0.10, canal, 2.4, 0.4)
    palate = smooth([(-66, -30), (-40, -33), (0, -36), (40, -33), (66, -30)], closed=False)
    patch.add_stroke(0.22, palate, 1.4, 0.5)
