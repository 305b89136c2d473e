"""The folder of a store: names to bytes, and nothing about tables.

Names are relative, their steps joined by `/`. What is written appears whole or not at all, and
what a killed process left unfinished is never seen under a name.
"""

import contextlib
import hashlib
import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import psutil

from pipeline.errors import ConfigError

UNFINISHED = ".tmp"
FORGOTTEN_SECONDS = 24 * 3600  # without a write; the longest part takes minutes


@dataclass(frozen=True)
class Store:
    """A folder of tables, models and reports."""

    root: str

    def __post_init__(self):
        if "://" in self.root:
            raise ConfigError(
                f"The store is {self.root}, but this version keeps stores in folders; "
                "set `store` to a folder."
            )

    def local_path(self, name: str) -> Path:
        """Where `name` lies on this machine; it need not exist."""
        steps = name.split("/")
        if not name or "" in steps or ".." in steps:
            raise ConfigError(
                f"`{name}` is no name inside a store; names are relative, like models/heads/x."
            )
        return Path(self.root, *steps)

    def has(self, name: str) -> bool:
        """Whether the file `name` exists, which for a part means that it is finished."""
        return self.local_path(name).is_file()

    def names(self, folder: str) -> list[str]:
        """Names of all files below `folder`, sorted; none when there is no such folder."""
        found = []
        for here, folders, files in os.walk(self.local_path(folder)):
            folders[:] = [each for each in folders if not each.startswith(".")]
            place = Path(here).relative_to(self.root)
            found += [(place / each).as_posix() for each in files if not each.startswith(".")]
        return sorted(found)

    def read_bytes(self, name: str) -> bytes:
        """The content of `name`; FileNotFoundError when there is none."""
        return self.local_path(name).read_bytes()

    def write_bytes(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """Write `name` whole or not at all, replacing what was there."""
        with self.unfinished(name, mode) as file:
            file.write(data)

    def create(self, name: str, data: bytes) -> bool:
        """Write `name` whole unless it exists; False when it does. One of many callers wins."""
        with self.temporary(0o644) as (path, file):
            file.write(data)
            finish(file)
            target = self.local_path(name)
            make_folder(target.parent)
            try:
                # A rename would replace the winner's file; a link refuses to.
                os.link(path, target)
            except FileExistsError:
                return False
            sync(target.parent)
        return True

    def remove(self, name: str) -> None:
        """Remove the file `name`; nothing happens when there is none."""
        path = self.local_path(name)
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            sync(path.parent)

    def free_bytes(self) -> int | None:
        """Room left where the store lies; None where that has no meaning."""
        place = Path(self.root).absolute()
        while not place.exists():
            place = place.parent
        return shutil.disk_usage(place).free

    @contextlib.contextmanager
    def unfinished(self, name: str, mode: int = 0o644) -> Iterator[BinaryIO]:
        """A file that becomes `name` when the block ends well, and nothing when it does not."""
        with self.temporary(mode) as (path, file):
            yield file
            finish(file)
            target = self.local_path(name)
            make_folder(target.parent)
            with self.publishing():
                os.replace(path, target)
                sync(target.parent)

    def publishing(self) -> contextlib.AbstractContextManager[None]:
        """Held while a finished file gets its name."""
        return contextlib.nullcontext()

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
        """Remove what killed processes left unfinished; how many files that were."""
        removed = 0
        for path in Path(self.root, UNFINISHED).glob("*"):
            with contextlib.suppress(FileNotFoundError):  # its writer was faster
                if Writer.left_behind(path):
                    path.unlink()
                    removed += 1
        return removed


class Writer(NamedTuple):
    """The process that writes a file, as told by the file's name."""

    host: str
    pid: int
    started: str  # seconds; a process number comes back, with another start

    @classmethod
    def this(cls) -> "Writer":
        """The process that asks."""
        host = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
        return cls(host, os.getpid(), start_of(os.getpid()))

    @classmethod
    def left_behind(cls, path: Path) -> bool:
        """Whether the writer of the unfinished file `path` is gone."""
        if time.time() - path.stat().st_mtime > FORGOTTEN_SECONDS:
            return True
        here = cls.this()
        host, pid, started, *_ = [*path.name.split("."), "", "", ""]
        # A process of another machine or container cannot be asked for: only time tells.
        return host == here.host and pid.isdigit() and start_of(int(pid)) != started

    def __str__(self) -> str:
        return f"{self.host}.{self.pid}.{self.started}"


def start_of(pid: int) -> str:
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
        sync(folder.parent)


def finish(file: BinaryIO) -> None:
    """Bring the content of `file` to the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """Bring the entries of `folder` to the disk; a rename alone may be lost in a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
