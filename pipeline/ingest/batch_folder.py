"""The folder of a batch: a local folder or a prefix on S3.

An `S3Folder` has the methods of `Path` that are used for batch folders, so callers need not know
where a batch is stored. Files are identified by paths relative to the folder, as bytes.
"""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pipeline.s3 import Facts

SCHEME = "s3://"
AT_ONCE = 32  # parallel requests


class State(NamedTuple):
    """Size and time of a file, by which a change is noticed without reading it."""

    size: int
    mtime_ns: int


class S3Folder(os.PathLike):
    """The objects below s3://BUCKET/PREFIX; slashes in their names separate folders."""

    def __init__(self, url: str):
        from pipeline.s3 import Prefix  # only S3 needs its imports; workers do without

        self.objects = Prefix.of(url)
        self._prefetched: dict[bytes, bytes] = {}

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
        return self  # S3 has neither links nor a working folder

    def folders(self) -> list["S3Folder"]:
        """The folders directly below it, sorted by name."""
        return [S3Folder(f"{self}/{name}") for name in sorted(self.objects.folders())]

    def files(self) -> list[str]:
        """The names of the objects directly below it."""
        return list(self.objects.files())

    def fetch(self, paths: Iterable[bytes]) -> None:
        """Fetch these in parallel and keep each until it is read; a failed one is read then."""
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for path, data in zip(paths, threads.map(self._fetch, paths), strict=True):
                if data is not None:
                    self._prefetched[path] = data

    def _fetch(self, path: bytes) -> bytes | None:
        try:
            return self.read(path)[0]
        except OSError:
            return None

    def read(self, path: bytes) -> tuple[bytes, State]:
        """Content and state of one object, in one request."""
        data, facts = self.objects.get(path.decode())
        return data, state_of(facts)

    def read_start(self, path: bytes, count: int) -> bytes:
        """The first `count` bytes of one object, fewer if it is shorter."""
        return self.objects.get_start(path.decode(), count)

    def read_prefetched(self, path: bytes) -> bytes:
        """The content of one object, from what `fetch` kept if it is there."""
        return self._prefetched[path] if path in self._prefetched else self.read(path)[0]


BatchFolder = Path | S3Folder


def state_of(facts: "Facts") -> State:
    """The state of an object, in whole seconds: S3 gives fractions only in listings."""
    return State(facts.size, int(facts.modified.timestamp()) * 10**9)


def folder_at(text: str | Path) -> BatchFolder:
    """The folder at a path or s3:// address. Raises ConfigError for a malformed address."""
    return S3Folder(str(text)) if str(text).startswith(SCHEME) else Path(text)


def state_at(folder: BatchFolder, path: bytes) -> State | None:
    """The current state of the file `path` in a folder, links followed; None without a file."""
    if isinstance(folder, S3Folder):
        facts = folder.objects.head(path.decode())
        return None if facts is None else state_of(facts)
    try:
        now = os.stat(os.path.join(os.fsencode(folder), path))
    except OSError:
        return None
    return State(now.st_size, now.st_mtime_ns)


def address_of(folder: BatchFolder, path: bytes) -> str:
    """The address of the file `path` in a folder, as people write it."""
    return os.fsdecode(os.path.join(os.fsencode(folder), path))


def full_address(address: str) -> bytes:
    """The absolute address of a file, links in its folder resolved.

    The file itself may be a link, which is delivered as a link.
    """
    if address.startswith(SCHEME):
        return address.encode()
    path = Path(address)
    return os.path.join(os.fsencode(path.absolute().parent.resolve()), os.fsencode(path.name))


def full_path(folder: BatchFolder) -> PurePosixPath:
    """The address of a folder with links resolved, whose parents are those of the folder."""
    return PurePosixPath(os.fspath(folder.resolve()))


def content_at(address: str) -> bytes | None:
    """The bytes of the file at a path or s3:// address; None without a file. Raises OSError."""
    if not address.startswith(SCHEME):
        return Path(address).read_bytes() if Path(address).is_file() else None
    folder, _, name = address.rpartition("/")
    try:
        return S3Folder(folder).read(name.encode())[0]
    except FileNotFoundError:
        return None
