"""Outlines of a tooth as polygons in millimetres of the mouth.

In a tooth's own frame s runs across (positive away from the midline) and t along the axis, from 0
at the incisal edge to the tooth's length at the apex. Polygons are float64 arrays (points, 2).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipeline.phantoms.mouth import Tooth

# Half widths of the crown as shares of the tooth's width, at shares of the crown's height.
INCISOR = [(0.0, 0.40), (0.05, 0.46), (0.3, 0.50), (0.6, 0.47), (0.85, 0.41), (1.08, 0.36)]
CANINE = [(0.0, 0.05), (0.12, 0.24), (0.3, 0.46), (0.45, 0.50), (0.8, 0.43), (1.08, 0.37)]
PREMOLAR = [(0.0, 0.14), (0.08, 0.34), (0.25, 0.47), (0.45, 0.50), (0.8, 0.43), (1.08, 0.37)]
MOLAR = [(0.0, 0.34), (0.08, 0.43), (0.3, 0.50), (0.5, 0.50), (0.8, 0.45), (1.1, 0.41)]


@dataclass(frozen=True)
class Shapes:
    """The polygons of one tooth, in millimetres of the mouth."""

    crown: np.ndarray
    core: np.ndarray  # the crown without its enamel
    roots: list[np.ndarray]
    chamber: np.ndarray
    canals: list[np.ndarray]
    filling: list[np.ndarray]
    apexes: np.ndarray  # (roots, 2)

    @property
    def body(self) -> list[np.ndarray]:
        return [self.crown, *self.roots]


@lru_cache(maxsize=64)  # asked for by a tooth, its finding and its box: 0.1 of drawing a phantom
def shapes_of(tooth: Tooth) -> Shapes:
    """The polygons of `tooth` at its place in the mouth."""
    crown = _crown(tooth)
    lines = _root_lines(tooth)
    widths = _root_widths(tooth, len(lines))
    roots = [_tapered(line, width) for line, width in zip(lines, widths, strict=True)]
    canals = [
        _tapered(line[1:], width * tooth.pulp * 0.8)
        for line, width in zip(lines, widths, strict=True)
    ]
    fillings = {
        "": [],
        "occlusal": [_occlusal_filling(tooth)],
        "crown": [crown * [1.03, 0.86] - [0, 0.1]],
        "root": canals,
    }
    core = crown * [0.84, 0.9] + [0, 0.22 * tooth.crown]
    apexes = np.array([line[-1] for line in lines])
    placed = _all_in_mouth(
        tooth, [crown, core, _chamber(tooth), apexes, *roots, *canals, *fillings[tooth.filling]]
    )
    crown, core, chamber, apexes, *others = placed
    return Shapes(
        crown=crown,
        core=core,
        roots=others[: len(roots)],
        chamber=chamber,
        canals=others[len(roots) : 2 * len(roots)],
        filling=others[2 * len(roots) :],
        apexes=apexes,
    )


def _all_in_mouth(tooth: Tooth, shapes: list[np.ndarray]) -> list[np.ndarray]:
    ends = np.cumsum([len(points) for points in shapes])
    return np.split(in_mouth(tooth, np.concatenate(shapes)), ends[:-1])


def in_mouth(tooth: Tooth, points: np.ndarray) -> np.ndarray:
    """Transform points (n, 2) from the tooth's own frame to millimetres of the mouth."""
    across, along = points[:, 0], points[:, 1] - tooth.length / 2
    out = across * np.cos(tooth.tilt) + along * np.sin(tooth.tilt)
    down = along * np.cos(tooth.tilt) - across * np.sin(tooth.tilt)
    towards_root = -1 if tooth.upper else 1
    return np.stack([tooth.x + tooth.side * out, tooth.y + towards_root * down], axis=1)


def _crown(tooth: Tooth) -> np.ndarray:
    profile = {1: INCISOR, 2: INCISOR, 3: CANINE, 4: PREMOLAR, 5: PREMOLAR}
    shares, halves = np.array(profile.get(tooth.position, MOLAR)).T
    fine = np.linspace(0, shares[-1], 18)
    half = np.interp(fine, shares, halves) * tooth.width
    height = fine * tooth.crown
    right = np.stack([half, height], axis=1)
    left = np.stack([-half, height], axis=1)[::-1]
    return np.concatenate([right, left, _edge(tooth, half[0])])


def _edge(tooth: Tooth, half: float) -> np.ndarray:
    """The incisal or occlusal edge from left to right; molars have cusps and grooves."""
    across = np.linspace(-half, half, 13)[1:-1]
    if tooth.position < 4:
        return np.stack([across, np.zeros_like(across)], axis=1)
    cusps = 2 if tooth.position > 5 else 1
    wave = np.cos(across / half * np.pi * cusps)
    return np.stack([across, tooth.crown * 0.05 * (wave if cusps == 2 else -wave)], axis=1)


def _root_lines(tooth: Tooth) -> list[np.ndarray]:
    """Centre lines of the roots, from neck to apex, each of shape (9, 2)."""
    along = np.linspace(0, 1, 9)
    starts = [0.0]
    if tooth.position > 5:
        starts = [-0.5, 0.5, 0.0] if tooth.upper else [-0.5, 0.5]
    lines = []
    for index, start in enumerate(starts):
        # The middle (palatal) root of upper molars is the longest.
        length = (tooth.length - tooth.crown * 0.8) * (1.0 if start == 0 else 0.96 - 0.04 * index)
        across = start * (0.42 + (2 * tooth.spread - 0.42) * np.sqrt(along) * 0.55)
        across = (across + tooth.bend * along**2.5) * tooth.width
        lines.append(np.stack([across, tooth.crown * 0.8 + length * along], axis=1))
    return lines


def _root_widths(tooth: Tooth, roots: int) -> list[float]:
    """Half widths of the roots at the neck, mm."""
    if roots == 1:
        return [0.37 * tooth.width]
    return [0.235 * tooth.width] * 2 + [0.19 * tooth.width] * (roots - 2)


def _tapered(line: np.ndarray, half: float) -> np.ndarray:
    """A polygon around `line`, `half` wide on either side at its start, round at its end."""
    along = np.linspace(0, 1, len(line))
    halves = half * (1 - 0.45 * along) * np.sqrt(1 - 0.96 * along**5)
    offset = np.stack([halves, np.zeros_like(halves)], axis=1)
    return np.concatenate([line + offset, (line - offset)[::-1]])


def _chamber(tooth: Tooth) -> np.ndarray:
    """The pulp chamber: a bowl with pulp horns under the crown, elongated in front teeth."""
    wide = tooth.width * tooth.pulp * (0.95 if tooth.position > 5 else 0.5)
    top, bottom = tooth.crown * 0.55, tooth.crown * 1.18
    middle = tooth.crown * 0.7
    return np.array(
        [
            (-wide, top),
            (-wide * 0.3, middle),
            (wide * 0.3, middle),
            (wide, top),
            (wide * 0.8, bottom),
            (-wide * 0.8, bottom),
        ]
    )


def _occlusal_filling(tooth: Tooth) -> np.ndarray:
    half, depth = tooth.width * 0.28, tooth.crown * 0.36
    lean = tooth.width * np.sin(tooth.fdi) * 0.14
    return np.array(
        [
            (lean - half, -0.1),
            (lean + half, -0.1),
            (lean + half * 0.7, depth),
            (lean, depth * 0.8),
            (lean - half * 0.8, depth * 1.05),
        ]
    )
