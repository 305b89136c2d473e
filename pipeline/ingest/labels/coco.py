"""Read boxes from COCO files (`*.json`), with the teeth and findings of DENTEX, which extends it.

COCO lists `images` (id, file_name), `annotations` (image_id, category_id, bbox in pixels: left,
top, width, height) and `categories` (id, name). DENTEX numbers the quadrant (category_id_1), the
tooth in it (category_id_2) and the finding (category_id_3), named in categories_1 to _3.
Source: Hamamci et al., DENTEX, MICCAI 2023.
"""

import json
import os
from pathlib import Path

from pipeline.ingest.labels.annotations import Annotations, Box, read_text
from pipeline.ingest.labels.class_names import Meaning
from pipeline.ingest.labels.find_scan import Found
from pipeline.ingest.labels.teeth import FDI
from pipeline.ingest.list_files import Entry, FileList, suffix

MAX_PIXEL = 10**9  # no scan is that large
# The key of an annotation's finding, and the list that names these numbers.
FINDINGS = (("category_id", "categories"), ("category_id_3", "categories_3"))


def read_coco(folder: Path, listing: FileList, into: Annotations) -> None:
    """Read every JSON file of the batch."""
    for entry in listing.labels:
        if suffix(entry) == b".json":
            document = _document(folder, entry, into)
            if document is not None:
                _File(document, entry, into).read()


def _document(folder: Path, entry: Entry, into: Annotations) -> dict | None:
    """The content of a COCO file; None, and a problem, for any other JSON."""
    name = os.fsdecode(entry.path)
    text = read_text(folder, entry, into.problem)
    if text is None:
        into.add_file(entry.path, "unknown")
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        into.add_file(entry.path, "unknown")
        into.problem("unreadable", f"{name} line {line}", "is not JSON; its labels are missing")
        return None
    lists = ("images", "annotations")
    if not isinstance(document, dict) or not all(isinstance(document.get(k), list) for k in lists):
        into.add_file(entry.path, "unknown")
        what = "is not a COCO file, which lists `images` and `annotations`; it was not used"
        into.problem("unusable_line", name, what)
        return None
    return document


class _File:
    """Reader of one COCO file."""

    def __init__(self, document: dict, entry: Entry, into: Annotations):
        self.document, self.into = document, into
        self.name, self.path = os.fsdecode(entry.path), entry.path
        self.file = into.add_file(entry.path, "coco")
        self.names = {
            key: self._named(key) for key in ("categories", *(f"categories_{n}" for n in (1, 2, 3)))
        }
        self.readers = {key: into.class_reader(self.names[key].values()) for _, key in FINDINGS}
        # Scan of each image id; None if it is missing or ambiguous, which was reported.
        self.images: dict[int | str, bytes | None] = {}

    def read(self) -> None:
        images = self.document["images"]
        names = [image["file_name"] for image in images if _is_named(image)]
        found = self.into.finder.find(names, self.path)
        for place, image in enumerate(images, start=1):
            self._image(image, found, f"{self.name} image {place}")
        for place, annotation in enumerate(self.document["annotations"], start=1):
            self._annotation(annotation, f"{self.name} annotation {place}")

    def _named(self, key: str) -> dict[int | str, str]:
        """The names of one list of categories, by number."""
        found = self.document.get(key)
        return {
            item["id"]: str(item["name"])
            for item in (found if isinstance(found, list) else ())
            if isinstance(item, dict) and _is_id(item.get("id")) and "name" in item
        }

    def _image(self, image, found: dict[str, Found], where: str) -> None:
        if not isinstance(image, dict) or not _is_id(image.get("id")):
            self.file.add_entry("an image without `id`", matched=False)
            self.into.problem("unusable_line", where, "has no `id`; it was not used")
            return
        name = str(image.get("file_name"))
        match = found[name] if _is_named(image) else Found(None, 0)
        self.file.add_entry(name, match.path is not None)
        earlier = self.images.setdefault(image["id"], match.path)
        if earlier != match.path:
            self.images[image["id"]] = None
            what = f"id `{image['id']}` is used by another image too; none of its boxes was used"
            for path in filter(None, (earlier, match.path)):
                self.into.problem("ambiguous", where, what, path)
            return
        self.into.require_scan(name, match, where)

    def _annotation(self, annotation, where: str) -> None:
        annotation = annotation if isinstance(annotation, dict) else {}
        image = annotation.get("image_id")
        path = self.images.get(image) if _is_id(image) else None
        if path is None:
            self.file.entries += 1
            if not _is_id(image) or image not in self.images:
                self.into.problem("missing_scan", where, f"there is no image with id `{image}`")
            return
        self.file.add_entry("", matched=True)
        bbox = annotation.get("bbox")
        if not _is_box(bbox):
            what = f"bbox is `{bbox}`, not [left, top, width, height] in pixels; it was not used"
            self.into.problem("unusable_line", where, what, path)
            return
        label, tooth = self._class(annotation, where, path)
        tooth = self._tooth(annotation, where, path) or tooth
        box = Box(*map(float, bbox), False, label, tooth, where)
        self.into.of(path).boxes.append(box)

    def _class(self, annotation: dict, where: str, path: bytes) -> Meaning:
        """The finding and tooth of an annotation's category, if it has one that can be used."""
        for key, names in FINDINGS:
            number = annotation.get(key)
            if number is None:
                continue
            name = self.names[names].get(number) if _is_id(number) else None
            if name is not None:
                return self.into.class_of(self.readers[names], name, self.file, where, path)
            self.file.add_class(str(number), None)
            what = f"{key} {number} is not in `{names}`; the box is cut without a label"
            self.into.problem("unknown_class", where, what, path)
            break
        return Meaning(None, None)

    def _tooth(self, annotation: dict, where: str, path: bytes) -> int | None:
        """The FDI tooth number, if both quadrant and tooth are given."""
        numbers = [annotation.get("category_id_1"), annotation.get("category_id_2")]
        if None in numbers:
            return None
        names = [
            self.names[f"categories_{place}"].get(number) if _is_id(number) else None
            for place, number in enumerate(numbers, start=1)
        ]
        tooth = "".join(name or "?" for name in names)
        if len(tooth) == 2 and tooth.isdecimal() and int(tooth) in FDI:
            return int(tooth)
        what = f"quadrant and tooth {numbers} give `{tooth}`, not an FDI number; not used"
        self.into.problem("unusable_line", where, what, path)
        return None


def _is_named(image) -> bool:
    return isinstance(image, dict) and isinstance(image.get("file_name"), str)


def _is_id(value) -> bool:
    return isinstance(value, (int, str))


def _is_box(bbox) -> bool:
    if not isinstance(bbox, list) or len(bbox) != 4:
        return False
    if not all(isinstance(value, (int, float)) and abs(value) < MAX_PIXEL for value in bbox):
        return False  # Python's JSON accepts NaN and infinity; NaN compares false
    return bbox[2] > 0 and bbox[3] > 0
