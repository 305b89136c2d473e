"""`make fuzz`: read thousands of damaged files in real worker processes.

Every file is a small file of one of the formats, damaged by a seeded generator, so that a run can
be repeated exactly. Every file must come out once, as a scan or as a rejection with a reason; only
ScanRejected may be raised; the run must end, and no process may grow.
"""

import io
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import psutil
from PIL import Image

from pipeline.config import Quality, Recipe
from pipeline.errors import ScanRejected
from pipeline.ingest.labels.annotations import Annotation
from pipeline.ingest.list_files import list_batch
from pipeline.ingest.workers.pool import WorkerPool
from pipeline.stages.read_scan import Order, read_scan

FILES, SHARE, SEED = 20_000, 2_000, 0
SECONDS, MEMORY_MB, MAX_PIXELS, SIDE = 20, 1024, 2_000_000, 32
LONG_AGO = 10**9  # seconds since 1970: listing waits for recent files, which may be growing
LARGEST_SEED = 60_000  # bytes; damage should hit headers and tables, not only pixels
# Limit of the growth of resident memory from the second share of files to the last.
GROWTH = 1.2
# Numbers that overflow, become negative or request all memory.
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def seeds() -> list[bytes]:
    """Small files of every format, cut from real scans if DENTAL_TEST_DATA is set."""
    made = [data for picture in pictures() for data in in_all_formats(picture)]
    return made + dicom_seeds()


def pictures() -> list[np.ndarray]:
    home = os.environ.get("DENTAL_TEST_DATA")
    real = sorted(Path(home, "opg").glob("*.jpg"))[:6] if home else []
    if not real:
        from tests.builders.scans import scan

        return [scan(64, 96, seed=number) for number in range(4)]
    whole = [cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_GRAYSCALE) for path in real]
    return [np.ascontiguousarray(picture[300:364, 500:596]) for picture in whole]


def in_all_formats(picture: np.ndarray) -> Iterator[bytes]:
    progressive, deep = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1], picture.astype(np.uint16) * 16
    lzw, deflate = [cv2.IMWRITE_TIFF_COMPRESSION, 5], [cv2.IMWRITE_TIFF_COMPRESSION, 8]
    colour = cv2.applyColorMap(picture, cv2.COLORMAP_BONE)
    for suffix, pixels, options in (
        (".jpg", picture, []),
        (".jpg", picture, progressive),
        (".jpg", colour, []),
        (".png", picture, []),
        (".png", deep, []),
        (".png", colour, []),
        (".tif", picture, lzw),
        (".tif", deep, deflate),
        (".bmp", picture, []),
    ):
        yield cv2.imencode(suffix, pixels, options)[1].tobytes()
    image = Image.fromarray(picture)
    for mode, form, options in (
        ("P", "PNG", {}),
        ("LA", "PNG", {}),
        ("1", "TIFF", {"compression": "group4"}),
        ("CMYK", "JPEG", {}),
        ("L", "TIFF", {"save_all": True, "append_images": [image, image]}),
    ):
        data = io.BytesIO()
        image.convert(mode).save(data, form, **options)
        yield data.getvalue()


def dicom_seeds() -> list[bytes]:
    from tests.builders.dicom_files import dicom_file

    ramp = np.arange(64 * 96, dtype=np.uint16).reshape(64, 96)
    made = [
        dicom_file(ramp, BitsStored=13),
        dicom_file((ramp >> 5).astype(np.uint8), Modality="IO"),
    ]
    home = os.environ.get("DENTAL_TEST_DATA")
    files = sorted(Path(home, "dicom").rglob("*.dcm")) if home else []
    return made + [path.read_bytes() for path in files if path.stat().st_size < LARGEST_SEED]


def damaged(files: list[bytes], number: int) -> bytes:
    """File number `number`: one of `files` with one to four kinds of damage."""
    rng = np.random.default_rng((SEED, number))
    data = bytearray(files[number % len(files)])
    for _ in range(rng.integers(1, 5)):
        rng.choice(DAMAGES)(data, rng, files)
    return bytes(data)


def place(data: bytearray, rng) -> int:
    """A random place, half of the time near the beginning, where sizes and tables are."""
    end = len(data) if rng.random() < 0.5 else min(len(data), 400)
    return int(rng.integers(0, max(end, 1)))


def flip(data, rng, _):
    for _ in range(rng.integers(1, 9)):
        if data:
            data[place(data, rng)] ^= 1 << int(rng.integers(0, 8))


def set_number(data, rng, _):
    width, where = int(rng.choice([1, 2, 4])), place(data, rng)
    number = int(rng.choice(NUMBERS)) & (256**width - 1)
    data[where : where + width] = number.to_bytes(width, str(rng.choice(["big", "little"])))


def overwrite(data, rng, _):
    where, count = place(data, rng), int(rng.integers(1, 60))
    data[where : where + count] = rng.bytes(count)


def cut_short(data, rng, _):
    del data[place(data, rng) :]


def cut_out(data, rng, _):
    where = place(data, rng)
    del data[where : where + int(rng.integers(1, 200))]


def repeat(data, rng, _):
    where = place(data, rng)
    data[where:where] = bytes(data[where : where + int(rng.integers(1, 200))])


def graft(data, rng, files):
    other, where = files[rng.integers(0, len(files))], place(data, rng)
    start = int(rng.integers(0, len(other)))
    data[where : where + 300] = other[start : start + int(rng.integers(1, 300))]


DAMAGES = (flip, flip, set_number, set_number, overwrite, cut_short, cut_out, repeat, graft)


@dataclass(frozen=True)
class FileResult:
    """What a worker made of one file."""

    outcome: str  # accepted, a reason, or BUG
    process: int
    resident: int  # bytes, of the worker afterwards
    bug: str = ""


def read_one(order: Order) -> FileResult:
    """Read one file in a worker process; a bug is reported and does not end the run."""
    try:
        read = read_scan(order)
        outcome, bug = read.rejection.reason if read.rejection else "accepted", ""
        if outcome == "accepted":
            assert len(read.crops), "accepted without a crop"
            assert read.crops[0].shape == (SIDE, SIDE), "a crop of another size"
    except MemoryError:
        raise
    except Exception:
        outcome, bug = "BUG", traceback.format_exc()
    return FileResult(outcome, os.getpid(), resident(), bug)


def resident() -> int:
    """Resident memory of this process in bytes."""
    return psutil.Process().memory_info().rss


@dataclass
class Result:
    """The result of a run."""

    outcomes: Counter = field(default_factory=Counter)
    bugs: Counter = field(default_factory=Counter)
    workers: list[int] = field(default_factory=list)  # highest resident bytes, by share of files
    master: list[int] = field(default_factory=list)
    processes: set[int] = field(default_factory=set)
    lost: int = 0

    def violations(self) -> list[str]:
        """Messages about what must not happen."""
        found = [f"{count} × {bug}" for bug, count in self.bugs.items()]
        if self.lost:
            found.append(f"{self.lost} files came out more or less than once")
        for who, sizes in (("workers", self.workers), ("the master", self.master)):
            if sizes[-1] > GROWTH * sizes[1]:
                found.append(f"{who} grew from {sizes[1] >> 20} to {sizes[-1] >> 20} MB")
        return found


def fuzz(count: int, share: int, workers: WorkerPool, log=lambda message: None) -> Result:
    """Damage and read `count` files, `share` of them at a time."""
    files, result, done = seeds(), Result(), 0
    while done < count:
        numbers = range(done, min(done + share, count))
        with tempfile.TemporaryDirectory(prefix="dental-fuzz-") as home:
            read_share(Path(home), [damaged(files, number) for number in numbers], workers, result)
        done += len(numbers)
        came_to = ", ".join(f"{number} {what}" for what, number in result.outcomes.most_common())
        log(f"{done} of {count} files, workers at {result.workers[-1] >> 20} MB: {came_to}")
    return result


def read_share(folder: Path, files: list[bytes], workers: WorkerPool, result: Result) -> None:
    for number, data in enumerate(files):
        path = folder / f"{number:06d}"
        path.write_bytes(data)
        os.utime(path, (LONG_AGO, LONG_AGO))
    how, limits = (Recipe(side=SIDE), Quality()), (MAX_PIXELS, 2**30, False)
    orders = (Order(folder, e, Annotation(), *how, *limits) for e in list_batch(folder).scans)
    outcomes, highest = Counter(), 0
    for found in workers.map(read_one, orders):
        if isinstance(found, ScanRejected):
            outcomes[found.reason] += 1
            continue
        outcomes[found.outcome] += 1
        result.processes.add(found.process)
        highest = max(highest, found.resident)
        if found.bug:
            result.bugs[found.bug] += 1
    result.lost += abs(len(files) - outcomes.total())
    result.outcomes += outcomes
    result.workers.append(highest)
    result.master.append(resident())


def main() -> int:
    """Fuzz, print outcomes by reason; the exit status is 1 if something was found."""
    began, workers = time.monotonic(), WorkerPool(os.cpu_count() or 1, SECONDS, MEMORY_MB)
    try:
        result = fuzz(FILES, SHARE, workers, lambda message: print("…", message, file=sys.stderr))
    finally:
        workers.close()
    for outcome, number in result.outcomes.most_common():
        print(f"{outcome:30}{number:8}")
    print(f"{'files':30}{result.outcomes.total():8}")
    print(
        f"{len(result.processes)} worker processes; highest resident memory in the second and the "
        f"last {SHARE} files: workers {result.workers[1] >> 20} and {result.workers[-1] >> 20} MB, "
        f"master {result.master[1] >> 20} and {result.master[-1] >> 20} MB; "
        f"{time.monotonic() - began:.0f} s"
    )
    for violation in result.violations():
        print("FOUND", violation)
    return 1 if result.violations() else 0


if __name__ == "__main__":
    # Imported by name, because workers cannot unpickle functions of `__main__`.
    from tests import fuzz as module

    sys.exit(module.main())
