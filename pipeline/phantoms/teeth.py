"""Paint teeth and their findings on a canvas."""

from collections.abc import Callable

import cv2
import numpy as np

from pipeline.phantoms.canvas import Canvas, Patch
from pipeline.phantoms.jaws import SOFT
from pipeline.phantoms.mouth import Finding, Mouth, Tooth
from pipeline.phantoms.outlines import Shapes, in_mouth, shapes_of
from pipeline.phantoms.phantom import CARIES, IMPACTED, Planted, generator

LIGAMENT = 0.30  # mm; twice the anatomical width, else it would be invisible on a panoramic
METAL = 1.08
Tone = Callable[[np.ndarray], np.ndarray]  # density to grey, 0 to 1


def paint_teeth(canvas: Canvas, mouth: Mouth, teeth: list[Tooth], tone: Tone) -> list[Planted]:
    """Paint `teeth` with their findings; return the anomalies in pixels of the canvas.

    Findings are painted after all teeth, so that no neighbour covers them.
    """
    planted = []
    for tooth in teeth:
        shapes = shapes_of(tooth)
        patch = canvas.around(shapes.body, 2.0)
        if patch is None:
            continue
        before = patch.density.copy()
        _paint_tooth(patch, tooth, shapes, mouth)
        if tooth.label == IMPACTED:
            planted += _truth(patch, before, patch.fill(shapes.body), tooth, tone)
    for tooth in teeth:
        if tooth.finding and tooth.label != IMPACTED:
            planted += _paint_finding(canvas, tooth, tooth.finding, tone)
    return planted


def _paint_tooth(patch: Patch, tooth: Tooth, shapes: Shapes, mouth: Mouth) -> None:
    density = patch.density
    impacted = tooth.label == IMPACTED
    _paint_socket(patch, shapes.body if impacted else shapes.roots, 2.5 if impacted else 1.0)
    body = patch.fill(shapes.body, 0.12)
    # A tooth is round: it is thicker at its centre than at its edge.
    depth = cv2.distanceTransform((body > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    thick = np.sqrt(depth / max(1.0, float(depth.max())))
    density *= 1 - 0.65 * body
    density += body * (0.16 + (mouth.dentine - 0.16) * (0.55 + 0.30 * thick))
    crown = patch.fill([shapes.crown])
    enamel = np.clip(crown - patch.fill([shapes.core], 0.45), 0, 1)
    density += mouth.enamel * patch.soften(enamel, 0.2) + 0.06 * patch.soften(crown, 0.7)
    pulp = patch.fill([shapes.chamber, *shapes.canals], 0.28)
    density -= 0.17 * pulp * body
    if shapes.filling:
        filling = patch.fill(shapes.filling, 0.06)
        density += (METAL - density) * filling


def _paint_socket(patch: Patch, roots: list[np.ndarray], wide: float) -> None:
    """The dark line of the periodontal ligament and the bright lamina dura around it."""
    root = patch.fill(roots)
    reach = max(1, round(LIGAMENT * wide * patch.view.scale))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)
    ligament = cv2.dilate(root, disc)
    wall = cv2.dilate(ligament, disc)
    # Neither exists above the bone.
    in_bone = np.clip((patch.density - SOFT) / 0.15, 0, 1)
    patch.density += in_bone * 0.07 * patch.soften(wall - ligament, 0.12)
    patch.density -= in_bone * 0.15 * patch.soften(ligament - root, 0.10)


def _paint_finding(canvas: Canvas, tooth: Tooth, finding: Finding, tone: Tone) -> list[Planted]:
    shapes = shapes_of(tooth)
    is_caries = finding.kind == CARIES
    outline = _caries(tooth, finding) if is_caries else _lesion(tooth, finding, shapes)
    patch = canvas.around([outline], 2.0)
    if patch is None:
        return []
    before = patch.density.copy()
    if is_caries:
        spot = patch.fill([outline], 0.25) * patch.fill([shapes.crown], 0.08)
        patch.density += (0.26 - patch.density) * finding.strength * spot
    else:
        spot = patch.fill([outline], finding.size * 0.22)
        # The root remains visible in the lesion; only the bone in front and behind it is lost.
        spot = spot * (1 - 0.7 * patch.fill(shapes.roots, 0.12))
        patch.density *= 1 - 0.75 * finding.strength * spot
    return _truth(patch, before, spot, tooth, tone)


def _caries(tooth: Tooth, finding: Finding) -> np.ndarray:
    """The irregular outline of a carious spot in the crown."""
    across = finding.side * 0.44 * tooth.width
    along = tooth.crown * (0.45 if finding.side else 0.12)
    radius = finding.size * tooth.width
    # Caries spreads towards the pulp: taller than wide at the sides, wider than tall on top.
    size = np.array([0.9, 1.15] if finding.side else [1.15, 0.9]) * radius
    return in_mouth(tooth, _blob(finding.seed, 0.22) * size + [across, along])


def _lesion(tooth: Tooth, finding: Finding, shapes: Shapes) -> np.ndarray:
    """The outline of a periapical lesion around the apex of one root."""
    tip = shapes.apexes[finding.side % len(shapes.apexes)]
    towards_root = -0.35 if tooth.upper else 0.35
    return _blob(finding.seed, 0.10) * finding.size + tip + [0, towards_root * finding.size]


def _blob(seed: int, rough: float) -> np.ndarray:
    """An irregular outline (24, 2) of about radius one."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    waves = generator(seed, "blob").normal(0, rough / 2, (3, 2))
    radius = 1 + sum(
        a * np.cos((k + 2) * angle) + b * np.sin((k + 2) * angle) for k, (a, b) in enumerate(waves)
    )
    return np.stack([np.cos(angle) * radius, np.sin(angle) * radius], axis=1)


def _truth(
    patch: Patch, before: np.ndarray, spot: np.ndarray, tooth: Tooth, tone: Tone
) -> list[Planted]:
    """Place and contrast of an anomaly, where `spot` exceeds one half; empty if nowhere."""
    inside = spot > 0.5
    if not inside.any():
        return []
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    change = np.abs(tone(before) - tone(patch.density))
    truth = Planted(
        file="",
        kind=tooth.finding.kind,
        x=patch.left + int(columns[0]),
        y=patch.top + int(rows[0]),
        w=int(columns[-1] - columns[0] + 1),
        h=int(rows[-1] - rows[0] + 1),
        contrast=round(255 * float(change[inside].mean()), 1),
        tooth=tooth.fdi,
    )
    return [truth]
