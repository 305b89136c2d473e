"""Delivery lists: which files of a batch make up which part, with their annotations.

A list is written atomically before any part and never changed, except by forgetting; a batch that
grew gets a second list whose part numbers continue. Lists contain file names, so they are stored in
the private folder. With the files themselves they determine a part's bytes: any process writes the
same part.
"""

import datetime
import io
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import ConfigError
from pipeline.ingest.batch_folder import BatchFolder, folder_at
from pipeline.ingest.labels.annotations import Annotation, Annotations, Box
from pipeline.ingest.list_files import Entry, FileList
from pipeline.ingest.patients import Patient
from pipeline.ingest.private_folder import PrivateFolder

BATCH_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
DATE = re.compile(r"\d{4}-?\d{2}-?\d{2}")
LATEST_COLUMNS = ("path", "size", "mtime_ns", "digest", "attempt", "kind")
FORGOTTEN = "forgotten"  # the kind of an erased entry

SCHEMA = pa.schema(
    [
        ("part", pa.int32()),
        ("row", pa.int32()),
        ("attempt", pa.int16()),
        ("path", pa.binary()),  # relative to the batch folder; need not be valid text
        ("size", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("kind", pa.string()),
        ("patient_key", pa.string()),  # hashed already: a list holds file names, no patient ids
        ("annotation", pa.string()),  # JSON, without the patient
        ("digest", pa.string()),  # of the annotation; when it changes, the scan is listed again
        ("patient_from", pa.string()),  # null in lists of earlier versions
    ]
)
GIVEN_SIDE = pa.field("given_side", pa.string())  # of lists with a scan that has one


@dataclass(frozen=True)
class ListedFile:
    """One file of a delivery list."""

    part: int
    row: int
    attempt: int
    entry: Entry
    patient_key: str | None
    annotation: Annotation
    digest: str
    patient_from: str | None = None
    given_side: str | None = None


@dataclass(frozen=True)
class NewFile:
    """A file to be listed, for the first time or again."""

    entry: Entry
    annotation: Annotation
    digest: str
    attempt: int


@dataclass(frozen=True)
class LatestListing:
    """The latest listing of one path."""

    size: int
    mtime_ns: int
    digest: str
    attempt: int
    kind: str


def batch_name(folder: BatchFolder, given: str | None, private: PrivateFolder) -> str:
    """The name a batch is stored under: as given, a date, or a keyed hash of its address."""
    if given is not None:
        if not BATCH_NAME.fullmatch(given) or given.startswith("."):
            raise ConfigError(
                f"`{given}` is not a valid batch name: use 1 to 64 letters, digits, `.`, `_` or "
                "`-`, not beginning with a dot."
            )
        return given
    if DATE.fullmatch(folder.name):
        return folder.name
    return f"batch-{private.keyed('batch', os.fsencode(folder.resolve()))[:12]}"


class DeliveryLists:
    """The delivery lists of one batch."""

    def __init__(self, private: PrivateFolder, batch: str):
        self._private = private
        self.batch = batch
        self._home = private.root / "deliveries" / batch

    @property
    def folder(self) -> BatchFolder:
        """The batch folder, as it was last delivered."""
        try:
            return folder_at(os.fsdecode((self._home / "folder").read_bytes()))
        except FileNotFoundError:
            raise ConfigError(
                f"No batch `{self.batch}` was delivered to this store. Deliver it with "
                f"dental run path/to/folder --name {self.batch}"
            ) from None

    def set_folder(self, folder: BatchFolder) -> None:
        """Store the batch folder's address; flows are given the batch name only."""
        address = os.fsencode(folder.resolve())
        self._private.write(f"deliveries/{self.batch}/folder", address)

    def lists(self) -> list[Path]:
        return sorted(self._home.glob("*.parquet"))

    def sizes(self) -> dict[int, int]:
        """The number of files of every part."""
        sizes: Counter[int] = Counter()
        for path in self.lists():
            sizes.update(*_columns(path, "part"))
        return dict(sizes)

    def parts(self) -> list[int]:
        """The numbers of all parts, ascending without a gap."""
        return sorted(self.sizes())

    def file_sizes(self) -> set[int]:
        """The distinct sizes, in bytes, of all listed files."""
        return {size for path in self.lists() for size in _columns(path, "size")[0]}

    def parts_with_same_sizes(self, number: int) -> list[int]:
        """Earlier parts that list a file of the same size as one of this part, ascending.

        Files of other sizes are other scans, and a file that has changed since is rejected, so no
        other part of the batch can decide what is a duplicate in this part.
        """
        parts_of: dict[int, set[int]] = {}
        for path in self.lists():
            for part, size in zip(*_columns(path, "part", "size"), strict=True):
                parts_of.setdefault(size, set()).add(part)
        shared = set().union(*(parts for parts in parts_of.values() if number in parts))
        return sorted(part for part in shared if part < number)

    def latest(self) -> dict[bytes, LatestListing]:
        """The latest listing of every path."""
        latest: dict[bytes, LatestListing] = {}
        for path in self.lists():
            for name, *facts in zip(*_columns(path, *LATEST_COLUMNS), strict=True):
                latest[name] = LatestListing(*facts)
        return latest

    def part(self, number: int) -> tuple[list[ListedFile], datetime.datetime]:
        """The files of one part, in row order, and when they were listed."""
        for path in self.lists():
            table = pq.read_table(path, filters=[("part", "==", number)])
            if table.num_rows:
                listed_at = pq.read_schema(path).metadata[b"listed_at"].decode()
                rows = [_listed(row) for row in table.to_pylist()]
                return rows, datetime.datetime.fromisoformat(listed_at)
        raise ConfigError(f"Batch `{self.batch}` has no part {number}; run the whole batch again.")

    def unlisted(
        self,
        listing: FileList,
        annotations: Annotations,
        digest_of: Callable[[Entry], str],
        again: frozenset[bytes] = frozenset(),
    ) -> list[NewFile]:
        """Files that are new, that changed or whose annotation did, and `again`."""
        latest, new = self.latest(), []
        for entry in listing.scans:
            digest, before = digest_of(entry), latest.get(entry.path)
            unchanged = before and (before.size, before.mtime_ns, before.digest) == (
                entry.size,
                entry.mtime_ns,
                digest,
            )
            if unchanged and entry.path not in again:
                continue
            annotation = annotations.by_path.get(entry.path, Annotation())
            new.append(NewFile(entry, annotation, digest, before.attempt + 1 if before else 1))
        return new

    def add(
        self,
        files: Sequence[NewFile],
        patient_of: Callable[[Entry], Patient],
        side_of: Callable[[Entry], str | None],
        part_size: int,
    ) -> None:
        """List these files with their patients and given sides, in parts of `part_size`."""
        first, rows = len(self.parts()), []
        for number, file in enumerate(files):
            patient = patient_of(file.entry)
            rows.append(
                {
                    "part": first + number // part_size,
                    "row": number % part_size,
                    "attempt": file.attempt,
                    **asdict(file.entry),
                    "patient_key": patient.key,
                    "annotation": _without_patient(file.annotation),
                    "digest": file.digest,
                    "patient_from": patient.source,
                    "given_side": side_of(file.entry),
                }
            )
        if rows:
            now = datetime.datetime.now(datetime.UTC).isoformat()
            self._write(rows, f"{len(self.lists()):05d}.parquet", now)

    def all_files(self) -> Iterator[ListedFile]:
        """Every listed file, in the order of parts and rows."""
        for path in self.lists():
            yield from map(_listed, pq.read_table(path).to_pylist())

    def erase(self, places: Container[tuple[int, int]]) -> None:
        """Replace the entries at these places (part, row) by empty ones.

        Parts keep their numbers and rows, so that counts reconcile and a part that is written again
        has the same bytes.
        """
        for path in self.lists():
            rows = pq.read_table(path).to_pylist()
            if any((row["part"], row["row"]) in places for row in rows):
                listed_at = pq.read_schema(path).metadata[b"listed_at"].decode()
                erased = [self._erased(row, places) for row in rows]
                self._write(erased, path.name, listed_at)

    def _erased(self, row: dict, places: Container[tuple[int, int]]) -> dict:
        place = row["part"], row["row"]
        if place not in places:
            return row
        entry = Entry(b"\0%d-%d" % place, 0, 0, FORGOTTEN)  # no file name contains a NUL
        annotation = {"annotation": _without_patient(Annotation()), "digest": ""}
        nothing = dict.fromkeys(("patient_key", "patient_from", "given_side"))
        return {**row, **asdict(entry), **annotation, **nothing}

    def _write(self, rows: list[dict], name: str, listed_at: str) -> None:
        given = any(row.get("given_side") for row in rows)
        schema = SCHEMA.append(GIVEN_SIDE) if given else SCHEMA
        schema = schema.with_metadata({"listed_at": listed_at})
        data = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, schema), data, compression="zstd")
        self._private.write(f"deliveries/{self.batch}/{name}", data.getvalue())


def batches(private: PrivateFolder) -> list[str]:
    """Names of all delivered batches."""
    return sorted(path.parent.name for path in private.root.glob("deliveries/*/folder"))


def _columns(path: Path, *names: str) -> list[list]:
    """The values of some columns of a list."""
    # Not pq.read_table, which imports pyarrow.dataset and with it pandas: 0.3 s of CPU.
    with pq.ParquetFile(path) as file:
        table = file.read(columns=list(names))
    return [table[name].to_pylist() for name in names]


def _without_patient(annotation: Annotation) -> str:
    fields = asdict(annotation)
    del fields["patient"]
    if not annotation.no_findings:  # lists of the first version have no such field
        del fields["no_findings"]
    return json.dumps(fields)


def _listed(row: dict) -> ListedFile:
    fields = json.loads(row["annotation"])
    fields["boxes"] = [Box(**box) for box in fields["boxes"]]
    entry = Entry(row["path"], row["size"], row["mtime_ns"], row["kind"])
    annotation = Annotation(**fields)
    return ListedFile(
        row["part"],
        row["row"],
        row["attempt"],
        entry,
        row["patient_key"],
        annotation,
        row["digest"],
        row.get("patient_from"),
        row.get("given_side"),
    )
