"""The anatomy of one phantom patient: positions and shapes of the teeth, and their findings.

Lengths are millimetres. The origin is the midline at the height of the bite; x increases to the
right of the image (the patient's left), y downwards. Nothing is drawn here.
"""

from dataclasses import dataclass, replace

import numpy as np

from pipeline.phantoms.phantom import CARIES, HEALTHY, IMPACTED, LESION, generator

# By position from the midline, 1 to 8: width, length and crown height of textbook teeth.
UPPER_SIZES = [
    (8.5, 23.5, 10.5),
    (6.6, 22.5, 9.2),
    (7.6, 26.5, 10.0),
    (7.0, 21.5, 8.5),
    (6.8, 21.5, 8.3),
    (10.4, 20.5, 7.6),
    (9.8, 20.0, 7.2),
    (8.9, 18.0, 6.8),
]
LOWER_SIZES = [
    (5.5, 21.5, 9.0),
    (6.0, 22.5, 9.4),
    (6.9, 26.0, 10.8),
    (7.0, 22.5, 8.6),
    (7.2, 22.5, 8.2),
    (11.2, 21.5, 7.7),
    (10.6, 20.5, 7.3),
    (10.2, 18.5, 7.0),
]
# Findings are more frequent on back teeth, as on real panoramics; healthy boxes are drawn with the
# same weights, so that the place of a box reveals little.
WEIGHTS = (1.0, 1.0, 1.0, 1.5, 2.0, 3.0, 3.0, 2.5)
# A periapical shows two neighbours on either side: findings this far apart never share one.
MIN_DISTANCE = 4


@dataclass(frozen=True)
class Finding:
    """The finding of a tooth."""

    kind: str
    strength: float  # 0 to 1; share of the healthy density that is lost
    size: float  # caries: radius as a share of the crown's width; lesion: radius in mm
    side: int  # caries: -1 mesial, 0 biting surface, 1 distal; lesion: index of the root
    seed: int  # of the irregular outline


@dataclass(frozen=True)
class Tooth:
    """One tooth and its place."""

    fdi: int
    x: float  # of the centre of the long axis
    y: float
    tilt: float  # radians; 0 is upright, positive leans the root away from the midline
    width: float
    length: float
    crown: float
    bend: float  # lateral displacement of the root tips, as a share of the width
    spread: float  # distance of the roots, as a share of the width
    pulp: float  # width of pulp chamber and canals, as a share of the root
    filling: str  # "", "occlusal", "crown" or "root"
    finding: Finding | None = None

    @property
    def label(self) -> str:
        return self.finding.kind if self.finding else HEALTHY

    @property
    def upper(self) -> bool:
        return self.fdi < 30

    @property
    def side(self) -> int:
        """-1 on the left of the picture, 1 on the right."""
        return -1 if self.fdi // 10 in (1, 4) else 1

    @property
    def position(self) -> int:
        return self.fdi % 10

    @property
    def place(self) -> float:
        """Position along the arch, counted in teeth from the midline."""
        return self.side * (self.position - 0.5)


@dataclass(frozen=True)
class Mouth:
    """One phantom patient's jaws."""

    teeth: tuple[Tooth, ...]
    size: float  # of the jaws, 1 is the textbook
    gap: float  # between the arches
    smile: float  # mm by which the bite rises 50 mm away from the midline
    crest: float  # mm of bare root between crown and bone
    bone: float  # density of bone, 0 to 1
    grain: float  # strength of the trabecular pattern
    dentine: float
    enamel: float
    jaw: float  # height of the mandible's body below the roots, mm
    sinus: float  # how far the sinuses reach down, mm

    @property
    def sound(self) -> "Mouth":
        """The same mouth without findings; impacted teeth are left out."""
        erupted = [tooth for tooth in self.teeth if tooth.label != IMPACTED]
        return replace(self, teeth=tuple(replace(tooth, finding=None) for tooth in erupted))

    def bite(self, x: float) -> float:
        """Height of the bite at `x`."""
        return -self.smile * (x / 50) ** 2


def grow(seed: int) -> Mouth:
    """Generate the mouth of a patient from its seed."""
    rng = generator(seed, "mouth")
    draw = rng.uniform
    mouth = Mouth(
        teeth=(),
        size=draw(0.92, 1.08),
        gap=draw(0.5, 4.5),
        smile=draw(-1.0, 6.0),
        crest=draw(1.0, 2.5) + 4.0 * draw() ** 4,
        bone=draw(0.40, 0.50),
        grain=draw(0.02, 0.07),
        dentine=draw(0.55, 0.64),
        enamel=draw(0.10, 0.22),
        jaw=draw(8.0, 16.0),
        sinus=draw(-5.0, 5.0),
    )
    teeth = [tooth for quadrant in range(1, 5) for tooth in _quadrant(quadrant, mouth, rng)]
    return replace(mouth, teeth=tuple(_with_findings(teeth, rng)))


def _quadrant(quadrant: int, mouth: Mouth, rng: np.random.Generator) -> list[Tooth]:
    """The teeth of one quadrant, from the midline outwards, missing ones left out."""
    upper = quadrant < 3
    reach = rng.uniform(0, 0.4)
    crowding = rng.uniform(0.98, 1.06)
    lean = rng.uniform(0.10, 0.35)
    extracted = rng.choice([0, 4, 5, 6, 7], p=[0.70, 0.06, 0.05, 0.12, 0.07])
    wisdom = rng.random() < 0.65
    teeth = []
    for position, sizes in enumerate(UPPER_SIZES if upper else LOWER_SIZES, start=1):
        width, length, crown = np.array(sizes) * mouth.size * rng.uniform(0.93, 1.07, 3)
        centre = (reach + width / 2) * (-1 if quadrant in (1, 4) else 1)
        reach += width * crowding
        tilt = rng.normal(0.02, 0.04) + lean * min(1, abs(centre) / 60) * (0.5 if upper else 1)
        out = mouth.gap / 2 + length / 2 * np.cos(tilt) + rng.normal(0, 0.4)
        tooth = Tooth(
            fdi=10 * quadrant + position,
            # The crown is at its place along the arch; a leaning root extends outwards.
            x=centre + np.sign(centre) * np.sin(tilt) * length * 0.3,
            y=mouth.bite(centre) + (-out if upper else out),
            tilt=tilt,
            width=width,
            length=length,
            crown=crown,
            bend=rng.normal(0.10, 0.07),
            spread=rng.uniform(0.34, 0.58) * (1.0 if position < 8 else 0.6),
            pulp=rng.uniform(0.14, 0.30),
            filling=_filling(position, rng),
        )
        if position != extracted and (position < 8 or wisdom):
            teeth.append(tooth)
    return teeth


def _filling(position: int, rng: np.random.Generator) -> str:
    chances = [0.82, 0.10, 0.04, 0.04] if position > 3 else [0.94, 0.0, 0.03, 0.03]
    return str(rng.choice(["", "occlusal", "crown", "root"], p=chances))


def _with_findings(teeth: list[Tooth], rng: np.random.Generator) -> list[Tooth]:
    """Give some teeth findings; one quadrant and a few whole mouths stay healthy."""
    if rng.random() < 0.05:
        return teeth
    found: dict[int, Tooth] = {}
    healthy = rng.integers(1, 5)
    impactable = {18, 28, 38, 48} | ({13, 23} if rng.random() < 0.15 else set())
    kinds = [IMPACTED] * rng.choice([0, 1, 2, 3], p=[0.35, 0.3, 0.25, 0.1])
    kinds += [CARIES] * rng.integers(1, 3) + [LESION] * rng.integers(1, 3)
    for kind in kinds:
        free = [tooth for tooth in teeth if tooth.fdi // 10 != healthy and _is_far(tooth, found)]
        if kind == IMPACTED:
            free = [tooth for tooth in free if tooth.fdi in impactable]
        if not free:
            continue
        weights = np.array([WEIGHTS[tooth.position - 1] for tooth in free])
        tooth = free[rng.choice(len(free), p=weights / weights.sum())]
        found[tooth.fdi] = _with_finding(tooth, kind, rng)
    return [found.get(tooth.fdi, tooth) for tooth in teeth]


def _is_far(tooth: Tooth, found: dict[int, Tooth]) -> bool:
    near = [other for other in found.values() if other.upper == tooth.upper]
    return all(abs(other.place - tooth.place) >= MIN_DISTANCE for other in near)


def _with_finding(tooth: Tooth, kind: str, rng: np.random.Generator) -> Tooth:
    strength, seed = rng.uniform(0.3, 0.9), int(rng.integers(2**31))
    if kind == CARIES:
        side = int(rng.choice([-1, 0, 1], p=[0.4, 0.2, 0.4]))
        finding = Finding(kind, strength, rng.uniform(0.16, 0.32), side, seed)
        # A filled crown would hide it.
        return replace(tooth, finding=finding, filling="")
    if kind == LESION:
        finding = Finding(kind, strength, rng.uniform(1.8, 4.2), int(rng.integers(2)), seed)
        return replace(tooth, finding=finding)
    lying = rng.uniform(0.6, 1.7) * (1 if rng.random() < 0.8 else -0.6)
    if tooth.upper or tooth.position == 3:
        lying *= 0.6
    depth = rng.uniform(1, 6) if tooth.position == 8 else rng.uniform(11, 15)
    return replace(
        tooth,
        x=tooth.x + tooth.side * (2 + rng.uniform(0, 3) if tooth.position == 8 else -2),
        y=tooth.y + (-depth if tooth.upper else depth - 2),
        tilt=lying,
        filling="",
        finding=Finding(kind, 1.0, 0.0, 0, seed),
    )
