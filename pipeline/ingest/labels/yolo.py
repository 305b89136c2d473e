"""Read boxes from YOLO files: `NAME.txt` per image, class names in `classes.txt` or `data.yaml`.

NAME.txt is in the image's folder, or in `labels` beside `images`, with a split such as `train`
above or below both. In other layouts its image is looked for by name (find_scan.py). A line is
`class cx cy w h`: the class as a number or a name, then the box's centre and size as fractions of
the image's width and height. A data.yaml holds `names`, as a list or by number, and may state their
count as `nc`.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path

import yaml

from pipeline.ingest.labels.annotations import Annotations, Box, read_lines, read_text
from pipeline.ingest.labels.class_names import Meaning
from pipeline.ingest.labels.find_scan import Match, settle
from pipeline.ingest.labels.label_file import LabelFile
from pipeline.ingest.labels.problems import Problem
from pipeline.ingest.list_files import Entry, FileList, suffix

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


class _Classes:
    """The class names that one file declares, by number; an empty one for a missing number."""

    def __init__(self, names: list[str], where: list[str], into: Annotations):
        self.names = names
        self.reader = into.class_reader(filter(None, names))
        self.labels = {meaning.label for name in names if (meaning := self.reader.read(name))}
        for name, place in zip(names, where, strict=True):
            if place and self.reader.is_finding(name) and self.reader.read(name) is None:
                problem = Problem("unknown_class", place, self.reader.problem(name))
                self.reader.problems[name] = problem
                into.problems.append(problem)

    def name_of(self, text: str) -> str | None:
        """The class name with this number or, in any spelling, this name; None if there is none."""
        if not text.isdecimal():
            meaning = self.reader.read(text)
            return text if meaning and meaning.label in self.labels - {None} else None
        try:
            number = int(text)
        except ValueError:  # more than 4,300 digits
            return None
        return self.names[number] or None if number < len(self.names) else None


def read_yolo(folder: Path, listing: FileList, into: Annotations) -> list[str]:
    """Read every YOLO file into `into`; return all declared labels."""
    declared: dict[bytes, _Classes] = {}
    for entry in listing.labels:
        if suffix(entry) in (b".yaml", b".yml"):
            classes = _read_yaml(folder, entry, into)
            if classes is not None:
                declared[os.path.dirname(entry.path)] = classes
    files = [entry for entry in listing.labels if suffix(entry) == b".txt"]
    for entry in files:
        if os.path.basename(entry.path).lower() == CLASSES:
            declared[os.path.dirname(entry.path)] = _read_classes(folder, entry, into)
    boxes = [entry for entry in files if os.path.basename(entry.path).lower() != CLASSES]
    scans = _pair(boxes, into)
    homes: dict[bytes, LabelFile] = {}
    for entry in boxes:
        home = os.path.dirname(entry.path)
        homes[home] = homes.get(home) or into.add_file(home, "yolo", files=0)
        text = read_text(folder, entry, into.problem)
        lines = [line.split() for line in (text or "").splitlines()]
        about = _File(entry, scans[entry.path], _classes_for(entry, declared), homes[home])
        about.read(lines, is_read=text is not None, into=into)
    return sorted(set().union(*(classes.labels for classes in declared.values())) - {None})


def _read_classes(folder: Path, entry: Entry, into: Annotations) -> _Classes:
    lines = read_lines(folder, entry, into.problem)
    while lines and not lines[-1].strip():
        lines.pop()
    name = os.fsdecode(entry.path)
    where = [f"{name} line {number}" for number in range(1, len(lines) + 1)]
    return _Classes([line.strip() for line in lines], where, into)


def _read_yaml(folder: Path, entry: Entry, into: Annotations) -> _Classes | None:
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
    classes = [""] * (max(names, default=-1) + 1)
    for number, name in names.items():
        classes[number] = _scalar(name)
    return _Classes(
        classes, [where if number in names else "" for number in range(len(classes))], into
    )


def _scalar(value: object) -> str:
    """A string or number as text; `<its type>`, which is not a valid class name, for anything else.

    Python refuses to format a number of 5,000 digits.
    """
    if isinstance(value, str | float) or (isinstance(value, int) and value.bit_length() < 64):
        return str(value)
    return f"<{type(value).__name__}>"


def _classes_for(entry: Entry, declared: dict[bytes, _Classes]) -> _Classes | None:
    """The class names of the file's folder, else of the nearest folder above."""
    folder = os.path.dirname(entry.path)
    while folder not in declared:
        if not folder:
            return None
        folder = os.path.dirname(folder)
    return declared[folder]


def _pair(files: list[Entry], into: Annotations) -> dict[bytes, list[bytes]]:
    """The scans of every YOLO file: all at its place (x.jpg and x.dcm), else one by its name.

    A file whose image folder is there but lacks its image has none; that of another split is not
    its image.
    """
    pairs: dict[bytes, list[bytes]] = {}
    unpaired: dict[bytes, Match] = {}
    for entry in files:
        beside, *in_images = _image_stems(entry)
        scans = next(filter(None, map(into.finder.at_stem, (beside, *in_images))), [])
        homes = {os.path.dirname(stem) for stem in in_images or [beside]}
        if scans:
            pairs[entry.path] = scans
        elif any(map(into.finder.has_scans_in, homes)):
            unpaired[entry.path] = Match([], complete=False)
        else:
            unpaired[entry.path] = into.finder.find_beside(_name_of(entry), entry.path)
    claimed = {scan for scans in pairs.values() for scan in scans}
    found = settle(unpaired, {path: path for path in unpaired}, claimed)
    for entry in files:
        if entry.path in found:
            where = os.fsdecode(entry.path)
            scan = into.require_scan(_name_of(entry), found[entry.path], where)
            pairs[entry.path] = [] if scan is None else [scan]
    return pairs


def _image_stems(entry: Entry) -> list[bytes]:
    """Paths without suffix of the images that a .txt may belong to.

    In the same folder, or as training tools arrange them: images/train/x.jpg or train/images/x.jpg
    for labels/train/x.txt and for train/labels/x.txt.
    """
    parts = entry.stem.split(b"/")
    for place in reversed(range(len(parts) - 1)):
        if parts[place].lower() == b"labels":
            above, below, images = parts[:place], parts[place + 1 :], [b"images"]
            stems = [above + images + below]
            if len(below) > 1:
                stems.append(above + below[:1] + images + below[1:])
            if above:
                stems.append(above[:-1] + images + above[-1:] + below)
            return [entry.stem, *map(b"/".join, stems)]
    return [entry.stem]


def _name_of(entry: Entry) -> str:
    """The image of a YOLO file: `train/x` for labels/train/x.txt, else `x`."""
    parts = os.fsdecode(entry.stem).split("/")
    folders = [part.lower() for part in parts[:-1]]
    below = len(parts) - folders[::-1].index("labels") - 1 if "labels" in folders else -1
    return "/".join(parts[below:])


@dataclass
class _File:
    """One YOLO file and the scans that it is about."""

    entry: Entry
    scans: list[bytes]
    classes: _Classes | None  # None if none are declared
    counts: LabelFile

    def read(self, lines: list[list[str]], is_read: bool, into: Annotations) -> None:
        name = os.fsdecode(self.entry.path)
        self.counts.files += 1
        if is_read and not any(lines):
            self.counts.empty_files += 1
            into.notice("empty_file", name, "has no line")
            into.empty.extend((scan, name) for scan in self.scans)
        if self.classes is None and any(lines) and self.scans:
            what = "there is no classes.txt or data.yaml; its boxes have no label"
            into.problem("unknown_class", name, what)
        for number, values in enumerate(lines, start=1):
            if values:
                self.counts.add_entry(name, bool(self.scans))
                self._read_line(values, f"{name} line {number}", into)

    def _read_line(self, values: list[str], where: str, into: Annotations) -> None:
        place = _place(values)
        if place is None:
            for path in self.scans:
                what = f"`{' '.join(values)}` is not `class cx cy w h` in fractions of the image"
                into.problem("unusable_line", where, what, path)
            return
        label, tooth = self._class(values[0], where, into)
        for path in self.scans:
            into.of(path).boxes.append(Box(*place, True, label, tooth, where))

    def _class(self, text: str, where: str, into: Annotations) -> Meaning:
        name = self.classes.name_of(text) if self.classes else None
        if self.classes and name is not None:
            return into.class_of(self.classes.reader, name, self.counts, where, *self.scans)
        self.counts.add_class(text, None)
        if self.classes:
            what = f"class `{text}` has no name; the box is cut without a label"
            into.unknown_class(self.classes.reader, text, what, where, *self.scans)
        return Meaning(None, None)


def _place(values: list[str]) -> tuple[float, float, float, float] | None:
    """Left, top, width and height in the line of a box; None if it is malformed."""
    try:
        centre_x, centre_y, w, h = map(float, values[1:])
    except ValueError:
        return None
    if not all(math.isfinite(value) for value in (centre_x, centre_y, w, h)) or w <= 0 or h <= 0:
        return None
    return centre_x - w / 2, centre_y - h / 2, w, h
