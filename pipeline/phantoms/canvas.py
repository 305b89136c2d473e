"""A density map to draw on in millimetres: float32 (height, width), 0 is air, 1 is enamel.

Shapes are filled at the resolution of the canvas; callers choose a low one and enlarge the finished
map.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

FRACTION_BITS = 4  # of the coordinates passed to OpenCV: 1/16 pixel


@dataclass(frozen=True)
class View:
    """The projection from millimetres of the mouth to pixels."""

    scale: float  # pixels per millimetre
    centre: tuple[float, float]  # mm; at the centre of the canvas
    width: int  # pixels of the canvas
    height: int
    angle: float = 0.0  # radians
    stretch: float = 1.0  # of heights relative to widths
    bend: float = 0.0  # mm by which a point 50 mm from the midline is raised

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Pixels (n, 2) of points (n, 2) in millimetres."""
        x, y = points[:, 0] - self.centre[0], points[:, 1] - self.centre[1]
        y = (y - self.bend * (points[:, 0] / 50) ** 2) * self.stretch
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        rotated = np.stack([cos * x - sin * y, sin * x + cos * y], axis=1)
        return rotated * self.scale + [self.width / 2, self.height / 2]

    def resized(self, width: int, height: int) -> "View":
        """The same view on a canvas of another resolution."""
        return replace(self, scale=self.scale * height / self.height, width=width, height=height)


@dataclass(eq=False)
class Patch:
    """A rectangle of a canvas; `density` is a view of it, so it is drawn on by changing it."""

    density: np.ndarray
    left: int
    top: int
    view: View

    def fill(self, polygons: list[np.ndarray], blur: float = 0.0) -> np.ndarray:
        """Coverage, 0 to 1, of the union of `polygons` (mm), blurred by `blur` mm."""
        part, coverage = self._softened(self._filled(polygons), blur)
        found = np.zeros(self.density.shape, np.float32)
        found[part] = coverage
        return found

    def add_fill(self, amount: float, polygons: list[np.ndarray], blur: float) -> None:
        """Add `amount` times the coverage of `fill`."""
        self._add(amount, *self._softened(self._filled(polygons), blur))

    def add_stroke(self, amount: float, line: np.ndarray, width: float, blur: float) -> None:
        """Add `amount` times the coverage of an open line (mm), `width` mm wide and blurred."""
        mask = np.zeros(self.density.shape, np.uint8)
        thick = max(1, round(width * self.view.scale))
        cv2.polylines(mask, [self._fixed(line)], False, 255, thick, cv2.LINE_AA, FRACTION_BITS)
        self._add(amount, *self._softened(mask, blur))

    def _filled(self, polygons: list[np.ndarray]) -> np.ndarray:
        mask = np.zeros(self.density.shape, np.uint8)
        for polygon in polygons:
            cv2.fillPoly(mask, [self._fixed(polygon)], 255, cv2.LINE_AA, FRACTION_BITS)
        return mask

    def _fixed(self, points: np.ndarray) -> np.ndarray:
        """Points in millimetres as OpenCV takes them: in 1/16 pixels of the patch."""
        points = self.view.pixels(points) - [self.left, self.top]
        return np.rint(points * 2**FRACTION_BITS).astype(np.int32)

    def _softened(self, mask: np.ndarray, blur: float) -> tuple[tuple[slice, slice], np.ndarray]:
        """The part of a drawn uint8 mask that a blur of `blur` mm reaches, and its coverage.

        To a rounding of float32 the values, 0 to 1, are those of the whole mask blurred: 0.7 of the
        time of a phantom.
        """
        left, top, width, height = cv2.boundingRect(mask)
        reach = int(4 * blur * self.view.scale) + 2  # OpenCV cuts a kernel of float32 off there
        rows = slice(max(top - reach, 0), top + height + reach)
        columns = slice(max(left - reach, 0), left + width + reach)
        return (rows, columns), self.soften(mask[rows, columns].astype(np.float32) / 255, blur)

    def _add(self, amount: float, part: tuple[slice, slice], coverage: np.ndarray) -> None:
        self.density[part] += amount * coverage

    def soften(self, mask: np.ndarray, blur: float) -> np.ndarray:
        """`mask` blurred by a Gaussian of `blur` mm."""
        sigma = blur * self.view.scale
        return cv2.GaussianBlur(mask, (0, 0), sigma) if sigma > 0.3 else mask

    def glow(self, x: float, y: float, wide: float, high: float) -> np.ndarray:
        """A Gaussian spot at (x, y) mm with standard deviations `wide` and `high` mm."""
        centre = self.view.pixels(np.array([[x, y]]))[0] - [self.left, self.top]
        rows, columns = self.density.shape
        across = (np.arange(columns, dtype=np.float32) - centre[0]) / (wide * self.view.scale)
        down = (np.arange(rows, dtype=np.float32) - centre[1]) / (high * self.view.scale)
        return np.outer(np.exp(-(down**2) / 2), np.exp(-(across**2) / 2)).astype(np.float32)


class Canvas:
    """The density map of one view."""

    def __init__(self, view: View):
        self.view = view
        self.density = np.zeros((view.height, view.width), np.float32)

    @property
    def whole(self) -> Patch:
        return Patch(self.density, 0, 0, self.view)

    def around(self, polygons: list[np.ndarray], margin: float) -> Patch | None:
        """The patch with `polygons` and `margin` mm around them; None if outside the canvas."""
        points = self.view.pixels(np.concatenate(polygons))
        pad = margin * self.view.scale
        left, top = np.maximum(np.floor(points.min(axis=0) - pad), 0).astype(int)
        right, bottom = np.ceil(points.max(axis=0) + pad).astype(int)
        density = self.density[top : max(bottom, 0), left : max(right, 0)]
        return Patch(density, int(left), int(top), self.view) if density.size else None


def smooth(points: list[tuple[float, float]], closed: bool = True) -> np.ndarray:
    """A rounded polygon or line (n, 2): three iterations of Chaikin's corner cutting."""
    line = np.array(points, float)
    for _ in range(3):
        end = np.roll(line, -1, axis=0) if closed else line[1:]
        start = line if closed else line[:-1]
        cut = np.stack([0.75 * start + 0.25 * end, 0.25 * start + 0.75 * end], axis=1)
        inner = cut.reshape(-1, 2)
        line = inner if closed else np.concatenate([line[:1], inner, line[-1:]])
    return line
