"""Files on a disk that appear whole or not at all, and survive a power cut once they are there.

They are written in ROOT/.tmp, synced and renamed: not beside their place, since pandas and polars
read every file of a table's folder. Until then they have no name where a file system allows that
(Linux, not NFS), so a killed process leaves nothing; elsewhere what it leaves in ROOT/.tmp is
swept.
"""

import contextlib
import errno
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline.process_id import ProcessId

UNFINISHED = ".tmp"
HANDLES = Path("/proc/self/fd")  # by which Linux names a file that has no name
FORGOTTEN_SECONDS = 24 * 3600  # without a write; the longest part takes minutes
Publishing = Callable[[], contextlib.AbstractContextManager[None]]


@dataclass(frozen=True)
class AtomicFiles:
    """The files below `root`; folders are made with `folder_mode`."""

    root: Path
    folder_mode: int = 0o777

    @contextlib.contextmanager
    def writing(
        self, path: Path, mode: int, publishing: Publishing = contextlib.nullcontext
    ) -> Iterator[BinaryIO]:
        """A file that replaces `path` when the block ends well; `publishing` is held meanwhile."""
        with self._temporary(mode) as (temporary, file):
            yield file
            flush_to_disk(file)
            make_folder(path.parent, self.folder_mode)
            with publishing():
                _name(file, temporary)
                os.replace(temporary, path)
                sync_folder(path.parent)

    def create(self, path: Path, data: bytes, mode: int) -> bool:
        """Write `path` unless it exists; False when it does. One of many callers wins."""
        with self._temporary(mode) as (temporary, file):
            file.write(data)
            flush_to_disk(file)
            make_folder(path.parent, self.folder_mode)
            _name(file, temporary)
            try:
                # A rename would replace the winner's file; a link refuses to.
                os.link(temporary, path)
            except FileExistsError:
                return False
            sync_folder(path.parent)
        return True

    @contextlib.contextmanager
    def _temporary(self, mode: int) -> Iterator[tuple[Path, BinaryIO]]:
        """A new file for a path under .tmp, which it may get later; gone when the block ends."""
        folder = self.root / UNFINISHED
        make_folder(folder, self.folder_mode)
        path = folder / f"{ProcessId.this()}.{secrets.token_hex(4)}"
        handle = _open_nameless(folder, mode)
        if handle is None:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        try:
            with open(handle, "wb") as file:
                yield path, file
        finally:
            path.unlink(missing_ok=True)

    def sweep(self) -> int:
        """Remove what killed processes left unfinished; how many files that were."""
        removed = 0
        for path in (self.root / UNFINISHED).glob("*"):
            with contextlib.suppress(FileNotFoundError):  # its writer was faster
                if _is_left_behind(path):
                    path.unlink()
                    removed += 1
        return removed


def _open_nameless(folder: Path, mode: int) -> int | None:
    """A new file on the disk of `folder` that has no name; None where there are no such files."""
    if not hasattr(os, "O_TMPFILE") or not HANDLES.is_dir():
        return None
    try:
        return os.open(folder, os.O_RDWR | os.O_TMPFILE, mode)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT):
            return None
        raise


def _name(file: BinaryIO, path: Path) -> None:
    """Give the file this name, unless it has it."""
    handle = file.fileno()
    if not os.fstat(handle).st_nlink:
        # With a directory, which an absolute path ignores, Python calls linkat, which follows.
        os.link(HANDLES / str(handle), path, src_dir_fd=handle, follow_symlinks=True)


def _is_left_behind(path: Path) -> bool:
    # Of another machine or container, only the time since the last write tells.
    forgotten = time.time() - path.stat().st_mtime > FORGOTTEN_SECONDS
    return forgotten or ProcessId.parse(path.name).has_ended


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make `folder` and those above it so that they survive a power cut."""
    if not folder.is_dir():
        make_folder(folder.parent, mode)
        folder.mkdir(mode=mode, exist_ok=True)
        sync_folder(folder.parent)


def flush_to_disk(file: BinaryIO) -> None:
    """Bring the content of `file` to the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Bring the entries of `folder` to the disk; a rename alone may be lost in a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
