"""A store in a folder on a disk: the file operations that `Store` needs.

Locks are the kernel's (flock): they end with their owner, however it ends, so none is ever stale.
"""

import contextlib
import mmap
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from pipeline.atomic_files import AtomicFiles, Publishing, make_folder, sync_folder


class LocalFolder:
    """The files below `root`."""

    filesystem = None  # DuckDB and pyarrow open paths themselves

    def __init__(self, root: str):
        self.root = root
        self._files = AtomicFiles(Path(root))

    def path(self, name: str) -> Path:
        return Path(self.root, *name.split("/"))

    def absolute(self) -> str:
        """The absolute path of the root."""
        return str(Path(self.root).absolute())

    def snapshot(self) -> "LocalFolder":
        return self  # listing a folder again is cheap

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
            folder_path = Path(here).relative_to(self.root)
            found += [(folder_path / each).as_posix() for each in files if not each.startswith(".")]
        return sorted(found)

    def versions(self, folder: str) -> list[str]:
        found = ((name, self.path(name).stat()) for name in self.names(folder))
        return [f"{name} {facts.st_size} {facts.st_mtime_ns}" for name, facts in found]

    def address(self, name: str) -> str:
        return str(self.path(name))

    def parquet(self, name: str, columns: object, groups: object) -> Path:
        return self.path(name)  # pyarrow reads only what it needs from a path

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
        with self.unfinished(name, mode, publishing, lambda: replaces) as file:
            file.write(data)

    def try_writing(self, name: str) -> None:
        with self.unfinished(name, 0o644, contextlib.nullcontext, lambda: True):
            pass

    def create(self, name: str, data: bytes) -> bool:
        return self._files.create(self.path(name), data, 0o644)

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
        folder = Path(self.root).absolute()
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free

    @contextlib.contextmanager
    def unfinished(
        self, name: str, mode: int, publishing: Publishing, replaces: Callable[[], bool]
    ) -> Iterator[BinaryIO]:
        # Replacing a run's part is harmless, since it has the same bytes: `publishing` keeps a run
        # that has ended from writing rows that were erased meanwhile.
        with self._files.writing(self.path(name), mode, publishing) as file:
            yield file

    def sweep(self) -> int:
        return self._files.sweep()

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
