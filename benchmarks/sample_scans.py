"""Folders of scans to measure with: phantoms drawn once per run, and real scans if available.

Half of the phantoms are mirror images of the other half, which halves the drawing without making
duplicates. Files get an old date, because listing waits for files that may still be growing.
"""

import os
from dataclasses import replace
from multiprocessing.pool import Pool
from pathlib import Path

import numpy as np

from pipeline.phantoms import Phantom, draw_panoramic, draw_periapical
from pipeline.phantoms.files import SUFFIXES, encode

REAL = "DENTAL_TEST_DATA"  # environment variable: a folder whose sub-folder opg has panoramics
LONG_AGO = 1_000_000_000  # seconds since 1970; any old date


def panoramics(root: Path, pool: Pool, count: int) -> dict[str, Path]:
    """Phantom panoramics without boxes, 2900 × 1400, as a folder of PNG and one of JPEG files."""
    folders = {form: _made(root / f"panoramics-{form}") for form in ("png", "jpeg")}
    pool.starmap(_write_panoramic, [(seed, folders) for seed in range(count // 2)], chunksize=1)
    return folders


def periapicals(root: Path, pool: Pool, count: int, form: str = "png") -> Path:
    """Phantom periapicals, 1300 × 1000 or upright, as PNG or JPEG files: one whole crop each."""
    folder = _made(root / "periapicals")
    work = [(seed, form, folder) for seed in range(count // 2)]
    pool.starmap(_write_periapical, work, chunksize=1)
    return folder


def real_panoramics() -> Path | None:
    """The folder of real panoramics, or None."""
    named = os.environ.get(REAL)
    folder = Path(named, "opg") if named else None
    return folder if folder and folder.is_dir() else None


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _write_panoramic(seed: int, folders: dict[str, Path]) -> None:
    phantom = draw_panoramic(seed)
    for form, folder in folders.items():
        _write(phantom, form, folder, seed)


def _write_periapical(seed: int, form: str, folder: Path) -> None:
    _write(draw_periapical(seed), form, folder, seed)


def _write(phantom: Phantom, form: str, folder: Path, seed: int) -> None:
    mirrored = replace(phantom, pixels=np.ascontiguousarray(phantom.pixels[:, ::-1]))
    for name, image in ((f"{seed:04d}", phantom), (f"{seed:04d}-mirrored", mirrored)):
        path = folder / (name + SUFFIXES[form])
        path.write_bytes(encode(image, form, "", seed))
        os.utime(path, (LONG_AGO, LONG_AGO))
