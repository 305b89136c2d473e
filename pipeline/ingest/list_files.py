"""What lies in a batch folder: scans to receive, label files, and what is neither.

Paths are relative to the batch folder, as bytes, because names need not be valid text. They may
be longer than the system takes in one call (4,096 bytes on Linux, 1,024 on macOS), so they are
opened name by name, which also keeps every step inside the batch. Nothing here reads a file.
On S3 an object is there whole or not at all, so none is ever growing.
"""

import os
import stat
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.ingest.batch_folder import BatchFolder, S3Folder, state_of

NOT_SCANS = {b"thumbs.db", b"desktop.ini"}
ALWAYS_LABELS = {b".csv", b".json", b".yaml", b".yml"}
LABEL_SUFFIXES = ALWAYS_LABELS | {b".txt"}
IMAGES = b"images", b"Images", b"IMAGES"  # folders whose label files lie in labels/, Labels/ …
# A file written to in the last seconds may still be on its way: it is looked at twice.
FRESH_SECONDS, SECOND_LOOK_SECONDS = 5.0, 1.5
# Folders in folders. Opening name by name takes steps in the square of the depth, and an archive
# can hold a hundred thousand levels.
DEEPEST = 128


@dataclass(frozen=True)
class Entry:
    """One entry of a batch folder."""

    path: bytes
    size: int  # bytes
    mtime_ns: int
    kind: str  # file, link, unreadable (a folder or its entry), deep (a folder) or other

    @property
    def stem(self) -> bytes:
        return os.path.splitext(self.path)[0]


@dataclass
class FileList:
    """The entries of a batch folder, sorted by path."""

    scans: list[Entry] = field(default_factory=list)
    labels: list[Entry] = field(default_factory=list)
    ignored: int = 0  # hidden files, Thumbs.db, desktop.ini
    growing: int = 0  # still being written, or waiting for a table that is; left for the next run


def list_batch(folder: BatchFolder, follow_links: bool = False) -> FileList:
    """List a batch folder, sub-folders included.

    Symbolic links are entries of their own unless they are to be followed; then one that leads
    nowhere, or back to a folder that holds it, still is.
    """
    listing = FileList()
    entries = []
    for entry in _found(folder, follow_links):
        if _ignored(entry):
            listing.ignored += 1
        else:
            entries.append(entry)
    if isinstance(folder, Path):
        entries, listing.growing = _settled(_root(folder), entries, follow_links)
    _sort_out(sorted(entries, key=lambda entry: entry.path), listing)
    return listing


def has_scans(folder: BatchFolder) -> bool:
    """Whether anything in a batch folder counts as a scan; looks no further than the first."""
    return any(
        suffix(entry) not in LABEL_SUFFIXES and not _ignored(entry)
        for entry in _found(folder, follow_links=False)
    )


def _found(folder: BatchFolder, follow_links: bool) -> Iterator[Entry]:
    return _objects(folder) if isinstance(folder, S3Folder) else _walk(_root(folder), follow_links)


def _objects(folder: S3Folder) -> Iterator[Entry]:
    """Every object; the empty ones that stand for folders are none."""
    try:
        for facts in folder.objects.list():
            if not facts.name.endswith("/"):
                yield Entry(facts.name.encode(), *state_of(facts), "file")
    except OSError as error:
        raise ConfigError(
            f"The batch folder {folder} cannot be listed: {error.strerror}. Correct its name; or "
            "look at AWS_ENDPOINT_URL, the credentials and the right to list the bucket."
        ) from None


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
    *folders, name = entry.path.split(b"/")
    hidden = any(step.startswith(b".") for step in (*folders, name))
    return hidden or name.lower() in NOT_SCANS


def open_below(root: bytes, path: bytes, flags: int, follow_links: bool) -> int:
    """A descriptor of `path` below the folder `root`; no name on the way is a link unless asked.

    Raises OSError. A listed file may have been replaced since: by a link out of the batch, which
    is refused, or by a FIFO, which would hang a plain open; it is opened and found changed.
    """
    steady = os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow_links else os.O_NOFOLLOW)
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        *folders, name = path.split(b"/") if path else [b"."]
        for folder in folders:
            below = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | steady, dir_fd=here)
            os.close(here)
            here = below
        return os.open(name, flags | steady, dir_fd=here)
    finally:
        os.close(here)


@dataclass(frozen=True)
class _Place:
    """A folder to list."""

    path: bytes
    above: frozenset  # the folders that hold it, by identity
    behind_link: bool


def _walk(root: bytes, follow_links: bool) -> Iterator[Entry]:
    """Every entry but folders that could be entered. Deep trees need no deep recursion."""
    waiting = [_Place(b"", frozenset(), False)]
    while waiting:
        place = waiting.pop()
        if place.path.count(b"/") >= DEEPEST:
            yield Entry(place.path, 0, 0, "deep")
            continue
        try:
            here = open_below(root, place.path, os.O_RDONLY | os.O_DIRECTORY, follow_links)
        except FileNotFoundError:
            continue  # moved away while the batch was being listed
        except OSError:
            yield _unreadable(root, place.path)
            continue
        try:
            yield from _entries(here, place, follow_links, waiting)
        finally:
            os.close(here)


def _unreadable(root: bytes, path: bytes) -> Entry:
    if path:
        return Entry(path, 0, 0, "unreadable")
    raise ConfigError(
        f"The batch folder {os.fsdecode(root)} may not be read. Give yourself the right "
        "to read it, or name another folder."
    )


def _entries(
    here: int, place: _Place, follow_links: bool, waiting: list[_Place]
) -> Iterator[Entry]:
    """What one open folder holds; folders to enter are added to those waiting."""
    above = place.above | {_identity(os.fstat(here))}
    for name in map(os.fsencode, os.listdir(here)):
        path = place.path + b"/" + name if place.path else name
        try:
            facts = os.stat(name, dir_fd=here, follow_symlinks=False)
            is_link = stat.S_ISLNK(facts.st_mode)
            if is_link and follow_links:
                facts = _behind(name, here, above, place.behind_link) or facts
        except FileNotFoundError:
            continue  # moved away while the batch was being listed
        except OSError:
            yield Entry(path, 0, 0, "unreadable")
            continue
        if stat.S_ISDIR(facts.st_mode) and not name.startswith(b"."):
            waiting.append(_Place(path, above, place.behind_link or is_link))
        else:
            yield Entry(path, facts.st_size, facts.st_mtime_ns, _kind(facts.st_mode))


def _behind(name: bytes, here: int, above: frozenset, behind_link: bool) -> os.stat_result | None:
    """What a link leads to, if it is to be followed.

    Not into a folder that holds the link, and not from one linked folder into another: ten folders
    that link to each other would make millions of paths.
    """
    try:
        facts = os.stat(name, dir_fd=here)
    except OSError:
        return None
    endless = behind_link or _identity(facts) in above
    return None if stat.S_ISDIR(facts.st_mode) and endless else facts


def _identity(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_dev, facts.st_ino


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    return "link" if stat.S_ISLNK(mode) else "other"


def _settled(root: bytes, entries: list[Entry], follow_links: bool) -> tuple[list[Entry], int]:
    """Leave out files that change between two looks; only fresh ones are looked at twice.

    While a table does, everything waits: it may tell whose the scans are, and once a scan is
    taken it stays its patient's.
    """
    fresh_since = time.time_ns() - int(FRESH_SECONDS * 1e9)
    fresh = [entry for entry in entries if entry.mtime_ns > fresh_since and entry.kind == "file"]
    if not fresh:
        return entries, 0
    time.sleep(SECOND_LOOK_SECONDS)
    growing = {entry.path for entry in fresh if _changed(root, entry, follow_links)}
    if any(suffix(entry) == b".csv" for entry in fresh if entry.path in growing):
        return [], len(entries)
    return [entry for entry in entries if entry.path not in growing], len(growing)


def _changed(root: bytes, entry: Entry, follow_links: bool) -> bool:
    folder, name = os.path.split(entry.path)
    try:
        here = open_below(root, folder, os.O_RDONLY | os.O_DIRECTORY, follow_links)
    except OSError:
        return True
    try:
        now = os.stat(name, dir_fd=here, follow_symlinks=follow_links)
    except OSError:
        return True
    finally:
        os.close(here)
    return (now.st_size, now.st_mtime_ns) != (entry.size, entry.mtime_ns)


def _sort_out(entries: list[Entry], listing: FileList) -> None:
    """A label file is a CSV, JSON or YAML, a classes.txt, or a .txt that stands for a picture."""
    stems = {comparable(entry.stem) for entry in entries if suffix(entry) not in LABEL_SUFFIXES}
    folders = {
        comparable(os.path.dirname(entry.path))
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
    beside, *elsewhere = map(comparable, picture_stems(entry))
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
            swapped = [[*parts[:place], images, *parts[place + 1 :]] for images in IMAGES]
            return [entry.stem, *map(b"/".join, swapped)]
    return [entry.stem]


def comparable(path: bytes | str) -> str:
    """macOS delivers decomposed accents, tables are typed composed."""
    return unicodedata.normalize("NFC", os.fsdecode(path))


def suffix(entry: Entry) -> bytes:
    """The ending of an entry's name, in lower case, with its dot."""
    return os.path.splitext(entry.path)[1].lower()
