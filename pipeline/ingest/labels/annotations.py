"""Annotations of scans (labels, patients, boxes) and the problems found in label files.

Four formats are read, alone or combined: YOLO (yolo.py), COCO (coco.py), tables (tables.py) and one
folder per class (folders.py). Whatever cannot be used becomes a Problem with its file and line;
nothing is dropped silently.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from pipeline.ingest.batch_folder import BatchFolder, S3Folder
from pipeline.ingest.list_files import Entry, FileList, comparable, open_below

MAX_LABEL_BYTES = 50_000_000  # of a label file; it is read whole, outside the workers
FDI = {10 * quadrant + tooth for quadrant in range(1, 5) for tooth in range(1, 9)} | {
    10 * quadrant + tooth for quadrant in range(5, 9) for tooth in range(1, 6)
}


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

    def digest(self) -> str:
        """A hash of the content; moving it to another line of its file does not change it."""
        fields = asdict(self)
        for box in fields["boxes"]:
            del box["where"]
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Problem:
    """An entry of a label file that was not used, or only in part.

    `where` and `what` may contain file names.
    """

    kind: str  # a short code; problems are counted by it
    where: str
    what: str
    path: bytes | None = None  # of the scan concerned, if any

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class Annotations:
    """Annotations by scan path, filled by the readers, and the problems found."""

    def __init__(self, listing: FileList):
        self.by_path: dict[bytes, Annotation] = {}
        self.problems: list[Problem] = []
        self._scans = {entry.path for entry in listing.pictures}
        self._names: dict[tuple[str, str], list[bytes]] = {}
        for entry in listing.pictures:
            for key in _keys_of(entry):
                self._names.setdefault(key, []).append(entry.path)

    def of(self, path: bytes) -> Annotation:
        """The annotation of a scan, created if missing."""
        return self.by_path.setdefault(path, Annotation())

    def problem(self, kind: str, where: str, what: str, path: bytes | None = None) -> None:
        self.problems.append(Problem(kind, where, what, path))
        if path is not None:
            self.of(path).problems += 1

    def find(self, name: str, below: bytes) -> list[bytes]:
        """Scans that match `name`, as written in a label file in the folder `below`."""
        name = comparable(name.replace("\\", "/").strip())
        folder = comparable(below)
        exact = self._names.get(("path", f"{folder}/{name}" if folder else name))
        return exact or self._names.get(("name", name), [])

    def find_stem(self, stem: bytes) -> list[bytes]:
        """Scans whose path without suffix is `stem`."""
        return self._names.get(("stem", comparable(stem)), [])


def _keys_of(entry: Entry) -> list[tuple[str, str]]:
    """The keys by which a scan is found: path, path without suffix, and names without folder."""
    path, stem = comparable(entry.path), comparable(entry.stem)
    names = dict.fromkeys([path, os.path.basename(path), os.path.basename(stem)])
    return [("path", path), ("stem", stem), *(("name", name) for name in names)]


def read_lines(
    folder: BatchFolder, entry: Entry, report: Callable[[str, str, str], None]
) -> list[str]:
    """The lines of a label file; none, and a problem, if it cannot be read."""
    return (read_text(folder, entry, report) or "").splitlines()


def read_text(
    folder: BatchFolder, entry: Entry, report: Callable[[str, str, str], None]
) -> str | None:
    """A label file as text; None, and a problem, if it cannot be read."""
    name = os.fsdecode(entry.path)
    if entry.size > MAX_LABEL_BYTES:
        report("unreadable", name, f"has more than {MAX_LABEL_BYTES} bytes; its labels are missing")
        return None
    try:
        if isinstance(folder, S3Folder):
            return folder.read_prefetched(entry.path).decode("utf-8-sig")
        # Opened like scans, so that no path is too long and a FIFO does not block.
        descriptor = open_below(os.fsencode(folder), entry.path, os.O_RDONLY, follow_links=True)
        with open(descriptor, "rb") as file:
            return file.read(MAX_LABEL_BYTES).decode("utf-8-sig")
    except OSError as error:
        report("unreadable", name, f"cannot be read ({error.strerror}); its labels are missing")
    except UnicodeDecodeError:
        report("unreadable", name, "is not UTF-8 text; save it as UTF-8, its labels are missing")
    return None
