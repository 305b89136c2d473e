"""Made-up scans and the folders they are delivered in."""

import itertools
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

# Every scan differs from the others unless it is given a seed: no two are duplicates.
_seeds = itertools.count()


def scan(height=60, width=50, seed=None) -> np.ndarray:
    """A textured grey image, uint8 (height, width)."""
    noise = np.random.default_rng(next(_seeds) if seed is None else seed)
    small = noise.integers(40, 220, (height // 5 + 1, width // 5 + 1)).astype(np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def panoramic(seed=None) -> np.ndarray:
    """A scan wide enough to count as a panoramic."""
    return scan(60, 120, seed)


def encode(pixels: np.ndarray, suffix=".png", options=()) -> bytes:
    """The bytes of an image file of this format; `options` are OpenCV's."""
    return cv2.imencode(suffix, pixels, list(options))[1].tobytes()


def write_files(folder: Path, **files) -> Path:
    """Write images (arrays, encoded by suffix), texts and bytes; `a_png` becomes `a.png`."""
    for name, content in files.items():
        path = folder / ".".join(name.rsplit("_", 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, np.ndarray):
            content = encode(content, path.suffix)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def labelled_batch(folder: Path, scans: Iterable[tuple[np.ndarray, str, str]]) -> Path:
    """Write a batch of `(pixels, patient, label)`: s000.png, s001.png, … and labels.csv."""
    lines = ["file,patient,label"]
    for number, (pixels, patient, label) in enumerate(scans):
        write_files(folder, **{f"s{number:03d}_png": pixels})
        lines.append(f"s{number:03d}.png,{patient},{label}")
    return write_files(folder, labels_csv="\n".join(lines))
