"""Is this installation, and this store, in order? One finding a question, with what to do.

Nothing is changed, whatever is found.
"""

import contextlib
import importlib.metadata
import json
import sqlite3
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from packaging.requirements import Requirement

from pipeline.config import Settings
from pipeline.errors import PipelineError
from pipeline.imaging.crops import png
from pipeline.ingest.check_decoders import check_decoders, missing_syntaxes
from pipeline.stages.plan import BYTES_PER_SCAN
from pipeline.store import catalog
from pipeline.store.base import Store
from pipeline.store.locks import SERVER, is_locked
from pipeline.store.open_store import OpenStore, open_for_writing
from pipeline.store.registry import choose_models, embedder, trunk_home
from pipeline.upkeep import forget

OK, WARNING, FAILED = "ok", "warning", "failed"
ROOM = 1_000  # scans that should find room before anybody is warned
SCHEDULES = catalog.SQL / "doctor" / "schedules.sql"


class Finding(NamedTuple):
    """What was looked at, how it is, in words, and what to do unless it is well."""

    what: str
    state: str  # ok, warning or failed
    words: str
    to_do: str = ""


def run_checks(settings: Settings) -> Iterator[Finding]:
    """Every finding, the quick ones first; a question that raises is a finding too."""
    for question in (python, packages, decoders, names):
        yield from _asked(question)
    yield from _of_store(settings)
    yield from _asked(device)


def _of_store(settings: Settings) -> Iterator[Finding]:
    try:
        if not Store(settings.store).exists():
            yield Finding("store", WARNING, f"there is no {settings.store} yet", "make run-flow")
            return
        opened = open_for_writing(settings)
    except (PipelineError, OSError) as error:
        yield Finding("store and key", FAILED, str(error), "see there; then ask again")
        return
    yield Finding("store and key", OK, f"{settings.store}, and the key is this store's")
    for question in (permissions, versions, room, checks, forgetting, schedule, trunk):
        yield from _asked(question, opened)


def _asked(question: Callable[..., Iterator[Finding]], *about: OpenStore) -> Iterator[Finding]:
    try:
        yield from question(*about)
    except PipelineError as error:
        yield Finding(question.__name__, FAILED, str(error), "see there; then ask again")
    # The others are still to be asked, whatever is broken here.
    except Exception as error:
        what, words = question.__name__, f"{type(error).__name__}: {error}"
        yield Finding(what, FAILED, words, "install the versions of requirements.lock anew")


def python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] < (3, 14):
        yield Finding("Python", OK, version)
    else:
        yield Finding("Python", FAILED, version, "use Python 3.11, 3.12 or 3.13")


def packages() -> Iterator[Finding]:
    """Versions outside the ranges may break Prefect without an error: no schedule ever runs."""
    wrong = []
    for text in importlib.metadata.requires("dental-pipeline") or []:
        wanted = Requirement(text)
        if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            found = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            found = "missing"
        if found == "missing" or not wanted.specifier.contains(found, prereleases=True):
            wrong.append(f"{wanted.name} is {found}, expected {wanted.specifier}")
    prefect = importlib.metadata.version("prefect")
    if wrong:
        yield Finding("packages", FAILED, "; ".join(wrong), "make clean, then make run-flow")
    else:
        yield Finding("packages", OK, f"all as expected; Prefect {prefect}")


def decoders() -> Iterator[Finding]:
    tried = check_decoders()
    wrong = [f"{each.kind}: {each.got}" for each in tried if each.got != each.expected]
    if wrong:
        yield Finding("decoders", FAILED, "; ".join(wrong), "install requirements.lock anew")
    else:
        yield Finding("decoders", OK, f"{len(tried)} kinds of files, as they should be")
    if missing := missing_syntaxes():
        words = "no decoder for " + ", ".join(missing)
        yield Finding(
            "DICOM", WARNING, words, "install requirements.lock anew, or export otherwise"
        )
    else:
        yield Finding("DICOM", OK, "every compressed transfer syntax has a decoder")


def names() -> Iterator[Finding]:
    """Can files be named in any script here?"""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "Zähne-зубы-歯.png")
        path.write_bytes(png(np.zeros((8, 8), np.uint8)))
        kept = [each.name for each in Path(folder).iterdir()] == [path.name]
    if kept:
        yield Finding("file names", OK, "of any script are kept")
    else:
        yield Finding("file names", WARNING, "are changed by this file system", "use another disk")


def permissions(opened: OpenStore) -> Iterator[Finding]:
    """The private folder and the pages are for their owner alone."""
    root, store = opened.private.root, opened.store
    owned = [root, root / "key", *root.glob("deliveries/*/*"), *root.glob("messages.log")]
    open_to = [str(path) for path in owned if stat.S_IMODE(path.stat().st_mode) & 0o077]
    pages = store.readable_by_others("reports")
    open_to += pages or []
    if open_to:
        words = f"others may read {open_to[0]}"
        words += f" and {len(open_to) - 1} more" if len(open_to) > 1 else ""
        yield Finding("privacy", FAILED, words, f"chmod -R go= {root} {store.root}/reports")
    elif pages is None:
        words = "the private folder is yours alone; who reads the pages, the bucket's policy says"
        yield Finding("privacy", OK, words)
    else:
        yield Finding("privacy", OK, "the private folder and the pages are yours alone")


def versions(opened: OpenStore) -> Iterator[Finding]:
    """Does what is forgotten live on as an earlier version?"""
    try:
        kept = opened.store.keeps_versions()
    except PermissionError:
        return  # who may not ask is no administrator of the bucket
    if kept:
        words = "the bucket keeps earlier versions, so what is forgotten stays in them"
        to_do = "let a lifecycle rule expire noncurrent versions after a day"
        yield Finding("versions", WARNING, words, to_do)


def room(opened: OpenStore) -> Iterator[Finding]:
    free = opened.store.free_bytes()
    if free is None:
        return
    scans, words = free // BYTES_PER_SCAN, f"{free / 1e9:.1f} GB free"
    if scans < ROOM:
        words += f", enough for about {scans} panoramics"
        yield Finding("room", WARNING, words, "make room, or set `store` to a larger disk")
    else:
        yield Finding("room", OK, words)


def checks(opened: OpenStore) -> Iterator[Finding]:
    with catalog.open_store(opened.store) as con:
        broken = [f"{name} ({len(rows)} rows)" for name, rows in catalog.check(con)]
    if broken:
        to_do = "run the batches of these rows again; if that does not help, restore a backup"
        yield Finding("checks", FAILED, ", ".join(broken), to_do)
    else:
        yield Finding("checks", OK, "the store passes every check")


def forgetting(opened: OpenStore) -> Iterator[Finding]:
    if forget.unfinished(opened):
        to_do = "run the same dental forget … --yes again"
        yield Finding("forgetting", FAILED, "was interrupted and is not finished", to_do)


def schedule(opened: OpenStore) -> Iterator[Finding]:
    """What Prefect's database says, without starting Prefect."""
    database = opened.private.root / "prefect" / "prefect.db"
    found = _schedules(database) if database.is_file() else []
    active = [f"{name} ({when})" for name, is_active, when in found if is_active]
    paused = [name for name, is_active, _ in found if not is_active]
    if paused:
        words = f"{', '.join(paused)} is paused and will not run"
        yield Finding("schedule", WARNING, words, "resume it in Prefect, or start serving it anew")
    if active and not is_locked(opened.store, SERVER):
        words = f"{', '.join(active)}: but nobody serves it, so it will not run"
        yield Finding(
            "schedule", WARNING, words, "make serve; or leave it, when cron or systemd runs"
        )
    elif active or not paused:
        yield Finding("schedule", OK, ", ".join(active) or "none is configured")


def _schedules(database: Path) -> list[tuple[str, bool, str]]:
    """Name, whether it is active, and when, of everything scheduled."""
    address = f"{database.absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
        rows = connection.execute(SCHEDULES.read_text()).fetchall()
    return [(name, bool(active), _when(json.loads(said))) for name, active, said in rows]


def _when(said: dict) -> str:
    if "cron" in said:
        return f"cron {said['cron']}, {said.get('timezone') or 'UTC'}"
    return f"every {said['interval']} s" if "interval" in said else "by rule"


def device() -> Iterator[Finding]:
    from pipeline.model.backend import device

    yield Finding("device", OK, device())


def trunk(opened: OpenStore) -> Iterator[Finding]:
    """Does the trunk in use still reproduce the embedding that was stored with it?"""
    chosen = choose_models(opened.settings, opened.store)
    if not opened.store.has(f"{trunk_home(chosen.trunk_id)}/card.json"):
        yield Finding("trunk", OK, f"{chosen.trunk_id} is made by the first run")
        return
    try:
        embedder(opened.store, chosen)
    except PipelineError as error:
        yield Finding("trunk", FAILED, str(error), "see there")
    else:
        yield Finding("trunk", OK, f"{chosen.trunk_id} reproduces its golden embedding")
