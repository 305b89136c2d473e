"""Write an export: a folder in another tool's format, with labels in force and predictions.

The folder is listed in the private folder before anything is written, so that `dental forget` can
name it. `export.json` comes last and describes it.
"""

import csv
import datetime
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from pipeline.config import Settings, nearest
from pipeline.errors import ConfigError, StoreError
from pipeline.export.csv_cell import csv_cell
from pipeline.export.formats.registered import FORMATS, Format
from pipeline.export.job import Export
from pipeline.export.out_folder import DESCRIPTION, make_out_folder, write_json
from pipeline.export.pictures import Pictures, accepted_scans, write_pictures
from pipeline.export.rows import read_rows
from pipeline.ingest.private_folder import PrivateFolder, open_private_folder
from pipeline.report.source_scan import delivered_names
from pipeline.store.catalog import as_store
from pipeline.store.crop_query import CropFilter
from pipeline.store.store import Store
from pipeline.store.store_json import read_store_json
from pipeline.upkeep.list_exports import add_export


@dataclass(frozen=True)
class Request:
    """What is to be exported, and where to."""

    form: str
    out: Path
    kept: CropFilter = field(default_factory=CropFilter)
    names: bool = False
    images: bool = False


@dataclass(frozen=True)
class Exported:
    """What was written: counts by name, and pictures where they were asked for."""

    out: Path
    scans: int
    crops: int
    later_frames: int  # crops left out of a format that shows the first frame of each scan
    counts: dict[str, int]
    pictures: Pictures | None
    listed: bool  # in the private folder
    head: str | None


def write_export(settings: Settings, request: Request) -> Exported:
    """Write an export.

    Raises ConfigError for a request that cannot be met; then nothing was written.
    """
    form = _format(request)
    store = as_store(settings.store)
    private = own_private_folder(settings, store)
    if request.names and private is None:
        raise ConfigError(
            "The names of delivered files are in the private folder of the store, which is not "
            "here. Set DENTAL_PRIVATE to it, or export without --names."
        )
    rows = read_rows(store, request.kept)
    out = make_out_folder(request.out, settings, private and private.root)
    export = Export(settings, store, request.kept, rows, out, private)
    if request.names:
        export = _with_names(export)
    if private is not None:
        add_export(private, out, request.form, rows.scan_ids)
    counts = form.write(export)
    pictures = write_pictures(export, form.picture) if request.images else None
    later = len(rows.crops) - len(rows.first_frames.crops) if form.picture else 0
    done = Exported(
        out=out,
        scans=len(rows.scan_ids),
        crops=len(rows.crops),
        later_frames=later,
        counts=counts,
        pictures=pictures,
        listed=private is not None,
        head=export.head,
    )
    _describe(export, request, done)
    return done


def own_private_folder(settings: Settings, store: Store) -> PrivateFolder | None:
    """The private folder of the store, if it is on this machine and has the store's key."""
    try:
        private = open_private_folder(settings.private_folder, may_create=False)
    except (ConfigError, StoreError):
        return None
    about = read_store_json(store) or {}
    return private if about.get("key_check") == private.check_value else None


def _format(request: Request) -> Format:
    if request.form not in FORMATS:
        raise ConfigError(
            f"There is no format `{request.form}`. {nearest(request.form, [*FORMATS])}"
        )
    form = FORMATS[request.form]
    if request.images and form.picture is None:
        raise ConfigError(
            f"The format {request.form} has no whole pictures; export it without --images."
        )
    if form.names_people and not request.names:
        raise ConfigError(
            f"The format {request.form} refers to the delivered objects and repeats the name and "
            "ID of the patient. Add --names if that is meant."
        )
    return form


def _with_names(export: Export) -> Export:
    """Add delivered names, and write the list of them."""
    scans = pd.DataFrame(accepted_scans(export).values())
    names = delivered_names(export.private, scans)
    files = dict(zip(scans["scan_id"], names, strict=True))
    with (export.out / "names.csv").open("w", encoding="utf-8-sig", newline="") as file:
        rows = zip(scans["scan_id"], scans["batch"], map(csv_cell, names), strict=True)
        csv.writer(file).writerows([("scan_id", "batch", "file"), *rows])
    return replace(export, files=files)


def _describe(export: Export, request: Request, done: Exported) -> None:
    filters = {name: value for name, value in vars(request.kept).items() if value}
    described = {
        "format": request.form,
        "made_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "intended_use": "research, not diagnosis",
        "privacy": "pseudonymised health data" if not request.names else "names people",
        **export.rows.provenance,
        "classes": export.rows.classes,
        "filters": filters,
        "scans": done.scans,
        "crops": done.crops,
        "written": done.counts,
    }
    if done.pictures:
        described["pictures"] = done.pictures.written
        described["missing_pictures"] = done.pictures.missing
    write_json(export.out / DESCRIPTION, described, indent=1)
