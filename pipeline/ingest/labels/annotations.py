"""Annotations of scans (labels, patients, boxes) and the problems found in label files.

Four formats are read, alone or combined: YOLO (yolo.py), COCO (coco.py), tables (tables.py) and one
folder per class (folders.py); read_all.py calls them. Whatever cannot be used becomes a Problem
with its file and line; nothing is dropped silently.
"""

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import MISSING, Field, dataclass, field, fields

from pipeline.ingest.batch_folder import BatchFolder, S3Folder
from pipeline.ingest.labels.class_names import (
    ClassReader,
    LabelSettings,
    Meaning,
    class_names_line,
)
from pipeline.ingest.labels.find_scan import Found, ScanFinder
from pipeline.ingest.labels.label_file import LabelFile
from pipeline.ingest.labels.problems import Problem
from pipeline.ingest.labels.teeth import ToothReader
from pipeline.ingest.list_files import Entry, FileList, open_below
from pipeline.labels import clean_label

MAX_LABEL_BYTES = 50_000_000  # of a label file; it is read whole, outside the workers
# In every digest, even when they are not set: those of the first version.
FIRST_FIELDS = {"label", "patient", "tooth", "bits", "problems"}
FIRST_BOX_FIELDS = {"x", "y", "w", "h", "shares", "label", "tooth"}
NOT_CONTENT = {"boxes", "where"}


@dataclass(frozen=True)
class Box:
    """An annotated box: left, top, width, height in pixels or as fractions of the image."""

    x: float
    y: float
    w: float
    h: float
    shares: bool
    label: str | None
    tooth: int | None
    where: str  # file and line, for messages


@dataclass
class Annotation:
    """The annotation of one scan, from all label files of its batch."""

    label: str | None = None
    patient: str | None = None
    tooth: int | None = None
    bits: int | None = None
    boxes: list[Box] = field(default_factory=list)
    problems: int = 0  # lines about this scan that could not be used
    # Labels that earlier versions stored for classes that are teeth; withdrawn where they are in
    # force.
    no_findings: list[str] = field(default_factory=list)

    def digest(self) -> str:
        """A hash of the content; moving it to another line of its file does not change it.

        Fields that later versions add count only when they are set: otherwise every scan of every
        batch would be delivered again.
        """
        content = _set_fields(self, FIRST_FIELDS) | {
            "boxes": [_set_fields(box, FIRST_BOX_FIELDS) for box in self.boxes]
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _set_fields(of: Annotation | Box, always: set[str]) -> dict:
    """The fields of the first version, and the later ones that differ from their default."""
    return {
        each.name: value
        for each in fields(of)
        if each.name not in NOT_CONTENT
        and ((value := getattr(of, each.name)) != _default(each) or each.name in always)
    }


def _default(of: Field):
    return of.default if of.default_factory is MISSING else of.default_factory()


class Annotations:
    """Annotations by scan path, filled by the readers, and what the label files contain.

    Names in label files never mean a mask.
    """

    def __init__(self, listing: FileList, settings: LabelSettings | None = None):
        self.settings = settings or LabelSettings()
        self.declared: Collection[str] = ()  # the only labels allowed, if any
        self.by_path: dict[bytes, Annotation] = {}
        self.problems: list[Problem] = []
        self.notices: list[Problem] = []  # nothing is lost, but a setting may be meant
        self.files: list[LabelFile] = []
        self.empty: list[tuple[bytes, str]] = []  # scans with an empty YOLO file, and its name
        self.finder = ScanFinder(entry.path for entry in listing.pictures)

    def of(self, path: bytes) -> Annotation:
        """The annotation of a scan, created if missing."""
        return self.by_path.setdefault(path, Annotation())

    def problem(self, kind: str, where: str, what: str, path: bytes | None = None) -> None:
        self.problems.append(Problem(kind, where, what, path))
        if path is not None:
            self.of(path).problems += 1

    def notice(self, kind: str, where: str, what: str) -> None:
        self.notices.append(Problem(kind, where, what))

    def class_reader(self, written: Iterable[str]) -> ClassReader:
        """A reader of class names, given all that are written in one label file."""
        return ClassReader(written, self.settings, self.declared)

    def class_of(
        self, reader: ClassReader, name: str, file: LabelFile, where: str, *paths: bytes
    ) -> Meaning:
        """The meaning of the class of one line about these scans; counts it in `file`.

        A class that cannot be used is a problem of each scan, and reported once for all lines.
        """
        meaning, is_finding = reader.read(name), reader.is_finding(name)
        if not is_finding:
            self._notice_teeth(reader, name, file)
            label = clean_label(name)
            for about in map(self.of, paths):
                if label and label not in about.no_findings:
                    about.no_findings = sorted([*about.no_findings, label])
        if meaning is not None:
            file.add_class(name, meaning.label, is_tooth=not is_finding)
            return meaning
        file.add_class(name, None)
        self.unknown_class(reader, name, reader.problem(name), where, *paths)
        return Meaning(None, None)

    def unknown_class(
        self, reader: ClassReader, name: str, what: str, where: str, *paths: bytes
    ) -> None:
        """Report a class of one line about these scans; of later lines, only their number."""
        for path in paths:
            self.of(path).problems += 1
            if name in reader.problems:
                reader.problems[name].lines += 1
                continue
            reader.problems[name] = Problem("unknown_class", where, what, path)
            self.problems.append(reader.problems[name])

    def _notice_teeth(self, reader: ClassReader, name: str, file: LabelFile) -> None:
        if reader.is_reported:
            return
        reader.is_reported = True
        where = os.fsdecode(file.path) or "."
        if reader.teeth.kind == "other":
            what = f"its classes, such as `{name}`, look like teeth in another notation than the "
            what += "setting `numbering`; none was used"
            self.notice("numbering", where, what)
        else:
            what = f"its classes, such as `{name}`, are teeth or quadrants and so no findings; if "
            what += f"they are findings, map them in dental.toml: {class_names_line(name)}"
            self.notice("tooth_classes", where, what)

    def tooth_reader(self, written: Iterable[str], where: str) -> ToothReader:
        """A reader of tooth numbers, given all that are written in one label file, `where`."""
        reader = ToothReader(written, self.settings.numbering)
        if reader.is_other:
            what = "has teeth in another notation than the setting `numbering`; none was used"
            self.notice("numbering", where, what)
        return reader

    def add_file(self, path: bytes, form: str, files: int = 1) -> LabelFile:
        """Count a label file, to be filled by its reader."""
        self.files.append(LabelFile(path, form, files))
        return self.files[-1]

    def require_scan(self, name: str, found: Found, where: str) -> bytes | None:
        """The scan that `name` means; None, and a problem, if there is not exactly one."""
        if found.path is not None:
            return found.path
        what = f"there is no scan `{name}` in the batch"
        if found.count:
            what = f"`{name}` matches {found.count} scans of the batch; write the path of one"
        if found.count == 1:
            what = f"`{name}` and another name may both mean one scan; write its path"
        self.problem("ambiguous" if found.count else "missing_scan", where, what)
        return None


def read_lines(
    folder: BatchFolder, entry: Entry, report: Callable[[str, str, str], None]
) -> list[str]:
    """The lines of a label file; none, and a problem, if it cannot be read."""
    return (read_text(folder, entry, report) or "").splitlines()


def read_text(
    folder: BatchFolder, entry: Entry, report: Callable[[str, str, str], None]
) -> str | None:
    """A label file as text; None, and a problem, if it cannot be read."""
    data = read_bytes(folder, entry, report)
    try:
        return None if data is None else data.decode("utf-8-sig")
    except UnicodeDecodeError:
        what = "is not UTF-8 text; save it as UTF-8, its labels are missing"
        report("unreadable", os.fsdecode(entry.path), what)
    return None


def read_bytes(
    folder: BatchFolder, entry: Entry, report: Callable[[str, str, str], None]
) -> bytes | None:
    """The content of a label file; None, and a problem, if it cannot be read."""
    name = os.fsdecode(entry.path)
    if entry.size > MAX_LABEL_BYTES:
        report(
            "unreadable",
            name,
            f"has more than {MAX_LABEL_BYTES} bytes; split it, its labels are missing",
        )
        return None
    try:
        if isinstance(folder, S3Folder):
            return folder.read_prefetched(entry.path)
        # Opened like scans, so that no path is too long and a FIFO does not block.
        descriptor = open_below(os.fsencode(folder), entry.path, os.O_RDONLY, follow_links=True)
        with open(descriptor, "rb") as file:
            return file.read(MAX_LABEL_BYTES)
    except OSError as error:
        report("unreadable", name, f"cannot be read ({error.strerror}); its labels are missing")
    return None
