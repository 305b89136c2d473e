"""Walk a batch folder of this machine, whatever its depth, its links and the length of its paths.

Paths are relative to the folder, as bytes, because names need not be valid text. They may be longer
than a system call accepts (4,096 bytes on Linux, 1,024 on macOS), so they are opened one component
at a time, which also keeps every step inside the batch.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.errors import ConfigError
from pipeline.ingest.file_kinds import is_ignored_folder

# Nested folders. Opening component by component costs the square of the depth, and an archive can
# hold a hundred thousand levels.
MAX_DEPTH = 128


@dataclass(frozen=True)
class Entry:
    """One entry of a batch folder."""

    path: bytes
    size: int  # bytes
    mtime_ns: int
    kind: str  # file, mask, link, unreadable (a folder or its entry), deep (a folder) or other

    @property
    def stem(self) -> bytes:
        return os.path.splitext(self.path)[0]


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


def walk(root: bytes, follow_links: bool) -> Iterator[Entry]:
    """Every entry but folders that can be opened; a folder to ignore is one entry."""
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
        if stat.S_ISDIR(facts.st_mode) and not is_ignored_folder(name):
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
