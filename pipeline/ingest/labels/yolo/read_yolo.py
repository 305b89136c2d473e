"""Read boxes from YOLO files: `NAME.txt` for each image, with classes by number or name.

NAME.txt is in the image's folder, or in `labels` beside `images`, with a split such as `train`
above or below both; DOTA's `labelTxt` counts as `labels`. In other layouts its image is looked for
by name (pair_scans.py). Lines are described in lines.py, and the files that name classes in
class_files.py.
"""

import os
from collections.abc import Iterable

from pipeline.ingest.batch_folder import BatchFolder
from pipeline.ingest.labels.annotations import Annotations, Box, read_text
from pipeline.ingest.labels.class_names import Meaning
from pipeline.ingest.labels.problems import Problem
from pipeline.ingest.labels.yolo.class_files import (
    Classes,
    classes_for,
    declared_classes,
    undeclared_classes,
)
from pipeline.ingest.labels.yolo.lines import Line, is_header, read_line
from pipeline.ingest.labels.yolo.pair_scans import pair_scans
from pipeline.ingest.list_files import Entry, FileList, is_class_list, suffix

FORMS = "`class cx cy w h`, a polygon, an oriented box or a pose, in fractions of the image"
MOST_SHOWN = 100  # characters of a line in a problem; polygons have thousands


def read_yolo(folder: BatchFolder, listing: FileList, into: Annotations) -> list[str]:
    """Read every YOLO file into `into`; return all declared labels."""
    declared = declared_classes(folder, listing.labels, into)
    texts = (e for e in listing.labels if suffix(e) == b".txt" and not is_class_list(e))
    files = [entry for entry in texts if entry.path not in listing.text_tables]
    scans = pair_scans(files, into)
    homes: dict[bytes, list[Entry]] = {}
    for entry in files:
        homes.setdefault(os.path.dirname(entry.path), []).append(entry)
    for home, entries in homes.items():
        _Folder(home, scans, declared, into).read(folder, entries)
    return sorted(set().union(*(classes.labels for classes in declared.values())))


class _Folder:
    """Reader of the YOLO files of one folder, which are counted together."""

    def __init__(
        self,
        home: bytes,
        scans: dict[bytes, list[bytes]],
        declared: dict[bytes, Classes],
        into: Annotations,
    ):
        self.scans, self.declared, self.into = scans, declared, into
        self.file = into.add_file(home, "yolo", files=0)
        self.in_dota = any(part.startswith(b"labeltxt") for part in home.lower().split(b"/"))
        self.nameless: Problem | None = None  # numbers without any names of classes

    def read(self, folder: BatchFolder, entries: list[Entry]) -> None:
        """Read these files."""
        texts = {entry: read_text(folder, entry, self.into.problem) for entry in entries}
        classes = classes_for(entries[0], self.declared)
        key_points = classes.key_points if classes else None
        if classes is None:
            lines = (line for text in texts.values() for _, line in _lines(text or ""))
            read = (read_line(line, None, self.in_dota) for line in lines)
            classes = undeclared_classes((line.written for line in read if line), self.into)
        for entry, text in texts.items():
            self._count(entry, text)
            for number, line in _lines(text or ""):
                where = f"{os.fsdecode(entry.path)} line {number}"
                self._line(line, read_line(line, key_points, self.in_dota), classes, entry, where)

    def _count(self, entry: Entry, text: str | None) -> None:
        self.file.files += 1
        if text is not None and not any(_lines(text)):
            name = os.fsdecode(entry.path)
            self.file.empty_files += 1
            self.into.notice("empty_file", name, "has no line")
            self.into.empty.extend((scan, name) for scan in self.scans[entry.path])

    def _line(
        self, text: str, line: Line | None, classes: Classes, entry: Entry, where: str
    ) -> None:
        scans = self.scans[entry.path]
        self.file.add_entry(os.fsdecode(entry.path), bool(scans))
        if line is None:
            for path in scans:
                what = f"`{text[:MOST_SHOWN]}` is not {FORMS}"
                self.into.problem("unusable_line", where, what, path)
            return
        label, tooth = self._class(line.written, classes, where, scans)
        for path in scans:
            box = Box(*line.place, line.shares, label, tooth, where)
            self.into.of(path).boxes.append(box)

    def _class(self, written: str, classes: Classes, where: str, scans: list[bytes]) -> Meaning:
        name = classes.name_of(written)
        if name is not None:
            return self.into.class_of(classes.reader, name, self.file, where, *scans)
        self.file.add_class(written, None)
        if not classes.are_declared:
            self._report_nameless(where, scans)
        else:
            what = f"class `{written}` has no name; the box is cut without a label"
            self.into.unknown_class(classes.reader, written, what, where, *scans)
        return Meaning(None, None)

    def _report_nameless(self, where: str, scans: list[bytes]) -> None:
        if not scans:
            return
        if self.nameless is None:
            what = "no classes.txt, data.yaml or obj.names names its class; it has no label"
            self.nameless = Problem("unknown_class", where, what)
            self.into.problems.append(self.nameless)
        else:
            self.nameless.lines += 1


def _lines(text: str) -> Iterable[tuple[int, str]]:
    """The lines with a box, and their numbers."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not is_header(line):
            yield number, line.strip()
