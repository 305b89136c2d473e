"""A store: names to bytes, in a folder or on S3, and nothing about tables.

Names are relative, their steps joined by `/`. What is written appears whole or not at all, and
what a killed process left unfinished is never seen under a name.
"""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
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
        scheme, said, _ = self.root.partition("://")
        if said and scheme != "s3":
            raise ConfigError(
                f"The store is {self.root}; expected a folder or s3://BUCKET/PREFIX. Correct "
                "`store`."
            )

    @cached_property
    def place(self) -> "LocalFolder | S3Bucket":
        """What keeps the files."""
        if "://" not in self.root:
            return LocalFolder(self.root)
        from pipeline.store.s3_bucket import S3Bucket  # imports what only S3 needs

        return S3Bucket(self.root)

    def local_path(self, name: str) -> Path:
        """Where `name` lies on this machine, for a store in a folder; it need not exist."""
        return self.place.path(checked_name(name))

    def address(self, name: str) -> str:
        """What DuckDB and pandas call the file `name`."""
        return self.place.address(checked_name(name))

    def absolute_root(self) -> str:
        """The root as it is named from any working folder and machine."""
        return self.place.absolute()

    def snapshot(self) -> "Store":
        """The same store to read from, listed but once where listing costs time."""
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
        """Those of the names that exist; on S3 by one question for every folder of theirs."""
        return self.place.existing([checked_name(name) for name in names])

    def names(self, folder: str) -> list[str]:
        """Names of all files below `folder`, sorted; none when there is no such folder."""
        return self.place.names(checked_name(folder))

    def everything(self) -> list[str]:
        """Names of all files there are, hidden and unfinished ones too."""
        return self.place.everything()

    def read_bytes(self, name: str) -> bytes:
        """The content of `name`; FileNotFoundError when there is none."""
        return self.place.read_bytes(checked_name(name))

    def content(self, name: str) -> contextlib.AbstractContextManager:
        """The content of `name` as bytes to search in, which a disk need not read at once."""
        return self.place.content(checked_name(name))

    def parquet(
        self, name: str, columns: list[str] | None = None, groups: list[int] | None = None
    ) -> Path | BinaryIO:
        """What pyarrow reads `name` from: these columns of these row groups, all by default.

        On S3 they are fetched at once, side by side, before anything is decoded.
        """
        return self.place.parquet(checked_name(name), columns, groups)

    def write_bytes(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """Write `name` whole or not at all, replacing what was there; S3 knows no mode."""
        replaces = self.replaces(name)
        self.place.write(checked_name(name), data, mode, self.publishing, replaces)

    def try_writing(self, name: str) -> None:
        """Write an empty file; OSError when that is not possible.

        Raises StoreError for a place that two writers could not share.
        """
        self.place.try_writing(checked_name(name))

    def create(self, name: str, data: bytes) -> bool:
        """Write `name` whole unless it exists; False when it does. One of many callers wins."""
        return self.place.create(checked_name(name), data)

    def remove(self, name: str) -> None:
        """Remove the file `name`; nothing happens when there is none."""
        self.place.remove(checked_name(name))

    def remove_all(self, folder: str) -> None:
        """Remove everything below `folder`, hidden or not."""
        self.place.remove_all(checked_name(folder))

    def free_bytes(self) -> int | None:
        """Room left where the store lies; None where that has no meaning."""
        return self.place.free_bytes()

    @contextlib.contextmanager
    def unfinished(self, name: str, mode: int = 0o644) -> Iterator[BinaryIO]:
        """A file that becomes `name` when the block ends well, and nothing when it does not."""
        replaces = self.replaces(name)
        with self.place.unfinished(checked_name(name), mode, self.publishing, replaces) as file:
            yield file

    def replaces(self, name: str) -> bool:
        """Whether writing `name` replaces the file that is there; else that file stays."""
        return True

    def publishing(self) -> contextlib.AbstractContextManager[None]:
        """Held while a finished file gets its name."""
        return contextlib.nullcontext()

    def sweep(self) -> int:
        """Remove what killed processes left unfinished; how many files that were."""
        return self.place.sweep()

    def lock(self, name: str, timeout: float) -> contextlib.AbstractContextManager[None]:
        """Hold the lock `name`, whose owner's end ends it; filelock's Timeout after `timeout` s.

        A negative timeout waits for ever. Raises OSError when no lock can be made.
        """
        return self.place.lock(checked_name(name), timeout)

    def is_locked(self, name: str) -> bool:
        """Whether anybody holds the lock `name` now."""
        return self.place.is_locked(checked_name(name))

    def readable_by_others(self, folder: str) -> list[str] | None:
        """Files below `folder` that other users may read; None where no mode says who may."""
        return self.place.readable_by_others(checked_name(folder))

    def keeps_versions(self) -> bool:
        """Whether the place keeps what is replaced or removed."""
        return self.place.keeps_versions()


def checked_name(name: str) -> str:
    """`name` when it is one inside a store; ConfigError otherwise."""
    steps = name.split("/")
    if not name or "" in steps or ".." in steps:
        raise ConfigError(
            f"`{name}` is no name inside a store; names are relative, like models/heads/x."
        )
    return name
