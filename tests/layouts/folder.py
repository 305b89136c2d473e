"""Write one layout: tiny phantoms, label files in several forms, and what lies beside them."""

import functools
import json
import os
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np

from pipeline.phantoms.panoramic import draw_panoramic
from pipeline.phantoms.periapical import draw_periapical
from tests.builders.dicom_files import dicom_file
from tests.builders.label_forms import Example

LONG_AGO = 1_700_000_000  # files as old as this are not watched for growing
BOX = "0 0.5 0.5 0.1 0.2\n"  # class 0 in the middle
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


@functools.cache
def drawn(kind: str, seed: int) -> np.ndarray:
    """Pixels of one phantom, uint8."""
    draw = draw_panoramic if kind == "panoramic" else draw_periapical
    return np.rint(draw(seed % 4, 120).pixels * (255 / 4095)).astype(np.uint8)


class Folder:
    """A folder to fill; every scan has other bytes."""

    def __init__(self, root: Path):
        self.root = root
        self._count = 0

    def panoramic(self, *paths: str) -> None:
        for path in paths:
            self._scan("panoramic", path)

    def periapical(self, *paths: str) -> None:
        for path in paths:
            self._scan("periapical", path)

    def _scan(self, kind: str, path: str) -> None:
        self._count += 1
        pixels = drawn(kind, self._count).copy()
        pixels[0, 0] = self._count  # two files of one phantom are no duplicates
        self.pixels(path, pixels)

    def pixels(self, path: str, pixels: np.ndarray) -> None:
        """Write pixels in the format of the suffix."""
        self.bytes(path, cv2.imencode(Path(path).suffix, pixels)[1].tobytes())

    def dicom(self, path: str, **elements) -> None:
        """Write a DICOM file with these elements, such as `PatientID`."""
        self._count += 1
        pixels = drawn("periapical", self._count).copy()
        pixels[0, 0] = self._count
        self.bytes(path, dicom_file(pixels, Modality="IO", **elements))

    def mask(self, path: str) -> None:
        """Write a mask: two grey levels."""
        pixels = np.zeros((120, 240), np.uint8)
        pixels[40:80, 60:120] = 255
        self.pixels(path, pixels)

    def text(self, path: str, *lines: str) -> None:
        self.bytes(path, "".join(line if line[-1:] == "\n" else f"{line}\n" for line in lines))

    def bytes(self, path: str, content: bytes | str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    def coco(self, path: str, names: Sequence[str], **more) -> None:
        """Write a COCO file with one caries for every image."""
        images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
        boxes = [
            {"id": n, "image_id": n, "category_id": 0, "bbox": [60, 40, 30, 30]} | more
            for n in range(len(names))
        ]
        found = {"images": images, "annotations": boxes}
        self.text(path, json.dumps(found | {"categories": [{"id": 0, "name": "Caries"}]}))

    def dentex(self, path: str, names: Sequence[str], keys: Iterable[int]) -> None:
        """Write a file of DENTEX whose annotations have these of its three categories."""
        lists = {1: [*"1234"], 2: [*"12345678"], 3: ["Impacted", "Caries"]}
        self.coco(path, names)
        found = json.loads((self.root / path).read_text())
        del found["categories"]
        for box in found["annotations"]:
            del box["category_id"]
            box |= {f"category_id_{key}": 1 for key in keys}
        for key in keys:
            found[f"categories_{key}"] = [
                {"id": n, "name": name} for n, name in enumerate(lists[key])
            ]
        self.text(path, json.dumps(found))

    def example(self, example: Example) -> None:
        """Write a delivery in one form of label file."""
        self.panoramic(*example.scans)
        for path, text in example.files.items():
            self.text(path, text)

    def yolo(self, *paths: str, lines: str = BOX) -> None:
        for path in paths:
            self.bytes(path, lines)

    def zip(self, path: str) -> None:
        self.bytes(path, b"")
        with zipfile.ZipFile(self.root / path, "w") as archive:
            archive.writestr("scan.png", b"x")

    def age(self) -> None:
        """Make every file old, so that none counts as still being written."""
        for file in self.root.rglob("*"):
            os.utime(file, (LONG_AGO, LONG_AGO))
