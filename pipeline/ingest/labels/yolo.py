"""Read boxes from YOLO files: `NAME.txt` per image, class names in `classes.txt` or `data.yaml`.

NAME.txt is in the image's folder, or is labels/x.txt for images/x.jpg. A line is `class cx cy w h`:
the class as a number or a name, then the box's centre and size as fractions of the image's width
and height. A data.yaml holds `names`, as a list or by number, and may state their count as `nc`.
"""

import math
import os
from pathlib import Path

import yaml

from pipeline.ingest.labels.annotations import Annotations, Box, read_lines, read_text
from pipeline.ingest.list_files import Entry, FileList, picture_stems, suffix
from pipeline.labels import clean_label

CLASSES = b"classes.txt"
MAX_CLASSES = 10_000
# PyYAML does not check the values of tags: `!!bool x` is a KeyError, `!!int ""` an IndexError,
# `!!timestamp x` an AttributeError.
YAML_ERRORS = (
    yaml.YAMLError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    OverflowError,
    RecursionError,
)


def read_yolo(folder: Path, listing: FileList, into: Annotations) -> list[str]:
    """Read every YOLO file into `into`; return all declared class names."""
    declared: dict[bytes, list[str | None]] = {}
    for entry in listing.labels:
        if suffix(entry) in (b".yaml", b".yml"):
            classes = _read_yaml(folder, entry, into)
            if classes is not None:
                declared[os.path.dirname(entry.path)] = classes
    files = [entry for entry in listing.labels if suffix(entry) == b".txt"]
    for entry in files:
        if os.path.basename(entry.path).lower() == CLASSES:
            declared[os.path.dirname(entry.path)] = _read_classes(folder, entry, into)
    for entry in files:
        if os.path.basename(entry.path).lower() != CLASSES:
            _read_boxes(folder, entry, _classes_for(entry, declared), into)
    return sorted({name for names in declared.values() for name in names if name})


def _read_classes(folder: Path, entry: Entry, into: Annotations) -> list[str | None]:
    lines = read_lines(folder, entry, into.problem)
    while lines and not lines[-1].strip():
        lines.pop()
    name = os.fsdecode(entry.path)
    return [
        _class(line, f"{name} line {number}", into) for number, line in enumerate(lines, start=1)
    ]


def _class(text: str, where: str, into: Annotations) -> str | None:
    label = clean_label(text)
    if label is None:
        what = f"`{text}` is not a class name; use letters, digits, _ . + -"
        into.problem("unknown_class", where, what)
    return label


def _read_yaml(folder: Path, entry: Entry, into: Annotations) -> list[str | None] | None:
    """The class names of a data.yaml by number; None, and a problem, if it has none."""
    where = os.fsdecode(entry.path)
    text = read_text(folder, entry, into.problem)
    if text is None:
        return None
    try:
        # Aliases of aliases grow ninefold a level: 300 bytes took seconds, 400 take minutes.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            into.problem("unreadable", where, "has aliases (*name); write its class names out")
            return None
        document = yaml.safe_load(text)
    except YAML_ERRORS:
        into.problem("unreadable", where, "is not YAML; its class names are missing")
        return None
    names = document.get("names") if isinstance(document, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not all(
        isinstance(number, int) and 0 <= number < MAX_CLASSES for number in names
    ):
        what = "has no `names`, a list of class names or names by number; it was not used"
        into.problem("unusable_line", where, what)
        return None
    if document.get("nc") not in (None, len(names)):
        count = _scalar(document["nc"])
        what = f"nc is {count}, but {len(names)} names are listed; the names were used"
        into.problem("unusable_line", where, what)
    classes: list[str | None] = [None] * (max(names, default=-1) + 1)
    for number, name in names.items():
        classes[number] = _class(_scalar(name), where, into)
    return classes


def _scalar(value: object) -> str:
    """A string or number as text; `<its type>`, which is not a valid class name, for anything else.

    Python refuses to format a number of 5,000 digits.
    """
    if isinstance(value, str | float) or (isinstance(value, int) and value.bit_length() < 64):
        return str(value)
    return f"<{type(value).__name__}>"


def _classes_for(entry: Entry, declared: dict[bytes, list[str | None]]) -> list[str | None] | None:
    """The class names of the file's folder, else of the nearest folder above."""
    folder = os.path.dirname(entry.path)
    while folder not in declared:
        if not folder:
            return None
        folder = os.path.dirname(folder)
    return declared[folder]


def _read_boxes(
    folder: Path, entry: Entry, classes: list[str | None] | None, into: Annotations
) -> None:
    name = os.fsdecode(entry.path)
    scans = next(filter(None, map(into.find_stem, picture_stems(entry))), [])
    if not scans:
        into.problem("missing_scan", name, "there is no scan of this name in the batch")
        return
    lines = [line.split() for line in read_lines(folder, entry, into.problem)]
    if classes is None and any(lines):
        into.problem(
            "unknown_class", name, "there is no classes.txt or data.yaml; its boxes have no label"
        )
    for number, values in enumerate(lines, start=1):
        if not values:
            continue
        where = f"{name} line {number}"
        box = _box(values, classes or [], where)
        for path in scans:
            if box is None:
                what = f"`{' '.join(values)}` is not `class cx cy w h` in fractions of the image"
                into.problem("unusable_line", where, what, path)
                continue
            if box.label is None and classes is not None:
                what = f"class `{values[0]}` is unknown; the box is cut without a label"
                into.problem("unknown_class", where, what, path)
            into.of(path).boxes.append(box)


def _box(values: list[str], classes: list[str | None], where: str) -> Box | None:
    """The box of one line, or None if the line is malformed."""
    try:
        centre_x, centre_y, w, h = map(float, values[1:])
    except ValueError:
        return None
    if not all(math.isfinite(value) for value in (centre_x, centre_y, w, h)) or w <= 0 or h <= 0:
        return None
    label = _label(values[0], classes)
    return Box(centre_x - w / 2, centre_y - h / 2, w, h, True, label, None, where)


def _label(text: str, classes: list[str | None]) -> str | None:
    """The class with this name or number; None if there is none."""
    if not text.isdecimal():
        label = clean_label(text)
        return label if label in classes else None
    try:
        number = int(text)
    except ValueError:  # more than 4,300 digits
        return None
    return classes[number] if number < len(classes) else None
