"""Whole pictures for an export: the delivered files, decoded again and written as PNG.

The first frame of each scan, in the 8 bits and the orientation that its crops were cut from. A PNG
file has pixels alone, no metadata, and is named by the scan_id. Text burned into the pixels stays.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from PIL import Image

from pipeline.errors import ConfigError, ScanRejected
from pipeline.export.job import Export
from pipeline.progress import progress
from pipeline.report.source_scan import read_source_scan
from pipeline.store.tables import SCANS

COLUMNS = ["scan_id", "batch", "part", "row", "status", "format"]


@dataclass
class Pictures:
    """How many pictures were written, and the scans whose file is gone or cannot be read."""

    written: int = 0
    missing: list[str] = field(default_factory=list)


def accepted_scans(export: Export) -> dict[str, dict]:
    """Batch, part, row and format of the accepted delivery of every scan of the export."""
    wanted = set(export.rows.scan_ids)
    return {
        row["scan_id"]: row
        for row in SCANS.rows(export.store, COLUMNS)
        if row["status"] == "accepted" and row["scan_id"] in wanted
    }


def write_pictures(export: Export, place_of: Callable[[dict], str]) -> Pictures:
    """Write the picture of every scan to `place_of` a row of it, below the export's folder."""
    found, accepted = Pictures(), accepted_scans(export)
    rows = export.rows.crops.drop_duplicates("scan_id")[["scan_id", "side"]].to_dict("records")
    with progress("pictures", len(rows)) as advance:
        for row in rows:
            advance(1)
            scan_id = row["scan_id"]
            scan = accepted[scan_id]
            try:
                frame, *_ = read_source_scan(export.settings, scan_id, scan["batch"], scan["part"])
            except (ConfigError, ScanRejected):
                found.missing.append(scan_id)
                continue
            path = export.out / place_of(row)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(frame).save(path)
            found.written += 1
    return found
