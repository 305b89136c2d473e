"""Delivery lists: which files of a batch make which part, with what was said about them.

A list is written whole before any part and never changed, except by forgetting; a grown batch gets
a second list whose part numbers continue. Lists name delivered files, so they lie in the private
folder. They carry everything that decides a part's bytes besides the files' own: any process makes
the same part.
"""

import datetime
import io
import json
import os
import re
from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import ConfigError
from pipeline.ingest.batch_folder import BatchFolder, folder_at
from pipeline.ingest.labels.annotations import Annotation, Annotations, Box
from pipeline.ingest.list_files import Entry, FileList
from pipeline.ingest.private_folder import PrivateFolder

BATCH_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
DATE = re.compile(r"\d{4}-?\d{2}-?\d{2}")
FORGOTTEN = "forgotten"  # the kind of an entry that was emptied

SCHEMA = pa.schema(
    [
        ("part", pa.int32()),
        ("row", pa.int32()),
        ("attempt", pa.int16()),
        ("path", pa.binary()),  # relative to the batch folder; need not be valid text
        ("size", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("kind", pa.string()),
        ("patient_key", pa.string()),  # keyed already: a list holds names, no patient ids
        ("annotation", pa.string()),  # JSON, without the patient
        ("digest", pa.string()),  # of the annotation; a change delivers the scan again
    ]
)


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


@dataclass(frozen=True)
class Known:
    """What the lists of a batch say of one path so far."""

    size: int
    mtime_ns: int
    digest: str
    attempt: int


def batch_name(folder: BatchFolder, given: str | None, private: PrivateFolder) -> str:
    """The name a batch is stored under: given, a date, or a keyed hash of where it lies."""
    if given is not None:
        if not BATCH_NAME.fullmatch(given) or given.startswith("."):
            raise ConfigError(
                f"`{given}` cannot name a batch: a name has 1 to 64 letters, digits, `.`, `_` or "
                "`-` and does not begin with a dot. Choose another NAME."
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
        """Where the batch lies, as it was named last."""
        try:
            return folder_at(os.fsdecode((self._home / "folder").read_bytes()))
        except FileNotFoundError:
            raise ConfigError(
                f"No batch `{self.batch}` was delivered to this store. Deliver it with "
                f"make run-flow BATCH=path/to/folder NAME={self.batch}"
            ) from None

    def lies_in(self, folder: BatchFolder) -> None:
        """Remember where the batch lies; flows are told its name only."""
        where = os.fsencode(folder.resolve())
        self._private.write(f"deliveries/{self.batch}/folder", where)

    def lists(self) -> list[Path]:
        return sorted(self._home.glob("*.parquet"))

    def sizes(self) -> dict[int, int]:
        """How many files each part has, for all parts that were ever listed."""
        sizes: Counter[int] = Counter()
        for path in self.lists():
            sizes.update(pq.read_table(path, columns=["part"])["part"].to_pylist())
        return dict(sizes)

    def parts(self) -> list[int]:
        """Numbers of all parts that were ever listed, ascending without a gap."""
        return sorted(self.sizes())

    def lengths(self) -> set[int]:
        """Bytes of every file that was ever listed."""
        return {
            size
            for path in self.lists()
            for size in pq.read_table(path, columns=["size"])["size"].to_pylist()
        }

    def rivals(self, number: int) -> list[int]:
        """Earlier parts that list a file as long as one of this part's, ascending.

        Files of other lengths are other scans, and one that has changed since is rejected: what is
        a duplicate in this part cannot hang on any other part of the batch.
        """
        parts_of: dict[int, set[int]] = {}
        for path in self.lists():
            table = pq.read_table(path, columns=["part", "size"])
            columns = (column.to_pylist() for column in table.columns)
            for part, size in zip(*columns, strict=True):
                parts_of.setdefault(size, set()).add(part)
        alike = set().union(*(parts for parts in parts_of.values() if number in parts))
        return sorted(part for part in alike if part < number)

    def known(self) -> dict[bytes, Known]:
        """The latest listing of every path."""
        known: dict[bytes, Known] = {}
        for path in self.lists():
            table = pq.read_table(path, columns=["path", "size", "mtime_ns", "digest", "attempt"])
            columns = [column.to_pylist() for column in table.columns]
            for name, *facts in zip(*columns, strict=True):
                known[name] = Known(*facts)
        return known

    def part(self, number: int) -> tuple[list[ListedFile], datetime.datetime]:
        """The files of one part, in row order, and when they were listed."""
        for path in self.lists():
            table = pq.read_table(path, filters=[("part", "==", number)])
            if table.num_rows:
                listed_at = pq.read_schema(path).metadata[b"listed_at"].decode()
                rows = [_listed(row) for row in table.to_pylist()]
                return rows, datetime.datetime.fromisoformat(listed_at)
        raise ConfigError(f"Batch `{self.batch}` has no part {number}; run the whole batch again.")

    def add(
        self,
        listing: FileList,
        annotations: Annotations,
        part_size: int,
        again: frozenset[bytes] = frozenset(),
    ) -> int:
        """List what is new, changed or annotated anew, and these paths `again`; return how many."""
        known, rows = self.known(), []
        first = len(self.parts())
        for entry in listing.scans:
            annotation = annotations.by_path.get(entry.path, Annotation())
            digest = annotation.digest()
            before = known.get(entry.path)
            unchanged = before and (before.size, before.mtime_ns, before.digest) == (
                entry.size,
                entry.mtime_ns,
                digest,
            )
            if unchanged and entry.path not in again:
                continue
            rows.append(
                {
                    "part": first + len(rows) // part_size,
                    "row": len(rows) % part_size,
                    "attempt": before.attempt + 1 if before else 1,
                    **asdict(entry),
                    "digest": digest,
                    **self._stored(annotation),
                }
            )
        if rows:
            now = datetime.datetime.now(datetime.UTC).isoformat()
            self._write(rows, f"{len(self.lists()):05d}.parquet", now)
        return len(rows)

    def _stored(self, annotation: Annotation) -> dict:
        said = asdict(annotation)
        patient = said.pop("patient")
        return {
            "patient_key": self._private.patient_key(patient) if patient else None,
            "annotation": json.dumps(said),
        }

    def everything(self) -> Iterator[ListedFile]:
        """Every file that was ever listed, in the order of parts and rows."""
        for path in self.lists():
            yield from map(_listed, pq.read_table(path).to_pylist())

    def empty(self, places: Container[tuple[int, int]]) -> None:
        """Take out all that was delivered at these places (part, row); the places stay.

        Parts keep their numbers and rows, so that counts reconcile and a part that is made again
        is made of the same bytes.
        """
        for path in self.lists():
            rows = pq.read_table(path).to_pylist()
            if any((row["part"], row["row"]) in places for row in rows):
                listed_at = pq.read_schema(path).metadata[b"listed_at"].decode()
                kept = [self._emptied(row, places) for row in rows]
                self._write(kept, path.name, listed_at)

    def _emptied(self, row: dict, places: Container[tuple[int, int]]) -> dict:
        place = row["part"], row["row"]
        if place not in places:
            return row
        place_alone = Entry(b"\0%d-%d" % place, 0, 0, FORGOTTEN)  # as no file can be named
        said = {"patient_key": None, **self._stored(Annotation()), "digest": ""}
        return {**row, **asdict(place_alone), **said}

    def _write(self, rows: list[dict], name: str, listed_at: str) -> None:
        schema = SCHEMA.with_metadata({"listed_at": listed_at})
        data = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, schema), data, compression="zstd")
        self._private.write(f"deliveries/{self.batch}/{name}", data.getvalue())


def batches(private: PrivateFolder) -> list[str]:
    """Names of all batches that were ever delivered."""
    return sorted(path.parent.name for path in private.root.glob("deliveries/*/folder"))


def _listed(row: dict) -> ListedFile:
    said = json.loads(row["annotation"])
    said["boxes"] = [Box(**box) for box in said["boxes"]]
    entry = Entry(row["path"], row["size"], row["mtime_ns"], row["kind"])
    annotation = Annotation(**said)
    return ListedFile(
        row["part"],
        row["row"],
        row["attempt"],
        entry,
        row["patient_key"],
        annotation,
        row["digest"],
    )
