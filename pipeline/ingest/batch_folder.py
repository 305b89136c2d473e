"""Where a batch lies: in a folder of this machine, or below a prefix on S3.

An `S3Folder` answers what is asked here of a `Path` that names a folder, so a batch has one folder
wherever it lies. What is inside is named by paths relative to it, as bytes.
"""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pipeline.s3 import Facts

SCHEME = "s3://"
AT_ONCE = 32  # requests side by side


class State(NamedTuple):
    """What tells one state of a file from another without reading it."""

    size: int
    mtime_ns: int


class S3Folder(os.PathLike):
    """The objects below s3://BUCKET/PREFIX, whose slashes are taken for folders."""

    def __init__(self, url: str):
        from pipeline.s3 import Prefix  # imports what only S3 needs; workers do without

        self.objects = Prefix.of(url)
        self._kept: dict[bytes, bytes] = {}  # what was fetched ahead

    def __fspath__(self) -> str:
        return self.objects.url

    def __str__(self) -> str:
        return self.objects.url

    def __eq__(self, other: object) -> bool:
        return isinstance(other, S3Folder) and self.objects == other.objects

    def __hash__(self) -> int:
        return hash(self.objects)

    @property
    def name(self) -> str:
        return self.objects.url.rsplit("/", 1)[-1]

    def is_dir(self) -> bool:
        return any(True for _ in self.objects.list(most=1))

    def resolve(self) -> "S3Folder":
        return self  # there are neither links nor working folders

    def folders(self) -> list["S3Folder"]:
        """The folders in it, by name."""
        return [S3Folder(f"{self}/{name}") for name in sorted(self.objects.folders())]

    def fetch(self, paths: Iterable[bytes]) -> None:
        """Fetch these side by side and keep each until it is read; what fails is tried then."""
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for path, data in zip(paths, threads.map(self._fetched, paths), strict=True):
                if data is not None:
                    self._kept[path] = data

    def _fetched(self, path: bytes) -> bytes | None:
        try:
            return self.read(path)[0]
        except OSError:
            return None

    def read(self, path: bytes) -> tuple[bytes, State]:
        """Content and state of one object, by one request."""
        data, facts = self.objects.get(path.decode())
        return data, state_of(facts)

    def read_kept(self, path: bytes) -> bytes:
        """The content of one object, which may have been fetched ahead."""
        return self._kept.pop(path) if path in self._kept else self.read(path)[0]


BatchFolder = Path | S3Folder


def state_of(facts: "Facts") -> State:
    """Of an object; S3 tells whole seconds when it is read, and more when it is listed."""
    return State(facts.size, int(facts.modified.timestamp()) * 10**9)


def folder_at(text: str | Path) -> BatchFolder:
    """The folder that a path or an s3:// address names; ConfigError for an impossible address."""
    return S3Folder(str(text)) if str(text).startswith(SCHEME) else Path(text)


def state_at(folder: BatchFolder, path: bytes) -> State | None:
    """The state of the file `path` in a folder now; None when there is none. Links are followed."""
    if isinstance(folder, S3Folder):
        facts = folder.objects.head(path.decode())
        return None if facts is None else state_of(facts)
    try:
        now = os.stat(os.path.join(os.fsencode(folder), path))
    except OSError:
        return None
    return State(now.st_size, now.st_mtime_ns)


def address_of(folder: BatchFolder, path: bytes) -> str:
    """What people call the file `path` in a folder."""
    return os.fsdecode(os.path.join(os.fsencode(folder), path))


def full_address(said: str) -> bytes:
    """What a person calls a file, so that it begins as its folder does; its own link not followed.

    A link is delivered as a link.
    """
    if said.startswith(SCHEME):
        return said.encode()
    path = Path(said)
    return os.path.join(os.fsencode(path.absolute().parent.resolve()), os.fsencode(path.name))


def content_at(said: str) -> bytes | None:
    """The bytes of the file that a person names; None when there is none. Raises OSError."""
    if not said.startswith(SCHEME):
        return Path(said).read_bytes() if Path(said).is_file() else None
    folder, _, name = said.rpartition("/")
    try:
        return S3Folder(folder).read(name.encode())[0]
    except FileNotFoundError:
        return None
