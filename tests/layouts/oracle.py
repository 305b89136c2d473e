"""Compare the boxes that this project reads with those that Datumaro and globox read.

Both write phantoms' boxes in the forms that they know, and read them again, in an environment of
their own (`other_tools/`); the same files are then read here.

python -m tests.layouts.oracle PYTHON, the interpreter of that environment; its status is 1 if
anything is read otherwise.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import cv2

from pipeline.ingest.labels.read_all import read_annotations
from pipeline.ingest.list_files import list_batch
from tests.layouts.folder import LONG_AGO, drawn

SCRIPT = Path(__file__).parent / "other_tools" / "write_and_read.py"
# By picture: class, left, top, right, bottom. The first picture is the validation side. Each side
# has every class: otherwise Datumaro does not read DOTA.
BOXES = {
    "film 1.png": [
        ["caries", 10, 20, 40, 60],
        ["crown", 50, 20, 81, 60],
        ["impacted", 90, 9, 99, 99],
    ],
    "film 2.png": [["caries", 11, 20, 41, 60]],
    "film 3.png": [["impacted", 50, 20, 80.5, 60.5], ["crown", 100, 20, 180.5, 60.5]],
    "film 4.png": [["crown", 60, 50, 90, 58]],
}
TOLERANCE = 0.02  # pixels; label files hold two to six decimals


def compare_boxes(python: Path) -> tuple[list[str], list[str]]:
    """One line for every form: how many boxes both read alike; and the differences."""
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        (folder / "images").mkdir()
        for number, name in enumerate(BOXES):
            cv2.imwrite(str(folder / "images" / name), drawn("panoramic", number))
        (folder / "boxes.json").write_text(json.dumps(BOXES), encoding="utf-8")
        subprocess.run([python, "-W", "ignore", SCRIPT, folder], check=True)
        read = json.loads((folder / "read.json").read_text(encoding="utf-8"))
        alike, differences = [], []
        for form, theirs in read.items():
            count, differing = _compare(folder / form, theirs)
            alike.append(f"{form}: {count} boxes alike")
            differences += [f"{form}: {each}" for each in differing]
        return alike, differences


def _compare(folder: Path, theirs: Iterable[list]) -> tuple[int, list[str]]:
    """How many boxes of a folder are read alike, and what is not."""
    for file in folder.rglob("*"):
        os.utime(file, (LONG_AGO, LONG_AGO))
    ours, problems = _our_boxes(folder)
    left = list(ours)
    missed = []
    for box in sorted(set(map(tuple, theirs))):
        alike = next((each for each in left if _is_alike(box, each)), None)
        if alike is None:
            missed.append(box)
        else:
            left.remove(alike)
    differences = [f"only read there: {box}" for box in missed]
    differences += [f"only read here: {box}" for box in left]
    return len(ours) - len(left), [*differences, *problems]


def _our_boxes(folder: Path) -> tuple[list[tuple], list[str]]:
    """Boxes in pixels as this project reads them, and its problems."""
    annotations = read_annotations(folder, list_batch(folder))
    boxes = []
    for path, about in annotations.by_path.items():
        name = os.fsdecode(path)
        high, wide = cv2.imread(str(folder / name)).shape[:2]
        for box in about.boxes:
            x, y = (wide, high) if box.shares else (1, 1)
            place = (box.x * x, box.y * y, box.w * x, box.h * y)
            boxes.append((Path(name).stem, box.label, *place))
    return boxes, [str(problem) for problem in annotations.problems]


def _is_alike(one: tuple, other: tuple) -> bool:
    near = (abs(a - b) <= TOLERANCE for a, b in zip(one[2:], other[2:], strict=True))
    return one[:2] == other[:2] and all(near)


if __name__ == "__main__":
    alike, differences = compare_boxes(Path(sys.argv[1]))
    print(*alike, *differences, sep="\n")
    sys.exit(bool(differences))
