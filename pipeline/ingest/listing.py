"""What lies in a batch folder: scans to receive, label files, and what is neither.

Paths are relative to the batch folder, as bytes, because names need not be valid text. Nothing
here opens a file.
"""

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import ConfigError

NOT_SCANS = {b"thumbs.db", b"desktop.ini"}
ALWAYS_LABELS = {b".csv", b".json", b".yaml", b".yml"}
LABEL_SUFFIXES = ALWAYS_LABELS | {b".txt"}
# A file written to in the last seconds may still be on its way: it is looked at twice.
FRESH_SECONDS, SECOND_LOOK_SECONDS = 5.0, 1.5


@dataclass(frozen=True)
class Entry:
    """One entry of a batch folder."""

    path: bytes
    size: int  # bytes
    mtime_ns: int
    kind: str  # file, link, unreadable (a folder) or other

    @property
    def stem(self) -> bytes:
        return os.path.splitext(self.path)[0]


@dataclass
class Listing:
    """The entries of a batch folder, sorted by path."""

    scans: list[Entry] = field(default_factory=list)
    labels: list[Entry] = field(default_factory=list)
    ignored: int = 0  # hidden files, Thumbs.db, desktop.ini
    growing: int = 0  # still being written; left for the next run


def list_batch(folder: Path) -> Listing:
    """List a batch folder, sub-folders included; symbolic links are not followed."""
    root = _root(folder)
    listing = Listing()
    entries = []
    for entry in _walk(root, b""):
        if _ignored(entry):
            listing.ignored += 1
        else:
            entries.append(entry)
    entries, listing.growing = _settled(root, entries)
    _sort_out(sorted(entries, key=lambda entry: entry.path), listing)
    return listing


def has_scans(folder: Path) -> bool:
    """Whether anything in a batch folder counts as a scan; looks no further than the first."""
    return any(
        suffix(entry) not in LABEL_SUFFIXES and not _ignored(entry)
        for entry in _walk(_root(folder), b"")
    )


def _root(folder: Path) -> bytes:
    root = os.fsencode(folder)
    if not os.path.isdir(root):
        what = "does not exist" if not os.path.lexists(root) else "is not a folder"
        raise ConfigError(
            f"The batch folder {folder} {what}. Give the folder that holds the scans: "
            "make run-flow BATCH=path/to/folder"
        )
    return root


def _ignored(entry: Entry) -> bool:
    name = os.path.basename(entry.path)
    return name.startswith(b".") or name.lower() in NOT_SCANS


def _walk(root: bytes, below: bytes) -> Iterator[Entry]:
    try:
        found = os.scandir(os.path.join(root, below))
    except OSError:
        if not below:
            raise ConfigError(
                f"The batch folder {os.fsdecode(root)} may not be read. Give yourself the right "
                "to read it, or name another folder."
            ) from None
        yield Entry(below, 0, 0, "unreadable")
        return
    with found:
        for item in found:
            path = os.path.join(below, item.name)
            if item.is_dir(follow_symlinks=False) and not item.name.startswith(b"."):
                yield from _walk(root, path)
                continue
            facts = item.stat(follow_symlinks=False)
            yield Entry(path, facts.st_size, facts.st_mtime_ns, _kind(facts.st_mode))


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    return "link" if stat.S_ISLNK(mode) else "other"


def _settled(root: bytes, entries: list[Entry]) -> tuple[list[Entry], int]:
    """Leave out files that change between two looks; only fresh ones are looked at twice."""
    fresh_since = time.time_ns() - int(FRESH_SECONDS * 1e9)
    fresh = [entry for entry in entries if entry.mtime_ns > fresh_since and entry.kind == "file"]
    if not fresh:
        return entries, 0
    time.sleep(SECOND_LOOK_SECONDS)
    growing = {entry.path for entry in fresh if _changed(root, entry)}
    return [entry for entry in entries if entry.path not in growing], len(growing)


def _changed(root: bytes, entry: Entry) -> bool:
    try:
        now = os.stat(os.path.join(root, entry.path), follow_symlinks=False)
    except OSError:
        return True
    return (now.st_size, now.st_mtime_ns) != (entry.size, entry.mtime_ns)


def _sort_out(entries: list[Entry], listing: Listing) -> None:
    """A label file is a CSV, JSON or YAML, a classes.txt, or a .txt that stands for a picture."""
    stems = {entry.stem for entry in entries if suffix(entry) not in LABEL_SUFFIXES}
    folders = {
        os.path.dirname(entry.path)
        for entry in entries
        if os.path.basename(entry.path).lower() == b"classes.txt"
    }
    # A .txt in labels/ without its picture in images/ is told as such, not received as a scan.
    homes = {os.path.dirname(stem) for stem in stems}
    for entry in entries:
        is_label = entry.kind == "file" and _is_label(entry, stems, homes, folders)
        (listing.labels if is_label else listing.scans).append(entry)


def _is_label(entry: Entry, stems: set, homes: set, folders: set) -> bool:
    """Whether a file tells of scans: `stems` and `homes` of them, `folders` with class names."""
    if suffix(entry) != b".txt":
        return suffix(entry) in ALWAYS_LABELS
    beside, *elsewhere = picture_stems(entry)
    return (
        beside in stems
        or os.path.dirname(beside) in folders
        or any(stem in stems or os.path.dirname(stem) in homes for stem in elsewhere)
    )


def picture_stems(entry: Entry) -> list[bytes]:
    """Paths without suffix of the pictures that a .txt may stand for.

    The one beside it, or, as training tools lay it out, images/x.jpg for labels/x.txt.
    """
    parts = entry.stem.split(b"/")
    for place in reversed(range(len(parts) - 1)):
        if parts[place].lower() == b"labels":
            swapped = [*parts[:place], b"images", *parts[place + 1 :]]
            return [entry.stem, b"/".join(swapped)]
    return [entry.stem]


def suffix(entry: Entry) -> bytes:
    """The ending of an entry's name, in lower case, with its dot."""
    return os.path.splitext(entry.path)[1].lower()
