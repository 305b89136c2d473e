"""Find the scan of the batch that another is a copy of, by their names and folders.

Two kinds of copies are found: those that tools name after their source (copy_names.py), and the
JPEG, PNG, TIFF or BMP that was exported from a DICOM object. An export has the name of its object
and lies beside it, or in the next folder when one of the two folders holds pictures and the other
none, as in `dicom/x.dcm` and `png/x.png`. Equal names elsewhere mean nothing: folders of visits
number their scans from 1. Names are compared without regard to case and to separators, which
tools replace.
"""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import takewhile

from pipeline.ingest.copy_names import source_stem
from pipeline.ingest.list_files import comparable, suffix
from pipeline.ingest.split_folders import without_split_folders
from pipeline.ingest.walk_folder import Entry

PICTURES = {b".jpg", b".jpeg", b".png", b".tif", b".tiff", b".bmp", b".webp"}


class CopySources:
    """The sources of the copies among the scans of one batch."""

    def __init__(self, scans: Iterable[Entry], is_dicom: Callable[[Entry], bool]):
        self._is_dicom = is_dicom
        self._by_name: dict[str, list[Entry]] = defaultdict(list)
        self._kinds: dict[bytes, set[bool]] = defaultdict(set)  # of a folder's files: is a picture
        self._sources: dict[bytes, Entry | None] = {}
        for entry in scans:
            if entry.kind == "file":
                # DICOM objects often have a UID for a name, whose last number looks like a suffix.
                names = {entry.stem} if suffix(entry) in PICTURES else {entry.stem, entry.path}
                for name in {_name(each) for each in names}:
                    self._by_name[name].append(entry)
                self._kinds[os.path.dirname(entry.path)].add(suffix(entry) in PICTURES)

    def source_of(self, entry: Entry) -> Entry | None:
        """The scan that `entry` is a copy of, if the batch has it and only one it could be."""
        if entry.path not in self._sources:
            self._sources[entry.path] = self._object_of(entry) or self._copied(entry)
        return self._sources[entry.path]

    def group_of(self, entry: Entry) -> str | None:
        """A text that a copy shares with the other copies of its source; None for no copy."""
        stem = _source_name(entry)
        return None if stem is None else f"{'/'.join(_folder(entry))}/{stem}"

    def _copied(self, entry: Entry) -> Entry | None:
        stem = _source_name(entry)
        if stem is None:
            return None
        near: dict[int, list[Entry]] = defaultdict(list)
        for other in self._by_name.get(stem, ()):
            near[_common(_folder(entry), _folder(other))].append(other)
        if not near:
            return None
        nearest = near[max(near)]
        sources = {each.path: each for each in (self._object_of(o) or o for o in nearest)}
        return next(iter(sources.values())) if len(sources) == 1 else None

    def _object_of(self, entry: Entry) -> Entry | None:
        """The DICOM object that a picture was exported from."""
        if suffix(entry) not in PICTURES:
            return None
        found = [
            other
            for other in self._by_name.get(_name(entry.stem), ())
            if suffix(other) not in PICTURES
            and self._lie_together(os.path.dirname(entry.path), os.path.dirname(other.path))
            and self._is_dicom(other)
        ]
        return found[0] if len(found) == 1 else None

    def _lie_together(self, picture: bytes, other: bytes) -> bool:
        if picture == other:
            return True
        siblings = picture and other and os.path.dirname(picture) == os.path.dirname(other)
        return bool(siblings) and self._kinds[picture] == {True} and self._kinds[other] == {False}


def _name(stem: bytes) -> str:
    return re.sub(r"[\s._-]+", "-", comparable(os.path.basename(stem)).casefold())


def _source_name(entry: Entry) -> str | None:
    source = source_stem(comparable(os.path.basename(entry.stem)))
    return None if source is None else _name(os.fsencode(source))


def _folder(entry: Entry) -> tuple[str, ...]:
    """The folders of a scan without train, valid and test, over which tools spread copies."""
    return without_split_folders(os.path.dirname(comparable(entry.path)).split("/"))


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
