"""A store as a set of named files, in a folder or on S3; it knows nothing about tables.

Names are relative paths with `/`. A file appears whole or not at all, and what a killed process
left unfinished is never visible under a name.
"""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pipeline.errors import ConfigError
from pipeline.store.local_folder import LocalFolder

if TYPE_CHECKING:
    from pipeline.store.s3_bucket import S3Bucket


@dataclass(frozen=True)
class Store:
    """A folder of tables, models and reports; `root` is its path, or s3://BUCKET/PREFIX."""

    root: str

    def __post_init__(self):
        scheme, separator, _ = self.root.partition("://")
        if separator and scheme != "s3":
            raise ConfigError(
                f"The store is {self.root}; expected a folder or s3://BUCKET/PREFIX. Correct "
                "`store`."
            )

    @cached_property
    def place(self) -> "LocalFolder | S3Bucket":
        """The folder or bucket that holds the files."""
        if "://" not in self.root:
            return LocalFolder(self.root)
        from pipeline.store.s3_bucket import S3Bucket  # imports what only S3 needs

        return S3Bucket(self.root)

    def local_path(self, name: str) -> Path:
        """The path of `name` on this machine, for a store in a folder; it need not exist."""
        return self.place.path(checked_name(name))

    def address(self, name: str) -> str:
        """The address of the file `name` for DuckDB and pandas."""
        return self.place.address(checked_name(name))

    def absolute_root(self) -> str:
        """The root as an absolute path or URL, valid in any working folder."""
        return self.place.absolute()

    def snapshot(self) -> "Store":
        """The same store for reading; on S3, listed only once."""
        listed = Store(self.root)
        listed.__dict__["place"] = self.place.snapshot()
        return listed

    def exists(self) -> bool:
        """Whether there is a store, or a folder for one."""
        return self.place.exists()

    def has(self, name: str) -> bool:
        """Whether the file `name` exists, which for a part means that it is finished."""
        return self.place.has(checked_name(name))

    def existing(self, names: Iterable[str]) -> set[str]:
        """Those of the names that exist; on S3 by one listing per folder."""
        return self.place.existing([checked_name(name) for name in names])

    def names(self, folder: str) -> list[str]:
        """Names of all files below `folder`, sorted; none when there is no such folder."""
        return self.place.names(checked_name(folder))

    def versions(self, folder: str) -> list[str]:
        """Every file below `folder` as a text that changes when the file is replaced, sorted."""
        return self.place.versions(checked_name(folder))

    def everything(self) -> list[str]:
        """Names of all files, including hidden and unfinished ones."""
        return self.place.everything()

    def read_bytes(self, name: str) -> bytes:
        """The content of `name`; FileNotFoundError when there is none."""
        return self.place.read_bytes(checked_name(name))

    def content(self, name: str) -> contextlib.AbstractContextManager:
        """The content of `name` to search in, memory-mapped on a disk."""
        return self.place.content(checked_name(name))

    def parquet(
        self, name: str, columns: list[str] | None = None, groups: list[int] | None = None
    ) -> Path | BinaryIO:
        """A source of `name` for pyarrow: these columns of these row groups, all by default.

        On S3 they are fetched in parallel before anything is decoded.
        """
        return self.place.parquet(checked_name(name), columns, groups)

    def write_bytes(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """Write `name` whole or not at all, replacing an existing file; S3 ignores the mode."""
        replaces = self.replaces(name)
        self.place.write(checked_name(name), data, mode, self.publishing, replaces)

    def try_writing(self, name: str) -> None:
        """Write an empty file; OSError when that is not possible.

        Raises StoreError for an S3 service that does not support conditional writes.
        """
        self.place.try_writing(checked_name(name))

    def create(self, name: str, data: bytes) -> bool:
        """Write `name` whole unless it exists; False when it does. One of many callers wins."""
        return self.place.create(checked_name(name), data)

    def remove(self, name: str) -> None:
        """Remove the file `name`; nothing happens when there is none."""
        self.place.remove(checked_name(name))

    def remove_all(self, folder: str) -> None:
        """Remove everything below `folder`, including hidden files."""
        self.place.remove_all(checked_name(folder))

    def free_bytes(self) -> int | None:
        """Free disk space in bytes; None on S3."""
        return self.place.free_bytes()

    @contextlib.contextmanager
    def unfinished(self, name: str, mode: int = 0o644) -> Iterator[BinaryIO]:
        """A file that becomes `name` when the block ends without an exception, else vanishes."""
        # Asked when the file is finished, which may be in a commit that began after it.
        replaces = partial(self.replaces, name)
        with self.place.unfinished(checked_name(name), mode, self.publishing, replaces) as file:
            yield file

    def replaces(self, name: str) -> bool:
        """Whether writing `name` replaces the file that is there; else that file stays."""
        return True

    def publishing(self) -> contextlib.AbstractContextManager[None]:
        """A context that is held while a finished file gets its name."""
        return contextlib.nullcontext()

    def sweep(self) -> int:
        """Remove unfinished files of killed processes; return how many."""
        return self.place.sweep()

    def lock(self, name: str, timeout: float) -> contextlib.AbstractContextManager[None]:
        """Hold the lock `name`, which is released when its process ends.

        Raises filelock's Timeout after `timeout` seconds, never when it is negative, and OSError
        when no lock can be made.
        """
        return self.place.lock(checked_name(name), timeout)

    def is_locked(self, name: str) -> bool:
        """Whether any process holds the lock `name` now."""
        return self.place.is_locked(checked_name(name))

    def readable_by_others(self, folder: str) -> list[str] | None:
        """Files below `folder` that other users may read; None on S3, which has no modes."""
        return self.place.readable_by_others(checked_name(folder))

    def keeps_versions(self) -> bool:
        """Whether replaced and removed files are kept as earlier versions, as some buckets do."""
        return self.place.keeps_versions()


def checked_name(name: str) -> str:
    """Return `name` if it is a valid name inside a store; ConfigError otherwise."""
    steps = name.split("/")
    if not name or "" in steps or ".." in steps:
        raise ConfigError(
            f"`{name}` is no name inside a store; names are relative, like models/heads/x."
        )
    return name
