"""List a batch folder: scans to receive, label files, and files that are neither.

Paths are relative to the batch folder, as bytes, because names need not be valid text. They may be
longer than a system call accepts (4,096 bytes on Linux, 1,024 on macOS), so they are opened one
component at a time, which also keeps every step inside the batch. No file is read here. Objects on
S3 appear complete or not at all, so only local files can still be growing.
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
# A file modified in the last seconds may still be being written: it is checked twice.
FRESH_SECONDS, SECOND_LOOK_SECONDS = 5.0, 1.5
# Nested folders. Opening component by component costs the square of the depth, and an archive can
# hold a hundred thousand levels.
MAX_DEPTH = 128


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
    growing: int = 0  # still being written, or waiting for such a table; left for the next run


def list_batch(folder: BatchFolder, follow_links: bool = False) -> FileList:
    """List a batch folder recursively.

    Symbolic links are listed as links unless `follow_links` is set; then only broken links and
    links to a folder above them are.
    """
    listing = FileList()
    entries = []
    for entry in _entries_of(folder, follow_links):
        if _is_ignored(entry):
            listing.ignored += 1
        else:
            entries.append(entry)
    if isinstance(folder, Path):
        entries, listing.growing = _settled(_root(folder), entries, follow_links)
    _separate_labels(sorted(entries, key=lambda entry: entry.path), listing)
    return listing


def has_scans(folder: BatchFolder) -> bool:
    """Whether a batch folder holds a scan; stops at the first."""
    return any(
        suffix(entry) not in LABEL_SUFFIXES and not _is_ignored(entry)
        for entry in _entries_of(folder, follow_links=False)
    )


def _entries_of(folder: BatchFolder, follow_links: bool) -> Iterator[Entry]:
    return _objects(folder) if isinstance(folder, S3Folder) else _walk(_root(folder), follow_links)


def _objects(folder: S3Folder) -> Iterator[Entry]:
    """Every object but the empty ones that represent folders."""
    try:
        for facts in folder.objects.list():
            if not facts.name.endswith("/"):
                yield Entry(facts.name.encode(), *state_of(facts), "file")
    except OSError as error:
        raise ConfigError(
            f"The batch folder {folder} cannot be listed: {error.strerror}. Correct its name, or "
            "check AWS_ENDPOINT_URL, the credentials and the permission to list the bucket."
        ) from None


def _root(folder: Path) -> bytes:
    root = os.fsencode(folder)
    if not os.path.isdir(root):
        problem = "does not exist" if not os.path.lexists(root) else "is not a folder"
        raise ConfigError(
            f"The batch folder {folder} {problem}. Give the folder that holds the scans: "
            "dental run path/to/folder"
        )
    return root


def _is_ignored(entry: Entry) -> bool:
    *folders, name = entry.path.split(b"/")
    hidden = any(part.startswith(b".") for part in (*folders, name))
    return hidden or name.lower() in NOT_SCANS


def open_below(root: bytes, path: bytes, flags: int, follow_links: bool) -> int:
    """Open `path` below the folder `root` and return its descriptor. Raises OSError.

    Without `follow_links`, no component may be a link. A listed file may have been replaced since:
    by a link out of the batch, which is refused, or by a FIFO, at which a blocking open would hang.
    """
    safe = os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow_links else os.O_NOFOLLOW)
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        *folders, name = path.split(b"/") if path else [b"."]
        for folder in folders:
            below = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | safe, dir_fd=here)
            os.close(here)
            here = below
        return os.open(name, flags | safe, dir_fd=here)
    finally:
        os.close(here)


@dataclass(frozen=True)
class _Folder:
    """A folder to list."""

    path: bytes
    ancestors: frozenset  # identities (device, inode) of the folders above it
    behind_link: bool


def _walk(root: bytes, follow_links: bool) -> Iterator[Entry]:
    """Every entry but folders that can be opened. Without recursion, whatever the depth."""
    waiting = [_Folder(b"", frozenset(), False)]
    while waiting:
        folder = waiting.pop()
        if folder.path.count(b"/") >= MAX_DEPTH:
            yield Entry(folder.path, 0, 0, "deep")
            continue
        try:
            here = open_below(root, folder.path, os.O_RDONLY | os.O_DIRECTORY, follow_links)
        except FileNotFoundError:
            continue  # moved away while the batch was being listed
        except OSError:
            yield _unreadable(root, folder.path)
            continue
        try:
            yield from _entries(here, folder, follow_links, waiting)
        finally:
            os.close(here)


def _unreadable(root: bytes, path: bytes) -> Entry:
    if path:
        return Entry(path, 0, 0, "unreadable")
    raise ConfigError(
        f"The batch folder {os.fsdecode(root)} cannot be read: permission denied. Grant read "
        "permission, or give another folder."
    )


def _entries(
    here: int, folder: _Folder, follow_links: bool, waiting: list[_Folder]
) -> Iterator[Entry]:
    """The entries of one open folder; its sub-folders are appended to `waiting`."""
    ancestors = folder.ancestors | {_identity(os.fstat(here))}
    for name in map(os.fsencode, os.listdir(here)):
        path = folder.path + b"/" + name if folder.path else name
        try:
            facts = os.stat(name, dir_fd=here, follow_symlinks=False)
            is_link = stat.S_ISLNK(facts.st_mode)
            if is_link and follow_links:
                facts = _target(name, here, ancestors, folder.behind_link) or facts
        except FileNotFoundError:
            continue  # moved away while the batch was being listed
        except OSError:
            yield Entry(path, 0, 0, "unreadable")
            continue
        if stat.S_ISDIR(facts.st_mode) and not name.startswith(b"."):
            waiting.append(_Folder(path, ancestors, folder.behind_link or is_link))
        else:
            yield Entry(path, facts.st_size, facts.st_mtime_ns, _kind(facts.st_mode))


def _target(name: bytes, here: int, ancestors: frozenset, linked: bool) -> os.stat_result | None:
    """The target of a link; None if it is broken or must not be followed.

    Links to a folder above them are not followed, nor links from one linked folder to another: ten
    folders that link to each other would make millions of paths.
    """
    try:
        facts = os.stat(name, dir_fd=here)
    except OSError:
        return None
    refused = linked or _identity(facts) in ancestors
    return None if stat.S_ISDIR(facts.st_mode) and refused else facts


def _identity(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_dev, facts.st_ino


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    return "link" if stat.S_ISLNK(mode) else "other"


def _settled(root: bytes, entries: list[Entry], follow_links: bool) -> tuple[list[Entry], int]:
    """Leave out files that change between two checks; only fresh ones are checked twice.

    While a table is changing, the whole batch waits: it may assign scans to patients, and a scan's
    patient is fixed once the scan is received.
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


def _separate_labels(entries: list[Entry], listing: FileList) -> None:
    """Label files are CSV, JSON, YAML and classes.txt files, and .txt files of images."""
    names = set()
    for entry in entries:
        if suffix(entry) not in LABEL_SUFFIXES:
            paths = entry.path, entry.stem  # for x.jpg, x.txt and some tools' x.jpg.txt
            names.update(comparable(os.path.basename(path)).casefold() for path in paths)
    folders = {
        os.path.dirname(entry.path)
        for entry in entries
        if os.path.basename(entry.path).lower() == b"classes.txt"
    }
    for entry in entries:
        is_label = entry.kind == "file" and _is_label(entry, names, folders)
        (listing.labels if is_label else listing.scans).append(entry)


def _is_label(entry: Entry, names: set[str], class_folders: set[bytes]) -> bool:
    """Whether a file is a label file, given all names of images and the folders of classes.txt.

    A .txt in labels/ without an image, or beside classes.txt, is one too: it is reported.
    """
    if suffix(entry) != b".txt":
        return suffix(entry) in ALWAYS_LABELS
    folder, name = os.path.split(entry.stem)
    in_labels = b"labels" in folder.lower().split(b"/")
    return in_labels or folder in class_folders or comparable(name).casefold() in names


def comparable(path: bytes | str) -> str:
    """NFC, since macOS delivers decomposed accents while tables are typed composed."""
    return unicodedata.normalize("NFC", os.fsdecode(path))


def suffix(entry: Entry) -> bytes:
    """The suffix of an entry's name, in lower case, with its dot."""
    return os.path.splitext(entry.path)[1].lower()
