"""`make bench-finder`: how many annotated teeth the finder proposes, and its time per scan.

Prints also how often the tooth guessed for a place is right, on phantoms, and the time of finding
and guessing relative to decoding, on one core. Both start from the overview that is made to measure
a scan's quality.

No method sees the boxes of the panoramics in DENTAL_TEST_DATA/opg or learned from these scans. A
tooth counts as found when a place lies in its box, or, by the second number, within a quarter of a
crop's edge of the box's middle. Teeth without a box are unlabelled, so places on them are neither
right nor wrong. Intervals are over groups of images that show the same film.
"""

import csv
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks import tooth_numbering
from benchmarks.place_baselines import at_random, between_gaps, tiled
from pipeline.imaging.frame import Frame
from pipeline.imaging.tooth_finder import MAX_PLACES, find_teeth, tooth_centres, tooth_map
from pipeline.imaging.tooth_numbering import guess_teeth
from pipeline.phantoms import draw_panoramic
from pipeline.phantoms.files import encode

QUARTER = 0.25  # the target: time of finding and guessing, relative to decoding
DRAWN, LEAST = 4, 24  # phantoms of 2900 × 1400 pixels; least number of repeats

METHODS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "chance": at_random,
    "blind tiles": tiled,
    "as many blind tiles": lambda pixels: tiled(pixels, MAX_PLACES // 2),
    "gaps between teeth": between_gaps,
    "finder": find_teeth,
}
COUNTS = (24, 32, 40, 48)  # numbers of first places
NEAR = 0.07  # of a panoramic's height, a quarter of the square that is cut
RESAMPLED = 2000


@dataclass(frozen=True)
class Scan:
    """A panoramic with its annotated teeth."""

    file: Path
    group: str
    pixels: np.ndarray  # uint8 (height, width)
    boxes: np.ndarray  # float (n, 4): x and y of the middle, width and height; shares


def scans(folder: Path) -> list[Scan]:
    """The panoramics of `folder` with boxes, grouped by GROUPS.csv."""
    with (folder / "GROUPS.csv").open(newline="", encoding="utf-8") as file:
        groups = {row["image_id"]: row["group"] for row in csv.DictReader(file)}
    found = []
    for path in sorted(folder.glob("*.jpg")):
        boxes = np.loadtxt(path.with_suffix(".txt"), ndmin=2)[:, 1:]
        pixels = decoded(path.read_bytes())
        found.append(Scan(path, groups.get(path.stem, path.stem), pixels, boxes))
    return found


def decoded(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)


def found_teeth(scan: Scan, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which boxes (n,) have a place inside, and which have one near the middle."""
    height, width = scan.pixels.shape
    away = np.abs(places[np.newaxis] - scan.boxes[:, np.newaxis, :2])
    inside = (away <= scan.boxes[:, np.newaxis, 2:] / 2).all(axis=2).any(axis=1)
    distance = np.hypot(away[..., 0] * width, away[..., 1] * height)
    return inside, (distance <= NEAR * height).any(axis=1)


def interval(found: Sequence[np.ndarray], groups: Sequence[str]) -> tuple[float, float, float]:
    """The share of teeth found and its 95 % interval over groups."""
    names = sorted(set(groups))
    hits = np.zeros(len(names))
    teeth = np.zeros(len(names))
    for some, group in zip(found, groups, strict=True):
        hits[names.index(group)] += some.sum()
        teeth[names.index(group)] += len(some)
    drawn = np.random.default_rng(0).integers(0, len(names), (RESAMPLED, len(names)))
    shares = hits[drawn].sum(axis=1) / teeth[drawn].sum(axis=1)
    return float(hits.sum() / teeth.sum()), *np.percentile(shares, [2.5, 97.5])


def milliseconds(work: Callable, pictures: Sequence) -> float:
    """Median time per image, after a warm-up."""
    work(pictures[0])
    times = []
    for pixels in pictures:
        started = time.perf_counter()
        work(pixels)
        times.append(1000 * (time.perf_counter() - started))
    return median(times)


def annotated() -> list[Scan]:
    """The panoramics of DENTAL_TEST_DATA."""
    data = os.environ.get("DENTAL_TEST_DATA")
    if data is None:
        sys.exit(
            "DENTAL_TEST_DATA is not set; set it to a folder whose sub-folder opg has panoramics."
        )
    return scans(Path(data, "opg"))


def main() -> None:
    """Measure and print."""
    measured = annotated()
    cv2.setNumThreads(1)  # as in the processes that read scans
    table = Table(
        box=SIMPLE, title="Annotated teeth with a place inside their box / near its middle"
    )
    for heading in ("method", "places", "ms", *(f"first {count}" for count in COUNTS)):
        table.add_column(heading, justify="left" if heading == "method" else "right", no_wrap=True)
    for name, method in METHODS.items():
        table.add_row(name, *row(method, measured))
    console = Console(width=200)
    console.print(table)
    for guesses in tooth_numbering.tables():
        console.print(guesses)
    console.print(costs([scan.file.read_bytes() for scan in measured]))
    print(
        f"{len(measured)} panoramics, {sum(len(scan.boxes) for scan in measured)} boxes. "
        "95 % intervals over groups."
    )


def costs(real: Sequence[bytes]) -> Table:
    """Median times per scan of decoding, finding and guessing."""
    table = Table(title=f"Finding and guessing, relative to decoding: at most {QUARTER}")
    for heading in ("scans", "pixels", "decode, ms", "find, ms", "guess, ms", "share"):
        table.add_column(heading, justify="left" if heading == "scans" else "right")
    drawn = [draw_panoramic(seed) for seed in range(DRAWN)]
    kinds = {"real panoramics, as delivered": real}
    for form in ("jpeg", "png"):
        kinds[f"phantoms, {form}"] = [encode(each, form, "", 0) for each in drawn]
    for kind, files in kinds.items():
        files = list(files) * -(-LEAST // len(files))
        pictures = [decoded(data) for data in files]
        overviews = [Frame(pixels).overview for pixels in pictures]
        seen = [tooth_map(overview) for overview in overviews]
        places = [(*both, tooth_centres(both[1])) for both in seen]
        decode = milliseconds(decoded, files)
        find = milliseconds(find_teeth, overviews)
        guess = milliseconds(lambda each: guess_teeth(*each), places)
        height, width = np.median([pixels.shape for pixels in pictures], axis=0)
        share = (find + guess) / decode
        cells = [f"{each:.2f}" for each in (decode, find, guess, share)]
        table.add_row(kind, f"{width:.0f} × {height:.0f}", *cells)
    return table


def row(method: Callable[[np.ndarray], np.ndarray], measured: Sequence[Scan]) -> list[str]:
    """The table cells of one method."""
    proposed = [method(scan.pixels) for scan in measured]
    groups = [scan.group for scan in measured]
    cells = [
        f"{np.mean([len(places) for places in proposed]):.1f}",
        f"{milliseconds(method, [scan.pixels for scan in measured]):.1f}",
    ]
    for count in COUNTS:
        both = [
            found_teeth(scan, places[:count])
            for scan, places in zip(measured, proposed, strict=True)
        ]
        inside, low, high = interval([one for one, _ in both], groups)
        near, _, _ = interval([other for _, other in both], groups)
        cells.append(f"{inside:.3f} ({low:.2f}-{high:.2f}) / {near:.3f}")
    return cells


if __name__ == "__main__":
    main()
