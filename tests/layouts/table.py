"""What becomes of every layout: by `dental check`, and by a run into a small store."""

import tempfile
from pathlib import Path

from pipeline import config
from pipeline.report.batch_summary import format_summary
from pipeline.report.delivery_lines import delivery_parts
from pipeline.stages.check_folder import FolderCheck, check_folder
from pipeline.store import catalog
from tests.builders.stores import process_folder, small_store
from tests.layouts.folder import Folder
from tests.layouts.layouts import LAYOUTS, Layout

HEADER = ["layout", "scans", "labels", "teeth", "patients", "not taken or not used"]


def built(layout: Layout, root: Path) -> Path:
    """The folder of a layout, filled."""
    folder = Folder(root / layout.name)
    layout.build(folder)
    folder.age()
    return folder.root


def checked(layout: Layout, root: Path) -> tuple[FolderCheck, list[str]]:
    """What `dental check` finds in a layout, and its row in the table of the documents."""
    settings = config.load(store=str(root / "store"), workers=1, **layout.settings)
    found = check_folder(built(layout, root), settings)
    return found, row_of(layout, found, settings)


def row_of(layout: Layout, found: FolderCheck, settings: config.Settings) -> list[str]:
    counts = found.counts
    parts = delivery_parts(counts, settings)
    left = [*parts["left-out"], *parts["not-used"]]
    if counts.unmatched_files:
        left.insert(0, "**exit status 2**: most lines of the table match no scan")
    labels, teeth = sum(counts.classes.values()), counts.teeth
    scans = sum(counts.formats.values())
    patients = "; ".join(parts["patients"]).replace(": each counts as its own patient", "")
    return [layout.title, *map(str, (scans, labels, teeth)), patients, "; ".join(left)]


def check_rows() -> list[list[str]]:
    """A row for every layout, from `dental check` alone."""
    with tempfile.TemporaryDirectory() as root:
        return [checked(each, Path(root) / each.name)[1] for each in LAYOUTS]


def run_values(layout: Layout, root: Path) -> dict:
    """Counts of the store and the lines of the summary, after a run."""
    opened = small_store(root, workers=1, part_size=128, **layout.settings)
    summary = process_folder(opened, built(layout, root))
    with catalog.open_store(opened.store) as con:
        rows = catalog.query(con, "scans_overview")
        labels = len(catalog.query(con, "labelled"))
        crops = con.sql("from features").df() if len(rows) else rows
    return {
        "status": summary.exit_status(opened.settings),
        "accepted": int((rows["status"] == "accepted").sum()),
        "rejected": rows[rows["status"] == "rejected"]["reason"].value_counts().to_dict(),
        "labels": labels,
        "teeth": int(crops["tooth"].notna().sum()) if "tooth" in crops else 0,
        "patients": rows[rows["status"] == "accepted"]["patient_key"].nunique(),
        "patient_keys": list(rows["patient_key"]),
        "lines": format_summary(summary, opened.settings),
    }
