"""A file system through which DuckDB reads parts on S3, without a DuckDB extension.

DuckDB requests a file's size and time a dozen times per query (2.0). A connection sees the parts
that existed when it was opened, so they are listed once. The small parts of a table, nearly all but
crops and features, are fetched once, in parallel, when the first of them is opened.
"""

import io
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from fsspec import AbstractFileSystem
from fsspec.spec import AbstractBufferedFile

from pipeline.s3 import SCHEME, Facts, Prefix

SMALL = 4 * 2**20  # bytes of a part that is fetched whole
FOOTER = 2**18  # bytes at the end of a larger one, read first in every query
AT_ONCE = 16


class PartsOnS3(AbstractFileSystem):
    """The listed parts, read-only; for one connection."""

    protocol = ("s3",)
    cachable = False  # every connection has its own

    def __init__(self, objects: Prefix, listed: Mapping[str, Facts]):
        super().__init__()
        self.objects, self._listed = objects, listed
        self._whole: dict[str, bytes] = {}
        self._fetched: set[str] = set()  # tables
        self._footers: dict[str, bytes] = {}
        self._changing = threading.Lock()

    def info(self, path: str, **_) -> dict:
        facts = self._listed.get(self.name_of(path))
        if facts is None:
            raise FileNotFoundError(path)
        modified = facts.modified.timestamp()
        return {"name": path, "size": facts.size, "type": "file", "mtime": modified}

    def modified(self, path: str) -> datetime:
        return self._listed[self.name_of(path)].modified

    def ls(self, path: str, detail: bool = True, **_) -> list:
        found = self.info(path)
        return [found] if detail else [found["name"]]

    def _open(self, path: str, mode: str = "rb", **_) -> io.IOBase:
        name = self.name_of(path)
        self._fetch_small(name.partition("/")[0] + "/")
        if name in self._whole:
            return io.BytesIO(self._whole[name])
        return LargePart(self, path, mode=mode, cache_type="none", size=self.info(path)["size"])

    def read_range(self, path: str, start: int, end: int) -> bytes:
        """Some bytes of a large part; its footer is cached."""
        facts = self._listed[self.name_of(path)]
        footer = max(0, facts.size - FOOTER)
        if start < footer:
            return self.objects.get_range(facts, start, end)
        if path not in self._footers:
            self._footers[path] = self.objects.get_range(facts, footer, facts.size)
        return self._footers[path][start - footer : end - footer]

    def name_of(self, path: str) -> str:
        return path.removeprefix(SCHEME).removeprefix(self.objects.url.removeprefix(SCHEME) + "/")

    def _fetch_small(self, table: str) -> None:
        with self._changing:
            if table in self._fetched:
                return
            table_listed = (each for each in self._listed.values() if each.name.startswith(table))
            small = [each.name for each in table_listed if each.size <= SMALL]
            with ThreadPoolExecutor(AT_ONCE) as threads:
                found = threads.map(lambda name: self.objects.get(name)[0], small)
                self._whole |= dict(zip(small, found, strict=True))
            self._fetched.add(table)


class LargePart(AbstractBufferedFile):
    """A part that is too large to fetch whole: the footer is read once, the rest on request."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self.fs.read_range(self.path, start, end)
