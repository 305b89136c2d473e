r"""Find the scan that a name in a label file means.

Names are written as `x.png`, `../images/x.png`, `images\x.png`, `C:\scans\x.png`,
`/data/upload/7/x.png` or `x` (an image ID). A name is looked for near its label file, in this
order; the first place with a match counts:

1. the path below the label file's folder, exactly;
2. scans below that folder, then below each folder above it. Of several scans there, those count
   that share most of the folders written in the name;
3. the same regardless of case and blanks;
4. the same regardless of the suffix: `x.jpg` is `x.dcm` if no scan is called `x.jpg`.

One match is the scan; several are ambiguous, and none of them is used. So is a match near the
label file when a scan farther away shares more of the written folders, unless that one is exactly
at the written path below a folder above.

This module reads no file. Paths of scans are bytes relative to the batch folder.
"""

import os
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from typing import NamedTuple
from urllib.parse import unquote

Parts = tuple[str, ...]  # of a path: folders and, last, the name

# Suffixes of pictures: `1.2.840.113` has none, although it has dots.
PICTURE_SUFFIX = re.compile(
    r"\.(avif|bmp|dcm|dic|dicom|gif|heic|ima|j2k|jfif|jp2|jpe|jpe?g|jxl|png|tiff?|webp)", re.I
)
# scheme://host, drive: or both (file:///C:/…), at the beginning of a name
ADDRESS = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]+://[^/]*)?(?:/?[A-Za-z]:(?=/))?")
# Label Studio puts eight hex digits before the name of an uploaded file.
UPLOADED = re.compile(r"(?:.*[/\\])?[0-9a-f]{8}-([^/\\]+)", re.DOTALL)


class Found(NamedTuple):
    """The scan that a name means.

    `path` is None if no scan matches (`count` 0), if several do, or if the only one may as well be
    meant by another name of the same file (`count` 1).
    """

    path: bytes | None
    count: int  # scans that match


class Match(NamedTuple):
    """Scans that match one name by itself."""

    paths: list[bytes]
    complete: bool  # the whole name matches, not only its last parts or its stem


class ScanFinder:
    """Finds scans of a batch by the names that label files give them."""

    def __init__(self, scans: Iterable[bytes]):
        self._scans = sorted(scans)
        self._indexes: dict[tuple[bool, bool], _Index] = {}

    def find(self, names: Iterable[str], label_file: bytes) -> dict[str, Found]:
        """The scan of every name in one label file."""
        folder = path_parts(label_file)[:-1]
        matches = {name: self._match(name, folder) for name in dict.fromkeys(names)}
        spellings = {name: _loosen(name_parts(name)) for name in matches}
        return settle(matches, spellings)

    def find_beside(self, name: str, label_file: bytes) -> Match:
        """Scans for a label file that belongs to one scan and has its name."""
        folder = path_parts(label_file)[:-1]
        return self._match(name, folder)._replace(complete=False)

    def at_stem(self, stem: bytes) -> list[bytes]:
        """Scans whose path without suffix, or with it, is `stem`."""
        parts = path_parts(stem)
        return self._index(stems=True, loose=False).at(parts) or (
            self._index(stems=True, loose=True).at(_loosen(parts))
        )

    def has_scans_in(self, folder: bytes) -> bool:
        """Whether a scan lies directly in `folder`."""
        parts = path_parts(folder) if folder else ()
        return _loosen(parts) in self._index(stems=False, loose=True).folders

    def _match(self, name: str, folder: Parts) -> Match:
        for spelling, complete in _spellings(name):
            start, parts = _resolve(folder, name_parts(spelling))
            for key, stems in _keys(parts):
                same_suffix = complete and key == parts
                for loose in (False, True):
                    wanted = (_loosen(start), _loosen(key)) if loose else (start, key)
                    found = self._index(stems, loose).search(*wanted)
                    if found.paths:
                        return found._replace(complete=found.complete and same_suffix)
        return Match([], complete=False)

    def _index(self, stems: bool, loose: bool) -> "_Index":
        if (stems, loose) not in self._indexes:
            self._indexes[stems, loose] = _Index(self._scans, stems, loose)
        return self._indexes[stems, loose]


def settle(
    matches: Mapping[str | bytes, Match],
    spellings: Mapping[str | bytes, Hashable],
    claimed: Collection[bytes] = (),
) -> dict:
    """The scan of every name, given all names of a label file.

    A name of which only a part matches does not get a scan that another name means completely, or
    that is `claimed`, and of two such names none gets it: with `train/1.png` and `test/1.png` in a
    table and one `1.png` in the batch, one row is about a scan that was not delivered. Names with
    the same spelling are the same name.
    """
    single = {name: match for name, match in matches.items() if len(match.paths) == 1}
    taken = {match.paths[0] for match in single.values() if match.complete}.union(claimed)
    partial = {
        (match.paths[0], spellings[name]) for name, match in single.items() if not match.complete
    }
    rivals = Counter(path for path, _ in partial)
    found = {}
    for name, match in matches.items():
        count = len(match.paths)
        path = match.paths[0] if count == 1 else None
        if path is not None and not match.complete:
            if path in taken:
                path, count = None, 0
            elif rivals[path] > 1:
                path = None
        found[name] = Found(path, count)
    return found


def name_parts(name: str) -> Parts:
    """The parts of a name as written in a label file, without drive, host, `.` and inner `..`."""
    text = unicodedata.normalize("NFC", name).replace("\\", "/").strip()
    parts: list[str] = []
    for part in text[ADDRESS.match(text).end() :].split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return tuple(parts)


def path_parts(path: bytes) -> Parts:
    r"""The parts of a delivered path; archives from Windows may have `\` in names."""
    text = unicodedata.normalize("NFC", os.fsdecode(path)).replace("\\", "/")
    return tuple(filter(None, text.split("/"))) or (text,)


def _spellings(name: str) -> Iterator[tuple[str, bool]]:
    """A name, and what to try if it matches nothing; whether the spelling is all of the name."""
    yield name, True
    plain = unquote(name.rpartition("?d=")[2])  # Label Studio: /data/local-files/?d=x.png
    address = ADDRESS.match(plain)
    if address and "://" in address[0]:
        plain = plain.partition("?")[0]
    if plain != name:
        yield plain, True
    if uploaded := UPLOADED.fullmatch(plain):
        yield uploaded[1], False


def _resolve(folder: Parts, parts: Parts) -> tuple[Parts, Parts]:
    """Apply leading `..` to the folder; those above the batch folder are dropped."""
    ups = next((place for place, part in enumerate(parts) if part != ".."), len(parts))
    return folder[: max(0, len(folder) - ups)], parts[ups:]


def _keys(parts: Parts) -> Iterator[tuple[Parts, bool]]:
    """What to search for, and whether stems of scans count as their names."""
    if not parts:
        return
    stem, suffix = os.path.splitext(parts[-1])
    is_file = PICTURE_SUFFIX.fullmatch(suffix)
    if is_file:
        yield parts, False
    yield parts, True  # an image ID, or x.png for x.png.dcm
    if is_file:
        yield (*parts[:-1], stem), True


def _loosen(parts: Parts) -> Parts:
    """Regardless of case and of surplus blanks."""
    return tuple(" ".join(part.split()).casefold() for part in parts)


class _Index:
    """Scans by path and by name; with `stems`, also by path and name without suffix."""

    def __init__(self, scans: Iterable[bytes], stems: bool, loose: bool):
        self._at: dict[Parts, list[bytes]] = {}
        for path in scans:
            parts = path_parts(path)
            stem, suffix = os.path.splitext(parts[-1])
            # The end of 1.2.840.113 is a number of its UID.
            keys = [parts] if not stems or suffix[1:].isdigit() else [parts, (*parts[:-1], stem)]
            for key in dict.fromkeys(map(_loosen, keys) if loose else keys):
                self._at.setdefault(key, []).append(path)
        # Folders of the scans of one name, and of those whose last folder is the same, too.
        self._by_name: dict[Parts, list[Parts]] = {}
        for *folders, name in sorted(self._at, key=lambda parts: (parts[:-1], parts[-1])):
            for key in dict.fromkeys([(name,), (*folders[-1:], name)]):
                self._by_name.setdefault(key, []).append(tuple(folders))
        self.folders = {parts[:-1] for parts in self._at}

    def at(self, parts: Parts) -> list[bytes]:
        return self._at.get(parts, [])

    def search(self, start: Parts, parts: Parts) -> Match:
        """Scans nearest to the folder `start` that match the name `parts`, or its last parts."""
        if exact := self.at(start + parts):
            return Match(exact, complete=True)
        *written, name = parts
        places = self._by_name.get((name,), [])
        if not places:
            return Match([], complete=False)
        best = _most_alike(self._by_name.get(parts[-2:]) or places, written)
        low, high = _nearest(places, start)
        # When none is nearer than others, that may be every scan of the batch.
        near = best if high - low == len(places) else _most_alike(places[low:high], written)
        alike, chosen = _shared_end(best[0], written), best[slice(*_nearest(best, start))]
        if alike:
            exact_above = [p for p in chosen if p[:-alike] == start[: len(p) - alike]]
            chosen = exact_above or chosen
        if not (alike and exact_above) and _shared_end(near[0], written) < alike:
            chosen = sorted({*near, *chosen})
        paths = [path for place in chosen for path in self._at[*place, name]]
        return Match(paths, complete=alike == len(written))


def _most_alike(places: list[Parts], written: list[str]) -> list[Parts]:
    """The places that share the most last folders with those written in a name."""
    shared = [_shared_end(place, written) for place in places]
    most = max(shared)
    return [place for place, count in zip(places, shared, strict=True) if count == most]


def _nearest(places: list[Parts], start: Parts) -> tuple[int, int]:
    """The range of sorted places that share the most first folders with `start`."""
    middle = bisect_left(places, start)
    depth = max(_shared_start(place, start) for place in places[max(0, middle - 1) : middle + 1])
    above = start[:depth]
    low = bisect_left(places, above, key=lambda place: place[:depth])
    return low, bisect_right(places, above, key=lambda place: place[:depth])


def _shared_start(one: Parts, other: Parts) -> int:
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _shared_end(one: Parts, other: Iterable[str]) -> int:
    return _shared_start(one[::-1], tuple(other)[::-1])
