"""Boxes that reviewers draw: findings without a box, boxes at the wrong place, boxes that are none.

A row is a decision about one region of one scan; rows are only appended, and the newest about a
region wins (`sql/views/13_withdrawn_crops.sql`). Every call appends a part for each scan, and the
crop, embedding and scores of a new box are in the parts of the same number and batch. Numbers from
`FIRST` on tell them from the parts of delivery lists.
"""

import datetime
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pipeline.errors import ConfigError
from pipeline.imaging.crops import Place, within
from pipeline.labels import reviewer_problem
from pipeline.store import catalog
from pipeline.store.locks import commit_lock
from pipeline.store.parts import find_rows
from pipeline.store.store import Store
from pipeline.store.tables import REGIONS, SCANS, Table, parse

FIRST = 1_000_000_000  # number of the first part; numbers are those of the order of decisions
MISSED, MOVED, WITHDRAWN = KINDS = ("missed", "moved", "withdrawn")
NAME = re.compile(r"(f\d{4}-)?(whole|(box|tooth|drawn)-\d+-\d+-\d+-\d+)")
SCAN_FACTS = [
    *("batch", "part", "row", "scan_id", "status", "duplicate_of", "patient_key"),
    *("width", "height", "frames", "modality", "panoramic"),
]


class DrawnRegion(NamedTuple):
    """A reviewer's decision about a region of a scan.

    Make one with `missed`, `moved` or `withdrawn`.
    """

    scan_id: str
    batch: str  # any batch that the scan came in, such as that of its crops
    region: str
    kind: str
    source: str  # the reviewer's code
    box: Place | None = None  # in source pixels
    replaces: str | None = None  # the region that a moved box stands for
    tooth: int | None = None
    is_withdrawn: bool = False

    @classmethod
    def missed(
        cls, scan_id: str, batch: str, box: Place, source: str, *, tooth=None, frame=None
    ) -> "DrawnRegion":
        """A finding without a box; `frame` counts from 0 and is None for a scan of one frame."""
        prefix = "" if frame is None else f"f{frame:04d}-"
        return cls(scan_id, batch, drawn_name(box, prefix), MISSED, source, box, tooth=tooth)

    @classmethod
    def moved(
        cls, scan_id: str, batch: str, replaces: str, box: Place, source: str, *, tooth=None
    ) -> "DrawnRegion":
        """Another place for the box `replaces`, a region of any kind, which goes out of force."""
        found = NAME.fullmatch(replaces)
        name = drawn_name(box, (found and found[1]) or "")
        return cls(scan_id, batch, name, MOVED, source, box, replaces, tooth)

    @classmethod
    def withdrawn(cls, scan_id: str, batch: str, region: str, source: str) -> "DrawnRegion":
        """No region: a delivered, found or drawn one goes out of force."""
        return cls(scan_id, batch, region, WITHDRAWN, source, is_withdrawn=True)

    def taken_back(self) -> "DrawnRegion":
        """The decision that takes this one back."""
        return self._replace(is_withdrawn=not self.is_withdrawn)

    @property
    def crop_id(self) -> str:
        return f"{self.scan_id}:{self.region}"


def drawn_name(box: Place, prefix: str = "") -> str:
    """The region of a drawn box; `prefix` names the frame."""
    return "{}drawn-{}-{}-{}-{}".format(prefix, *box)


def append_regions(store: Store, rows: Sequence[DrawnRegion]) -> list[str]:
    """Append the decisions; they are durable when this returns. Return the names of the parts.

    A part has the decisions about one scan. Those that change nothing are left out, and of several
    about a region the last counts. Raises ConfigError, with nothing appended, for a scan that was
    not accepted and for a row that cannot be stored.
    """
    with commit_lock(store):
        scans = {row.scan_id: accepted_scan(store, row.batch, row.scan_id) for row in rows}
        rows = [_checked(row, scans[row.scan_id]) for row in rows]
        names = []
        for scan_id, scan in scans.items():
            decided = {row.region: row for row in rows if row.scan_id == scan_id}
            names += _append(store, scan["batch"], scan_id, decided.values())
    return names


def _append(store: Store, batch: str, scan_id: str, decided: Iterable[DrawnRegion]) -> list[str]:
    stored = REGIONS.rows(store, REGIONS.schema.names, batch)
    earlier = [row for row in stored if row["scan_id"] == scan_id]
    latest = {row["region"]: row for row in earlier}  # names are in the order of their numbers
    drawn = {row["region"] for row in earlier if row["new"]}
    now = datetime.datetime.now(datetime.UTC)
    changed = [row for row in decided if not _repeats(row, latest.get(row.region))]
    if not changed:
        return []
    numbers = [found.number for found in map(parse, store.names(REGIONS.folder)) if found]
    part = REGIONS.pack(batch, max(numbers, default=FIRST - 1) + 1)
    part.add(_stored(row, batch, now, row.region not in drawn) for row in changed)
    store.write_bytes(part.name, part.to_bytes())
    return [part.name]


def _repeats(row: DrawnRegion, latest: dict | None) -> bool:
    if latest is None:
        return False
    facts = (latest["kind"], latest["replaces"], latest["withdrawn"])
    return facts == (row.kind, row.replaces, row.is_withdrawn)


def _stored(row: DrawnRegion, batch: str, now: datetime.datetime, first: bool) -> dict:
    box = row.box or (None, None, None, None)
    return {
        "scan_id": row.scan_id,
        "batch": batch,
        "region": row.region,
        "kind": row.kind,
        **dict(zip("xywh", box, strict=True)),
        "tooth": row.tooth,
        "replaces": row.replaces,
        "source": row.source,
        "drawn_at": now,
        "withdrawn": row.is_withdrawn,
        "new": first and row.kind != WITHDRAWN and not row.is_withdrawn,
    }


def _checked(row: DrawnRegion, scan: dict) -> DrawnRegion:
    """The decision, if it can be stored; its box is clipped to the scan."""
    if row.box is not None:
        inside = within(row.box, scan["width"], scan["height"])
        if not inside.w or not inside.h:
            raise ConfigError(
                f"The box {tuple(row.box)} lies outside the scan, which is {scan['width']} wide "
                f"and {scan['height']} high; boxes are (left, top, width, height) in its pixels."
            )
        prefix = row.region.rpartition("drawn-")[0]
        row = row._replace(box=inside, region=drawn_name(inside, prefix))
    names = {row.region, row.replaces} - {None}
    if wrong := sorted(name for name in names if not _is_of(name, scan["frames"])):
        raise ConfigError(
            f"`{wrong[0]}` is no region of a scan with {scan['frames']} frames; expected one such "
            "as whole or box-10-20-30-40, of several frames with f0003- before it."
        )
    if problem := reviewer_problem(row.source):
        raise ConfigError(f"The box cannot be stored: {problem}.")
    needs_box, needs_replaced = row.kind != WITHDRAWN, row.kind == MOVED
    if (
        row.kind not in KINDS
        or needs_box != (row.box is not None)
        or needs_replaced != (row.replaces is not None)
        or row.region == row.replaces
    ):
        raise ConfigError(
            f"{row} cannot be stored; expected a decision made by DrawnRegion.missed, moved or "
            "withdrawn, and a box that was moved at another place than before."
        )
    return row


def _is_of(name: str, frames: int) -> bool:
    """Whether `name` is a region of a scan with so many frames."""
    found = NAME.fullmatch(name)
    return found is not None and frame_number(name) < frames and bool(found[1]) == (frames > 1)


def frame_number(region: str) -> int:
    """The frame that a region is of: 3 for `f0003-…`, 0 for a scan of one frame."""
    first = region.partition("-")[0]
    return int(first[1:]) if first[1:].isdigit() else 0


def accepted_scan(store: Store, batch: str, scan_id: str) -> dict:
    """The ledger row by which a scan was accepted, in `batch` or where that delivered a copy of it.

    Raises ConfigError when there is none.
    """
    for each in _batches_of(store, batch, scan_id):
        for row in _ledger_rows(store, each, scan_id):
            if row["status"] == "accepted":
                return row
    raise ConfigError(
        f"Batch {batch} has no accepted scan {scan_id}, so no box can be drawn on it."
    )


def _batches_of(store: Store, batch: str, scan_id: str) -> list[str]:
    copies = {row["duplicate_of"] for row in _ledger_rows(store, batch, scan_id)}
    return [batch, *sorted(copies - {None, batch})]


def _ledger_rows(store: Store, batch: str, scan_id: str) -> list[dict]:
    return [
        row
        for name in SCANS.names(store, batch)
        for row in find_rows(
            store, name, SCANS.schema, "scan_id", [scan_id], SCAN_FACTS
        ).to_pylist()
    ]


def new_boxes(store: Store, batch: str, number: int) -> list[dict]:
    """The rows of one part that drew a box first, whose crops belong to the part."""
    return [row for row in REGIONS.read(store, batch, number).to_pylist() if row["new"]]


def parts_without(store: Store, batch: str, table: Table) -> list[int]:
    """Numbers of the parts of a batch that drew a box of which `table` has no part."""
    missing = table.missing(store, batch, REGIONS.numbers(store, batch))
    return [number for number in missing if new_boxes(store, batch, number)]


def withdrawn_crops(store: Store) -> frozenset[str]:
    """Ids of the crops that are out of force, which parts still have."""
    if not store.names(REGIONS.folder):
        return frozenset()
    with catalog.open_store(store, "withdrawn_crops") as con:
        return frozenset(con.table("withdrawn_crops").to_arrow_table()["crop_id"].to_pylist())
