"""Write a folder of phantoms like a clinic's delivery, with labels, and the hidden ground truth.

phantom-000001.jpg …    scans in mixed formats; one third panoramics, two thirds periapicals
phantom-000001.txt …    YOLO boxes of about nine teeth of each panoramic; classes.txt
teeth.json              the same boxes in COCO form, with quadrant and tooth as DENTEX numbers them
labels.csv              file, patient, label, tooth, bits of every scan
.planted.csv            where anomalies were drawn; hidden, so not part of the delivery
.about.txt              a note that no patient is shown
"""

import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from pipeline.errors import ConfigError
from pipeline.phantoms.files import SUFFIXES, TABLE_BITS, encode
from pipeline.phantoms.mouth import WEIGHTS
from pipeline.phantoms.panoramic import draw_panoramic
from pipeline.phantoms.periapical import draw_periapical
from pipeline.phantoms.phantom import (
    CLASSES,
    HEALTHY,
    Phantom,
    Planted,
    ToothBox,
    generator,
)

MIN_HEIGHT = 64  # pixels of a panoramic; teeth are not discernible below it
PATIENTS_PER_SCAN = 0.6
MAX_SCANS = 3  # per patient
# Photographs, viewer exports and sensor files, about as frequent as in deliveries.
FORMATS = {
    "jpeg": 0.26,
    "png": 0.16,
    "png-12": 0.12,
    "tiff-12": 0.08,
    "tiff-16": 0.08,
    "dicom": 0.20,
    "dicom-inverted": 0.10,
}
ABOUT = "Phantoms: drawn by a program for demonstration, tests and load. They show no patient.\n"


@dataclass(frozen=True)
class BatchSummary:
    """The contents of a batch of phantoms."""

    scans: int
    patients: int
    kinds: dict[str, int]  # panoramic, periapical
    formats: dict[str, int]  # keys of files.SUFFIXES
    planted: dict[str, int]  # anomalies by kind, counted on each scan of a patient
    labels: dict[str, int]  # of boxes and periapicals together


@dataclass(frozen=True)
class Order:
    """One scan to draw."""

    folder: Path
    number: int  # from 1
    seed: int
    patient: int  # from 1
    batch_seed: int
    height: int
    form: str  # key of files.SUFFIXES
    abnormal: bool | None  # of a periapical; None for a panoramic

    @property
    def file(self) -> str:
        return f"phantom-{self.number:06d}{SUFFIXES[self.form]}"

    @property
    def patient_code(self) -> str:
        return f"PHANTOM-{self.patient:04d}"


@dataclass(frozen=True)
class Written:
    """One scan that was written, with its annotation and ground truth."""

    order: Order
    kind: str
    label: str | None
    tooth: int | None
    boxes: tuple[ToothBox, ...]
    planted: tuple[Planted, ...]


def write_batch(
    folder: Path,
    scans: int,
    seed: int = 0,
    *,
    height: int = 1400,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> BatchSummary:
    """Write `scans` phantoms to `folder`, which must be empty or not exist.

    Panoramics are `height` pixels high, periapicals in proportion. The files depend only on
    `scans`, `seed` and `height`. `progress` is called with the number of scans written so far.
    """
    _check(folder, scans, seed, height, workers)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with _runner(workers) as run:
        for scan in run(_orders(folder, scans, seed, height)):
            written.append(scan)
            if progress:
                progress(len(written))
    written.sort(key=lambda scan: scan.order.number)
    _write_tables(folder, written)
    return _summary(written)


def _check(folder: Path, scans: int, seed: int, height: int, workers: int) -> None:
    for name, value, least in (
        ("scans", scans, 1),
        ("seed", seed, 0),
        ("height", height, MIN_HEIGHT),
        ("workers", workers, 1),
    ):
        if value < least:
            raise ConfigError(f"`{name}` is {value}; it must be at least {least}.")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(
            f"{folder} is a file; phantoms are written to a folder that is empty or does not "
            "exist yet. Give another path."
        )
    if folder.exists() and (entries := len(os.listdir(folder))):
        raise ConfigError(
            f"{folder} has {entries} entries; phantoms are written to a folder that is empty or "
            "does not exist yet, so that they never mix with other scans. Empty it, or give "
            "another path."
        )


def _orders(folder: Path, scans: int, seed: int, height: int) -> list[Order]:
    """Assign kind, patient and format to every scan."""
    rng = generator(seed, "batch")
    panoramics = (scans + 1) // 3
    healthy = (scans - panoramics + 1) // 2
    kinds = [None] * panoramics + [False] * healthy + [True] * (scans - panoramics - healthy)
    patients = _patients(scans, rng)
    forms = rng.choice(list(FORMATS), size=scans, p=list(FORMATS.values()))
    places = rng.permutation(scans)
    return [
        Order(
            folder=folder,
            number=index + 1,
            seed=_seed(seed, "scan", index),
            patient=patients[index],
            batch_seed=seed,
            height=height,
            form=str(forms[index]),
            abnormal=kinds[places[index]],
        )
        for index in range(scans)
    ]


def _patients(scans: int, rng: np.random.Generator) -> list[int]:
    """A patient number for every scan: each patient has one to three scans."""
    patients = max(1, round(PATIENTS_PER_SCAN * scans))
    again = rng.permutation(np.repeat(np.arange(1, patients + 1), MAX_SCANS - 1))
    numbers = [*range(1, patients + 1), *again[: scans - patients].tolist()]
    return [int(number) for number in rng.permutation(numbers)]


def _seed(seed: int, purpose: str, number: int) -> int:
    return int(generator(seed, f"{purpose} {number}").integers(2**31))


@contextmanager
def _runner(workers: int) -> Iterator[Callable[[list[Order]], Iterable[Written]]]:
    """A map over orders, in this process or several; results are in order of completion."""
    if workers == 1:
        yield lambda orders: map(write_scan, orders)
        return
    # Spawned, because OpenCV's threads do not survive a fork.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield lambda orders: (
            task.result() for task in as_completed([pool.submit(write_scan, o) for o in orders])
        )


def write_scan(order: Order) -> Written:
    """Draw and write one scan, and its boxes if it is a panoramic."""
    patient_seed = _seed(order.batch_seed, "patient", order.patient)
    if order.abnormal is None:
        phantom = draw_panoramic(order.seed, order.height, patient_seed=patient_seed)
    else:
        phantom = draw_periapical(
            order.seed, order.height, patient_seed=patient_seed, abnormal=order.abnormal
        )
    path = order.folder / order.file
    path.write_bytes(encode(phantom, order.form, order.patient_code, order.seed))
    boxes = _annotated(phantom, order.seed) if phantom.kind == "panoramic" else ()
    if phantom.kind == "panoramic":
        path.with_suffix(".txt").write_text(_yolo(boxes, phantom.pixels.shape), encoding="utf-8")
    planted = tuple(replace(item, file=order.file) for item in phantom.planted)
    return Written(order, phantom.kind, phantom.label, phantom.tooth, boxes, planted)


def _annotated(phantom: Phantom, seed: int) -> tuple[ToothBox, ...]:
    """Every abnormal tooth and some healthy ones, eight to ten in all, by FDI number."""
    rng = generator(seed, "annotated")
    healthy = [box for box in phantom.teeth if box.label == HEALTHY]
    abnormal = [box for box in phantom.teeth if box.label != HEALTHY]
    count = min(len(healthy), max(1, int(rng.integers(8, 11)) - len(abnormal)))
    weights = np.array([WEIGHTS[box.tooth % 10 - 1] for box in healthy])
    chosen = rng.choice(len(healthy), count, replace=False, p=weights / weights.sum())
    boxes = [*abnormal, *(healthy[index] for index in chosen)]
    return tuple(sorted(boxes, key=lambda box: box.tooth))


def _yolo(boxes: tuple[ToothBox, ...], shape: tuple[int, int]) -> str:
    """Lines of `class cx cy w h` in fractions of the image."""
    height, width = shape
    lines = []
    for box in boxes:
        x, y = (box.x + box.w / 2) / width, (box.y + box.h / 2) / height
        place = f"{x:.6f} {y:.6f} {box.w / width:.6f} {box.h / height:.6f}"
        lines.append(f"{CLASSES.index(box.label)} {place}\n")
    return "".join(lines)


def _write_tables(folder: Path, written: list[Written]) -> None:
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES), encoding="utf-8")
    (folder / ".about.txt").write_text(ABOUT, encoding="utf-8")
    (folder / "teeth.json").write_text(json.dumps(_coco(written)), encoding="utf-8")
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file", "patient", "label", "tooth", "bits"])
        for scan in written:
            order = scan.order
            annotation = scan.label, scan.tooth, TABLE_BITS.get(order.form)
            table.writerow([order.file, order.patient_code, *annotation])
    with (folder / ".planted.csv").open("w", newline="", encoding="utf-8") as file:
        columns = [field.name for field in fields(Planted)]
        truth = csv.DictWriter(file, columns, lineterminator="\n")
        truth.writeheader()
        truth.writerows(asdict(item) for scan in written for item in scan.planted)


def _coco(written: list[Written]) -> dict:
    """Boxes in pixels; the finding is a class, quadrant and tooth are numbered as in DENTEX."""
    drawn = [scan for scan in written if scan.boxes]
    boxes = [(scan.order.number, box) for scan in drawn for box in scan.boxes]
    return {
        "images": [{"id": scan.order.number, "file_name": scan.order.file} for scan in drawn],
        "categories": _categories(CLASSES),
        "categories_1": _categories("1234"),
        "categories_2": _categories("12345678"),
        "annotations": [
            {
                "id": number,
                "image_id": image,
                "category_id": CLASSES.index(box.label),
                "category_id_1": box.tooth // 10 - 1,
                "category_id_2": box.tooth % 10 - 1,
                "bbox": [box.x, box.y, box.w, box.h],
            }
            for number, (image, box) in enumerate(boxes)
        ],
    }


def _categories(names: Iterable[str]) -> list[dict]:
    return [{"id": number, "name": name} for number, name in enumerate(names)]


def _summary(written: list[Written]) -> BatchSummary:
    labels = Counter(box.label for scan in written for box in scan.boxes)
    labels.update(scan.label for scan in written if scan.label)
    return BatchSummary(
        scans=len(written),
        patients=len({scan.order.patient for scan in written}),
        kinds=dict(Counter(scan.kind for scan in written)),
        formats=dict(Counter(scan.order.form for scan in written)),
        planted=dict(Counter(item.kind for scan in written for item in scan.planted)),
        labels=dict(labels),
    )
