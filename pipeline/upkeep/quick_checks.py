"""The checks of `dental doctor` that take no Keras: decoders, file system and store."""

import contextlib
import json
import os
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.config import Settings
from pipeline.imaging.crops import png
from pipeline.ingest.check_decoders import check_decoders, missing_syntaxes
from pipeline.ingest.forgotten_list import FORGETTING
from pipeline.store import catalog
from pipeline.store.locks import SERVER, is_locked
from pipeline.store.open_store import OpenStore, open_for_writing
from pipeline.store.tables import BYTES_PER_SCAN
from pipeline.upkeep.findings import FAILED, OK, REINSTALL, WARNING, Finding, run_all

MIN_FREE_SCANS = 1_000  # fewer scans than this in the free space give a warning
SCHEDULES = catalog.SQL / "doctor" / "schedules.sql"


def check_machine() -> list[Finding]:
    """Check the decoders and the file system."""
    return run_all((each,) for each in (decoders, file_names))


def check_store(settings: Settings) -> list[Finding]:
    """Check a store that can be opened."""
    opened = open_for_writing(settings)
    every = (permissions, versions, free_space, checks, forgetting, schedule)
    return run_all((each, opened) for each in every)


def decoders() -> Iterator[Finding]:
    """Decode sample files of every supported kind."""
    tried = check_decoders()
    wrong = [f"{each.kind}: {each.got}" for each in tried if each.got != each.expected]
    if wrong:
        yield Finding("decoders", FAILED, "; ".join(wrong), REINSTALL)
    else:
        yield Finding("decoders", OK, f"{len(tried)} kinds of files decode correctly")
    if missing := missing_syntaxes():
        message = "no decoder for " + ", ".join(missing)
        yield Finding("DICOM", WARNING, message, f"{REINSTALL}, or export as another syntax")
    else:
        yield Finding("DICOM", OK, "every compressed transfer syntax has a decoder")


def file_names() -> Iterator[Finding]:
    """Check that the file system keeps file names in any script."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, os.fsdecode("Zähne-зубы-歯.png".encode()))
        path.write_bytes(png(np.zeros((8, 8), np.uint8)))
        kept = [each.name for each in Path(folder).iterdir()] == [path.name]
    if kept:
        yield Finding("file names", OK, "the file system keeps names in any script")
    else:
        message = "the file system changes names that are not ASCII"
        yield Finding("file names", WARNING, message, "use another disk")


def permissions(opened: OpenStore) -> Iterator[Finding]:
    """Check that only the owner can read the private folder and the pages."""
    root, store = opened.private.root, opened.store
    owned = [root, root / "key", *root.glob("deliveries/*/*"), *root.glob("messages.log")]
    open_to = [str(path) for path in owned if stat.S_IMODE(path.stat().st_mode) & 0o077]
    pages = store.readable_by_others("reports")
    open_to += pages or []
    if open_to:
        message = f"other users can read {open_to[0]}"
        message += f" and {len(open_to) - 1} more" if len(open_to) > 1 else ""
        yield Finding("privacy", FAILED, message, f"chmod -R go= {root} {store.root}/reports")
    elif pages is None:
        message = "only you can read the private folder; the bucket policy decides about the pages"
        yield Finding("privacy", OK, message)
    else:
        yield Finding("privacy", OK, "only you can read the private folder and the pages")


def versions(opened: OpenStore) -> Iterator[Finding]:
    """Check that a bucket keeps no earlier versions of what was forgotten."""
    try:
        kept = opened.store.keeps_versions()
    except PermissionError:
        return  # only administrators of the bucket may read this
    if kept:
        message = "the bucket keeps earlier versions, so forgotten data remains in them"
        to_do = "add a lifecycle rule that expires noncurrent versions after a day"
        yield Finding("versions", WARNING, message, to_do)


def free_space(opened: OpenStore) -> Iterator[Finding]:
    """Check the free disk space."""
    free = opened.store.free_bytes()
    if free is None:
        return
    scans, message = free // BYTES_PER_SCAN, f"{free / 1e9:.1f} GB free"
    if scans < MIN_FREE_SCANS:
        message += f", enough for about {scans} panoramics"
        to_do = "free some space, or move the store to a larger disk and set `store`"
        yield Finding("free space", WARNING, message, to_do)
    else:
        yield Finding("free space", OK, message)


def checks(opened: OpenStore) -> Iterator[Finding]:
    """Run the SQL checks of the store."""
    with catalog.open_store(opened.store) as con:
        broken = [f"{name} ({len(rows)} rows)" for name, rows in catalog.check(con)]
    if broken:
        to_do = "run the batches of these rows again; if that does not help, restore a backup"
        yield Finding("checks", FAILED, ", ".join(broken), to_do)
    else:
        yield Finding("checks", OK, "the store passes every check")


def forgetting(opened: OpenStore) -> Iterator[Finding]:
    """Check that no `dental forget` was interrupted."""
    if (opened.private.root / FORGETTING).exists():
        to_do = "run the same dental forget … --yes again"
        yield Finding("forgetting", FAILED, "dental forget was interrupted", to_do)


def schedule(opened: OpenStore) -> Iterator[Finding]:
    """Check the schedule in the database of Prefect, without starting Prefect."""
    database = opened.private.root / "prefect" / "prefect.db"
    found = _schedules(database) if database.is_file() else []
    active = [f"{name} ({when})" for name, is_active, when in found if is_active]
    paused = [name for name, is_active, _ in found if not is_active]
    if paused:
        message = f"{', '.join(paused)} is paused and will not run"
        to_do = "resume it in Prefect, or restart dental serve"
        yield Finding("schedule", WARNING, message, to_do)
    if active and not is_locked(opened.store, SERVER):
        message = f"{', '.join(active)}, but no process serves it, so it will not run"
        to_do = "run dental serve; nothing is to do if cron or systemd starts the nightly run"
        yield Finding("schedule", WARNING, message, to_do)
    elif active or not paused:
        yield Finding("schedule", OK, ", ".join(active) or "none is configured")


def _schedules(database: Path) -> list[tuple[str, bool, str]]:
    """Return name, whether it is active, and time of every schedule."""
    address = f"{database.absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
        rows = connection.execute(SCHEDULES.read_text(encoding="utf-8")).fetchall()
    return [(name, bool(active), _times(json.loads(rule))) for name, active, rule in rows]


def _times(rule: dict) -> str:
    if "cron" in rule:
        return f"cron {rule['cron']}, {rule.get('timezone') or 'UTC'}"
    return f"every {rule['interval']} s" if "interval" in rule else "by recurrence rule"
