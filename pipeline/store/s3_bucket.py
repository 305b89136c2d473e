"""A store on S3, below one prefix of a bucket: the file operations that `Store` needs.

A file is built in memory and sent as one PUT, so that it appears whole or not at all: a stream that
breaks off would publish a truncated object. Listings are never cached, since other machines write
too.
"""

import contextlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

from fsspec.parquet import open_parquet_file

from pipeline.atomic_files import FORGOTTEN_SECONDS, Publishing
from pipeline.errors import ConfigError, StoreError
from pipeline.s3 import Prefix, WriteConflict, explain_errors, filesystem
from pipeline.store.duckdb_on_s3 import PartsOnS3
from pipeline.store.s3_locks import S3Lock, require_held

LARGEST = 5 * 2**30  # bytes of one PUT
AT_ONCE = 16  # parallel listings


class S3Bucket:
    """The objects below `root`, s3://BUCKET/PREFIX."""

    def __init__(self, root: str):
        self.root = root.rstrip("/")
        self._objects = Prefix.of(root)

    def path(self, name: str) -> None:
        raise ConfigError(f"{name} of the store {self.root} is not a file on this machine.")

    def snapshot(self) -> "Snapshot":
        return Snapshot(self.root)

    def absolute(self) -> str:
        return self.root

    def exists(self) -> bool:
        try:
            return any(True for _ in self._objects.list(most=1))
        except OSError as error:
            raise StoreError(
                f"The store {self.root} cannot be read: {error.strerror}. Correct `store`, or look "
                "at the bucket, AWS_ENDPOINT_URL and the credentials."
            ) from None

    def has(self, name: str) -> bool:
        return self._objects.head(name) is not None

    def existing(self, names: Iterable[str]) -> set[str]:
        requested = set(names)
        folders = sorted({os.path.dirname(name) for name in requested})
        with ThreadPoolExecutor(AT_ONCE) as threads:
            return requested.intersection(*[set().union(*threads.map(self.names, folders))])

    def names(self, folder: str) -> list[str]:
        below = "" if folder == "." else f"{folder}/"
        found = self._all_below(below)
        return [name for name in found if not _hidden(name.removeprefix(below))]

    def versions(self, folder: str) -> list[str]:
        found = self._objects.list(f"{folder}/")
        return [f"{facts.name} {facts.size} {facts.etag}" for facts in found]

    def _all_below(self, below: str) -> Iterator[str]:
        return (facts.name for facts in self._objects.list(below))

    def everything(self) -> list[str]:
        return [facts.name for facts in self._objects.list()]

    def address(self, name: str) -> str:
        return f"{self.root}/{name}"

    def parquet(self, name: str, columns: list[str] | None, groups: list[int] | None) -> BinaryIO:
        if not columns and groups is None:
            return io.BytesIO(self.read_bytes(name))
        path = self.address(name).removeprefix("s3://")
        with explain_errors():
            return open_parquet_file(
                path, fs=filesystem(), columns=columns, row_groups=groups, engine="pyarrow"
            )

    def read_bytes(self, name: str) -> bytes:
        return self._objects.get(name)[0]

    @contextlib.contextmanager
    def content(self, name: str) -> Iterator[bytes]:
        yield self.read_bytes(name)

    def write(
        self, name: str, data: bytes, mode: int, publishing: Publishing, replaces: bool
    ) -> None:
        with publishing():
            if replaces:
                self._put(name, data)
            else:
                # An existing file has the same bytes, or was replaced by an erasure since.
                self.create(name, data)

    @contextlib.contextmanager
    def unfinished(
        self, name: str, mode: int, publishing: Publishing, replaces: Callable[[], bool]
    ) -> Iterator[BinaryIO]:
        with io.BytesIO() as file:
            yield file
            self.write(name, file.getvalue(), mode, publishing, replaces())

    def try_writing(self, name: str) -> None:
        self._objects.put(name, b"")
        for refused in ({"new": True}, {"instead_of": '"of nothing"'}):
            try:
                self._objects.put(name, b"", **refused)
            except WriteConflict:
                continue
            raise StoreError(
                f"The S3 service of {self.root} does not support If-None-Match and If-Match, which "
                "keep two runs apart. Set `store` to a folder, or to an S3 service that does."
            )

    def create(self, name: str, data: bytes) -> bool:
        try:
            self._put(name, data, new=True)
        except WriteConflict:
            # It may be our own, when the answer to a first attempt was lost.
            return self.read_bytes(name) == data
        return True

    def _put(self, name: str, data: bytes, new: bool = False) -> None:
        if len(data) > LARGEST:
            raise StoreError(
                f"{name} has {len(data) / 1e9:.1f} GB, and S3 takes at most {LARGEST / 1e9:.1f} GB "
                "at once. Lower `part_size`, the number of scans per part."
            )
        require_held(self.root)
        self._objects.put(name, data, new=new)

    def remove(self, name: str) -> None:
        require_held(self.root)
        self._objects.delete([name])

    def remove_all(self, folder: str) -> None:
        require_held(self.root)
        self._objects.delete([facts.name for facts in self._objects.list(f"{folder}/")])

    def free_bytes(self) -> None:
        return None

    def sweep(self) -> int:
        """Abort multipart uploads that were not finished within a day.

        None are ours, but tools that copy a store start them, and their pieces take up space
        unseen. Without the right to list them, that is left to a lifecycle rule of the bucket.
        """
        long_ago, aborted = datetime.now(UTC) - timedelta(seconds=FORGOTTEN_SECONDS), 0
        with contextlib.suppress(PermissionError):
            for key, number, begun in self._objects.uploads():
                if begun < long_ago:
                    self._objects.abort(key, number)
                    aborted += 1
        return aborted

    @contextlib.contextmanager
    def lock(self, name: str, timeout: float) -> Iterator[None]:
        with S3Lock(self.root, self._objects, name).acquire(timeout):
            yield

    def is_locked(self, name: str) -> bool:
        return S3Lock(self.root, self._objects, name).is_held()

    def readable_by_others(self, folder: str) -> None:
        return None

    def keeps_versions(self) -> bool:
        return self._objects.keeps_versions()


class Snapshot(S3Bucket):
    """The objects that existed when this was made, by one listing."""

    def __init__(self, root: str):
        super().__init__(root)
        self._listed = {facts.name: facts for facts in self._objects.list()}

    @property
    def filesystem(self) -> PartsOnS3:
        """A file system for one DuckDB connection, which then needs no extension."""
        return PartsOnS3(self._objects, self._listed)

    def _all_below(self, below: str) -> Iterator[str]:
        return (name for name in self._listed if name.startswith(below))


def _hidden(name: str) -> bool:
    return any(step.startswith(".") for step in name.split("/"))
