"""Boxes in YOLO form: `NAME.txt` beside the picture, class names in `classes.txt`.

A line is `class cx cy w h`: the class as a number or a name, then the box's centre and size as
shares of the picture's width and height.
"""

import math
import os
from pathlib import Path

from pipeline.ingest.annotations import Annotations, Box, clean_label, read_lines
from pipeline.ingest.listing import Entry, Listing, suffix

CLASSES = b"classes.txt"


def read_yolo(folder: Path, listing: Listing, into: Annotations) -> list[str]:
    """Read every YOLO file into `into`; return all class names that were declared."""
    declared: dict[bytes, list[str | None]] = {}
    files = [entry for entry in listing.labels if suffix(entry) == b".txt"]
    for entry in files:
        if os.path.basename(entry.path).lower() == CLASSES:
            declared[os.path.dirname(entry.path)] = _read_classes(folder, entry, into)
    for entry in files:
        if os.path.basename(entry.path).lower() != CLASSES:
            _read_boxes(folder, entry, _classes_for(entry, declared), into)
    return sorted({name for names in declared.values() for name in names if name})


def _read_classes(folder: Path, entry: Entry, into: Annotations) -> list[str | None]:
    classes = []
    lines = read_lines(folder, entry, into.problem)
    while lines and not lines[-1].strip():
        lines.pop()
    for number, line in enumerate(lines, start=1):
        label = clean_label(line)
        if label is None:
            where = f"{os.fsdecode(entry.path)} line {number}"
            into.problem(
                "unknown_class", where, f"`{line}` is no class name; use letters, digits, _ . + -"
            )
        classes.append(label)
    return classes


def _classes_for(entry: Entry, declared: dict[bytes, list[str | None]]) -> list[str | None] | None:
    """The classes.txt of the file's own folder, else of the nearest folder above."""
    place = os.path.dirname(entry.path)
    while place not in declared:
        if not place:
            return None
        place = os.path.dirname(place)
    return declared[place]


def _read_boxes(
    folder: Path, entry: Entry, classes: list[str | None] | None, into: Annotations
) -> None:
    name = os.fsdecode(entry.path)
    scans = into.find_stem(entry.stem)
    if not scans:
        into.problem("missing_scan", name, "there is no scan of this name in the batch")
        return
    lines = [line.split() for line in read_lines(folder, entry, into.problem)]
    if classes is None and any(lines):
        into.problem(
            "unknown_class", name, "there is no classes.txt; its boxes are cut without a label"
        )
    for number, words in enumerate(lines, start=1):
        if not words:
            continue
        where = f"{name} line {number}"
        box = _box(words, classes or [], where)
        for path in scans:
            if box is None:
                what = f"`{' '.join(words)}` is not `class cx cy w h` with shares of the picture"
                into.problem("unusable_line", where, what, path)
                continue
            if box.label is None and classes is not None:
                what = f"class `{words[0]}` is not in classes.txt; the box is cut without a label"
                into.problem("unknown_class", where, what, path)
            into.of(path).boxes.append(box)


def _box(words: list[str], classes: list[str | None], where: str) -> Box | None:
    """A box from one line's words, or None when they are not a box."""
    try:
        centre_x, centre_y, w, h = (float(word) for word in words[1:])
    except ValueError:
        return None
    if not all(math.isfinite(value) for value in (centre_x, centre_y, w, h)) or w <= 0 or h <= 0:
        return None
    label = None
    if words[0].isdecimal():
        label = classes[int(words[0])] if int(words[0]) < len(classes) else None
    elif clean_label(words[0]) in classes:
        label = clean_label(words[0])
    return Box(centre_x - w / 2, centre_y - h / 2, w, h, True, label, None, where)
