"""A store in a folder: what `Store` asks of a place, on a disk.

Files are written under .tmp, synced and renamed. Locks are the kernel's (flock): they end with
their owner, however it ends, so none is ever stale.
"""

import contextlib
import hashlib
import mmap
import os
import secrets
import shutil
import socket
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import psutil
from filelock import FileLock, Timeout

Publishing = Callable[[], contextlib.AbstractContextManager[None]]
UNFINISHED = ".tmp"
FORGOTTEN_SECONDS = 24 * 3600  # without a write; the longest part takes minutes


class LocalFolder:
    """The files below `root`."""

    filesystem = None  # DuckDB and pyarrow open paths themselves

    def __init__(self, root: str):
        self.root = root

    def path(self, name: str) -> Path:
        return Path(self.root, *name.split("/"))

    def absolute(self) -> str:
        """The same place, named so that it is found from any working folder."""
        return str(Path(self.root).absolute())

    def snapshot(self) -> "LocalFolder":
        return self  # listing a folder again costs next to nothing

    def exists(self) -> bool:
        return Path(self.root).is_dir()

    def has(self, name: str) -> bool:
        return self.path(name).is_file()

    def existing(self, names: Iterable[str]) -> set[str]:
        return {name for name in names if self.has(name)}

    def names(self, folder: str) -> list[str]:
        found = []
        for here, folders, files in os.walk(self.path(folder)):
            folders[:] = [each for each in folders if not each.startswith(".")]
            place = Path(here).relative_to(self.root)
            found += [(place / each).as_posix() for each in files if not each.startswith(".")]
        return sorted(found)

    def address(self, name: str) -> str:
        return str(self.path(name))

    def parquet(self, name: str, columns: object, groups: object) -> Path:
        return self.path(name)  # whose reader takes from the disk what it needs

    def read_bytes(self, name: str) -> bytes:
        return self.path(name).read_bytes()

    @contextlib.contextmanager
    def content(self, name: str) -> Iterator[bytes | mmap.mmap]:
        with self.path(name).open("rb") as file:
            if not self.path(name).stat().st_size:
                yield b""
                return
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                yield data

    def write(
        self, name: str, data: bytes, mode: int, publishing: Publishing, replaces: bool
    ) -> None:
        with self.unfinished(name, mode, publishing, replaces) as file:
            file.write(data)

    def try_writing(self, name: str) -> None:
        with self.unfinished(name, 0o644, contextlib.nullcontext, replaces=True):
            pass

    def create(self, name: str, data: bytes) -> bool:
        with self.temporary(0o644) as (path, file):
            file.write(data)
            flush_to_disk(file)
            target = self.path(name)
            make_folder(target.parent)
            try:
                # A rename would replace the winner's file; a link refuses to.
                os.link(path, target)
            except FileExistsError:
                return False
            sync_folder(target.parent)
        return True

    def remove(self, name: str) -> None:
        path = self.path(name)
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            sync_folder(path.parent)

    def remove_all(self, folder: str) -> None:
        shutil.rmtree(self.path(folder), ignore_errors=True)

    def everything(self) -> list[str]:
        found = (path for path in Path(self.root).rglob("*") if path.is_file())
        return sorted(path.relative_to(self.root).as_posix() for path in found)

    def free_bytes(self) -> int:
        place = Path(self.root).absolute()
        while not place.exists():
            place = place.parent
        return shutil.disk_usage(place).free

    @contextlib.contextmanager
    def unfinished(
        self, name: str, mode: int, publishing: Publishing, replaces: bool
    ) -> Iterator[BinaryIO]:
        # A run's part is there once or with the same bytes again, so replacing it is harmless:
        # what was erased meanwhile is kept off by `publishing`.
        with self.temporary(mode) as (path, file):
            yield file
            flush_to_disk(file)
            target = self.path(name)
            make_folder(target.parent)
            with publishing():
                os.replace(path, target)
                sync_folder(target.parent)

    @contextlib.contextmanager
    def temporary(self, mode: int) -> Iterator[tuple[Path, BinaryIO]]:
        """A new file under .tmp, gone when the block ends.

        Not beside the part: pandas and polars read every file of a table's folder.
        """
        folder = Path(self.root, UNFINISHED)
        make_folder(folder)
        path = folder / f"{Writer.this()}.{secrets.token_hex(4)}"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        try:
            with open(handle, "wb") as file:
                yield path, file
        finally:
            path.unlink(missing_ok=True)

    def sweep(self) -> int:
        removed = 0
        for path in Path(self.root, UNFINISHED).glob("*"):
            with contextlib.suppress(FileNotFoundError):  # its writer was faster
                if Writer.left_behind(path):
                    path.unlink()
                    removed += 1
        return removed

    @contextlib.contextmanager
    def lock(self, name: str, timeout: float) -> Iterator[None]:
        path = self.path(name)
        make_folder(path.parent)
        # Where there is no flock, filelock would fall back to a lock that outlives a killed owner.
        with FileLock(path, timeout=timeout, thread_local=False, fallback_to_soft=False):
            yield

    def is_locked(self, name: str) -> bool:
        try:
            with self.lock(name, timeout=0):
                return False
        except Timeout:
            return True

    def readable_by_others(self, folder: str) -> list[str]:
        paths = (self.path(name) for name in self.names(folder))
        return [str(path) for path in paths if stat.S_IMODE(path.stat().st_mode) & 0o077]

    def keeps_versions(self) -> bool:
        return False


class Writer(NamedTuple):
    """The process that writes a file, as told by the file's name."""

    host: str
    pid: int
    started: str  # seconds; a process number comes back, with another start

    @classmethod
    def this(cls) -> "Writer":
        """The process that asks."""
        host = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
        return cls(host, os.getpid(), process_start(os.getpid()))

    @classmethod
    def left_behind(cls, path: Path) -> bool:
        """Whether the writer of the unfinished file `path` is gone."""
        if time.time() - path.stat().st_mtime > FORGOTTEN_SECONDS:
            return True
        here = cls.this()
        host, pid, started, *_ = [*path.name.split("."), "", "", ""]
        # A process of another machine or container cannot be asked for: only time tells.
        return host == here.host and pid.isdigit() and process_start(int(pid)) != started

    def __str__(self) -> str:
        return f"{self.host}.{self.pid}.{self.started}"


def process_start(pid: int) -> str:
    """When process `pid` started, in words that only compare; "gone" when there is none."""
    try:
        return f"{psutil.Process(pid).create_time():.0f}"
    except psutil.NoSuchProcess:
        return "gone"


def make_folder(folder: Path) -> None:
    """Make `folder` and those above it so that they survive a power cut."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
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
