"""Cut squares out of a scan and resize them to the trunk's input size.

Images are uint8 of shape (height, width). Places are in whole source pixels, x to the right, y
down; a square may extend beyond the scan and is black there.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, overload

import cv2
import numpy as np

from pipeline.imaging.downscale import averaged, shrink


class Place(NamedTuple):
    """A rectangle in source pixels: left, top, width, height."""

    x: int
    y: int
    w: int
    h: int

    @property
    def centre(self) -> tuple[float, float]:
        return self.x + self.w / 2, self.y + self.h / 2


class Crops(Sequence[np.ndarray]):
    """Crops of a scan, uint8 (side, side) each, as views of the images that they were cut from.

    Crops that overlap share their pixels, here and on the way between processes: the 48 of a
    panoramic take 1 MB instead of 3, and receiving takes 5 ms less of 72.
    """

    def __init__(self, side: int):
        self.side = side
        self._images: list[np.ndarray] = []
        self._corners: list[tuple[int, int, int]] = []  # image, row and column, for every crop

    def cut(self, image: np.ndarray, corners: Iterable[tuple[int, int]]) -> None:
        """Append the crops of an image that begin at these (row, column)."""
        self._corners += [(len(self._images), *corner) for corner in corners]
        self._images.append(image)

    def add(self, others: "Crops") -> None:
        """Append other crops."""
        first = len(self._images)
        self._corners += [(first + image, *corner) for image, *corner in others._corners]
        self._images += others._images

    def __len__(self) -> int:
        return len(self._corners)

    @overload
    def __getitem__(self, number: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, number: slice) -> list[np.ndarray]: ...
    def __getitem__(self, number):
        if isinstance(number, slice):
            return [self[each] for each in range(len(self))[number]]
        image, row, column = self._corners[number]
        return self._images[image][row : row + self.side, column : column + self.side]


def square_around(x: float, y: float, side: int) -> Place:
    """The square of `side` pixels centred on (x, y), on whole pixels."""
    return Place(round(x - side / 2), round(y - side / 2), side, side)


def within(place: Place, width: int, height: int) -> Place:
    """The part of `place` inside an image of this size; may be empty."""
    left, top = max(0, place.x), max(0, place.y)
    right, bottom = min(width, place.x + place.w), min(height, place.y + place.h)
    return Place(left, top, max(0, right - left), max(0, bottom - top))


def cut(pixels: np.ndarray, square: Place, area: Place, side: int) -> np.ndarray:
    """Cut `square` and resize it to (side, side) uint8, black outside `area`."""
    inside = _inside(pixels, square, area)
    part, left, top, edge = _at(pixels, inside), inside.x - square.x, inside.y - square.y, square.w
    # As `shrink` does to the whole square, which may be too large for memory: the square around an
    # image of 10 x 70000 pixels takes 4.9 GB.
    while edge >= 2 * side:
        edge //= 2
        part = _halved(part[: 2 * edge - top, : 2 * edge - left], left % 2, top % 2)
        left, top = left // 2, top // 2
    return _resized(_padded(part, left, top, edge, edge), side, side)


def cut_alike(pixels: np.ndarray, squares: Sequence[Place], side: int) -> Crops:
    """Cut squares of one size, black outside the scan.

    The scan is resized once and the squares are copied from it, each shifted by at most half a
    pixel of its crop. Where squares overlap, the crops have the same bytes, which zstd in Parquet
    finds: 48 squares of a panoramic take 6 ms instead of 18, and 24 KB a crop instead of 55.
    """
    left, top = (min(square[edge] for square in squares) for edge in (0, 1))
    right, bottom = (max(square[edge] for square in squares) + squares[0].w for edge in (0, 1))
    part = _with_black_outside(pixels, Place(left, top, right - left, bottom - top))
    scale = side / squares[0].w
    height, width = (round(scale * edge) for edge in part.shape)
    whole = _resized(part, width, height)
    crops = Crops(side)
    crops.cut(
        whole,
        [
            (
                min(round(scale * (square.y - top)), height - side),
                min(round(scale * (square.x - left)), width - side),
            )
            for square in squares
        ],
    )
    return crops


def _with_black_outside(pixels: np.ndarray, place: Place) -> np.ndarray:
    """The pixels of `place`, black beyond the scan."""
    inside = _inside(pixels, place, place)
    left, top = inside.x - place.x, inside.y - place.y
    return _padded(_at(pixels, inside), left, top, place.w, place.h)


def _inside(pixels: np.ndarray, place: Place, area: Place) -> Place:
    """The part of `place` inside the scan and inside `area`; may be empty."""
    height, width = pixels.shape
    inside = within(place, width, height)
    relative = inside._replace(x=inside.x - area.x, y=inside.y - area.y)
    inside = within(relative, area.w, area.h)
    return inside._replace(x=inside.x + area.x, y=inside.y + area.y)


def _at(pixels: np.ndarray, place: Place) -> np.ndarray:
    return pixels[place.y : place.y + place.h, place.x : place.x + place.w]


def _halved(pixels: np.ndarray, left: int, top: int) -> np.ndarray:
    """Pad `left` black columns and `top` black rows, and to an even size, then halve."""
    if not pixels.size:
        return pixels
    height, width = (-(-edge // 2) for edge in (pixels.shape[0] + top, pixels.shape[1] + left))
    return averaged(_padded(pixels, left, top, 2 * width, 2 * height), width, height)


def _padded(pixels: np.ndarray, left: int, top: int, width: int, height: int) -> np.ndarray:
    """A black image of (height, width) with `pixels` at (left, top)."""
    if not pixels.size:
        return np.zeros((height, width), np.uint8)
    edges = top, height - top - pixels.shape[0], left, width - left - pixels.shape[1]
    if not any(edges):
        return pixels
    return cv2.copyMakeBorder(pixels, *edges, cv2.BORDER_CONSTANT, value=0)


def _resized(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resize: by averaging areas downwards, which avoids moiré but is blocky upwards."""
    if pixels.shape[1] > width:
        return shrink(pixels, width, height)
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC)


def png(pixels: np.ndarray) -> bytes:
    """Encode an image as PNG, for reports: grey, or blue, green, red and alpha."""
    return cv2.imencode(".png", pixels)[1].tobytes()


def jpeg(pixels: np.ndarray, quality: int = 85) -> bytes:
    """Encode an image as JPEG, for pages; a fifth of the time and bytes of PNG."""
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def webp(pixels: np.ndarray, quality: int) -> bytes:
    """Encode an image as WebP, for pages; `quality` is 1 to 100, and above 100 lossless."""
    return cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()


def at_most(pixels: np.ndarray, edge: int) -> np.ndarray:
    """The image with its longer edge reduced to `edge` pixels, or as it is when it is smaller."""
    scale = edge / max(pixels.shape)
    if scale >= 1:
        return pixels
    height, width = (max(1, round(scale * each)) for each in pixels.shape)
    return shrink(pixels, width, height)
