"""Labels, patients and boxes that come with a batch, gathered per scan.

Four forms are read, alone or together: YOLO (yolo.py), COCO (coco.py), tables (tables.py) and one
folder per class (folders.py). Whatever cannot be used becomes a Problem with its file and line;
nothing is dropped in silence.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from pipeline.ingest.batch_folder import BatchFolder, S3Folder
from pipeline.ingest.list_files import Entry, FileList, comparable, open_below

LARGEST = 50_000_000  # bytes of a label file; it is read whole, outside the workers
FDI = {10 * quadrant + tooth for quadrant in range(1, 5) for tooth in range(1, 9)} | {
    10 * quadrant + tooth for quadrant in range(5, 9) for tooth in range(1, 6)
}


@dataclass(frozen=True)
class Box:
    """An annotated box: left, top, width, height in pixels, or as shares of the picture."""

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
    """What was delivered about one scan."""

    label: str | None = None
    patient: str | None = None
    tooth: int | None = None
    bits: int | None = None
    boxes: list[Box] = field(default_factory=list)
    problems: int = 0  # lines about this scan that could not be used

    def digest(self) -> str:
        """Changes when anything that was said changes, not when it moves to another line."""
        said = asdict(self)
        for box in said["boxes"]:
            del box["where"]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Problem:
    """A line that could not be used. `where` and `what` may name delivered files."""

    kind: str  # a short word to count by
    where: str
    what: str
    path: bytes | None = None  # of the scan it is about, when there is one

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class Annotations:
    """Annotations by scan path, while they are being read, and the problems met."""

    def __init__(self, listing: FileList):
        self.by_path: dict[bytes, Annotation] = {}
        self.problems: list[Problem] = []
        self._scans = {entry.path for entry in listing.scans}
        self._names: dict[tuple[str, str], list[bytes]] = {}
        for entry in listing.scans:
            for key in _keys_of(entry):
                self._names.setdefault(key, []).append(entry.path)

    def of(self, path: bytes) -> Annotation:
        """The annotation of a scan, made when missing."""
        return self.by_path.setdefault(path, Annotation())

    def problem(self, kind: str, where: str, what: str, path: bytes | None = None) -> None:
        self.problems.append(Problem(kind, where, what, path))
        if path is not None:
            self.of(path).problems += 1

    def find(self, name: str, below: bytes) -> list[bytes]:
        """Scans that `name` may mean, as written in a table in the folder `below`."""
        wanted = comparable(name.replace("\\", "/").strip())
        folder = comparable(below)
        exact = self._names.get(("path", f"{folder}/{wanted}" if folder else wanted))
        return exact or self._names.get(("name", wanted), [])

    def find_stem(self, stem: bytes) -> list[bytes]:
        """Scans whose path without suffix is `stem`."""
        return self._names.get(("stem", comparable(stem)), [])


def _keys_of(entry: Entry) -> list[tuple[str, str]]:
    """What a scan is looked up by: its path, its path without suffix, names in tables."""
    path, stem = comparable(entry.path), comparable(entry.stem)
    names = dict.fromkeys([path, os.path.basename(path), os.path.basename(stem)])
    return [("path", path), ("stem", stem), *(("name", name) for name in names)]


def read_lines(
    folder: BatchFolder, entry: Entry, complain: Callable[[str, str, str], None]
) -> list[str]:
    """Lines of a label file; an unreadable one is a problem, not an end."""
    return (read_text(folder, entry, complain) or "").splitlines()


def read_text(
    folder: BatchFolder, entry: Entry, complain: Callable[[str, str, str], None]
) -> str | None:
    """A label file as text; None when it cannot be read, which is told."""
    name = os.fsdecode(entry.path)
    if entry.size > LARGEST:
        complain("unreadable", name, f"has more than {LARGEST} bytes; its labels are missing")
        return None
    try:
        if isinstance(folder, S3Folder):
            return folder.read_kept(entry.path).decode("utf-8-sig")
        # As scans are, so that no path is too long and a pipe in its place holds nothing.
        below = open_below(os.fsencode(folder), entry.path, os.O_RDONLY, follow_links=True)
        with open(below, "rb") as file:
            return file.read(LARGEST).decode("utf-8-sig")
    except OSError as error:
        complain("unreadable", name, f"cannot be read ({error.strerror}); its labels are missing")
    except UnicodeDecodeError:
        complain("unreadable", name, "is not UTF-8 text; save it as UTF-8, its labels are missing")
    return None
