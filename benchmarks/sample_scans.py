"""Folders of scans to measure with: phantoms, and real scans if available.

Half of the phantoms are mirror images of the other half, which halves the drawing without making
duplicates. Files get an old date, because listing waits for files that may still be growing.
"""

import multiprocessing
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.pool import Pool
from pathlib import Path

import cv2
import numpy as np

from benchmarks.progress import log_step
from pipeline.phantoms import Phantom, draw_panoramic, draw_periapical
from pipeline.phantoms.files import SUFFIXES, encode

REAL = "DENTAL_TEST_DATA"  # environment variable: a folder whose sub-folder opg has panoramics
CACHE = Path(__file__).parents[1] / "data" / "bench"  # drawn once; may be removed
SIZE = 2900, 1400  # width and height of a panoramic
LONG_AGO = 1_000_000_000  # seconds since 1970; any old date


def cached(name: str, draw: Callable[[Path, Pool], object]) -> Path:
    """The folder of that name below CACHE, which `draw` fills the first time."""
    folder, unfinished = CACHE / name, CACHE / f"{name}.part"
    if not folder.is_dir():
        log_step(f"drawing {name}")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        with multiprocessing.get_context("spawn").Pool() as pool:
            draw(unfinished, pool)
        unfinished.rename(folder)
    return folder


def panoramics(
    root: Path, pool: Pool, count: int, forms: Sequence[str] = ("png", "jpeg"), first: int = 0
) -> dict[str, Path]:
    """Phantom panoramics without boxes, 2900 × 1400: a folder for each format."""
    folders = {form: _made(root / f"panoramics-{form}") for form in forms}
    seeds = range(first, first + count // 2)
    pool.starmap(_write_panoramic, [(seed, folders) for seed in seeds], chunksize=1)
    return folders


def periapicals(
    root: Path, pool: Pool, count: int, form: str = "png", first: int = 0, height: int = 1400
) -> Path:
    """Phantom periapicals, by default 1300 × 1000 or upright, as PNG or JPEG: one crop each."""
    folder = _made(root / "periapicals")
    work = [(seed, form, folder, height) for seed in range(first, first + count // 2)]
    pool.starmap(_write_periapical, work, chunksize=1)
    return folder


def real_panoramics() -> Path | None:
    """The folder of real panoramics, or None."""
    named = os.environ.get(REAL)
    folder = Path(named, "opg") if named else None
    return folder if folder and folder.is_dir() else None


def scaled_panoramics(root: Path, pool: Pool, count: int) -> Path:
    """The first real panoramics without their boxes, as PNG of the size of the phantoms."""
    folder = _made(root / "panoramics-png")
    real = sorted(real_panoramics().glob("*.jpg"))[:count]
    pool.starmap(_write_scaled, [(path, folder) for path in real], chunksize=1)
    return folder


def linked(folder: Path, target: Path, count: int) -> Path:
    """Hard links to the first files of a folder."""
    target.mkdir()
    for path in sorted(folder.iterdir())[:count]:
        os.link(path, target / path.name)
    return target


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _write_panoramic(seed: int, folders: dict[str, Path]) -> None:
    phantom = draw_panoramic(seed)
    for form, folder in folders.items():
        _write(phantom, form, folder, seed)


def _write_periapical(seed: int, form: str, folder: Path, height: int) -> None:
    _write(draw_periapical(seed, height), form, folder, seed)


def _write_scaled(path: Path, folder: Path) -> None:
    pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
    pixels = cv2.resize(pixels, SIZE, interpolation=cv2.INTER_CUBIC)
    _, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 2])
    _write_bytes(folder / f"{path.stem}.png", data.tobytes())


def _write(phantom: Phantom, form: str, folder: Path, seed: int) -> None:
    mirrored = replace(phantom, pixels=np.ascontiguousarray(phantom.pixels[:, ::-1]))
    for name, image in ((f"{seed:04d}", phantom), (f"{seed:04d}-mirrored", mirrored)):
        _write_bytes(folder / (name + SUFFIXES[form]), encode(image, form, "", seed))


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    os.utime(path, (LONG_AGO, LONG_AGO))
