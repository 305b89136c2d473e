"""The list of exports in the private folder: where each was written, and the scans it has.

`dental forget` names the exports that have a patient. An export lies outside the store, and may
have been copied, so a person deletes it.
"""

import datetime
import json
import secrets
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from pipeline.ingest.private_folder import PrivateFolder

FOLDER = "exports"


def add_export(private: PrivateFolder, out: Path, form: str, scan_ids: Sequence[str]) -> None:
    """List an export, before anything of it is written."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    entry = {"path": str(out), "format": form, "begun_at": now, "scan_ids": list(scan_ids)}
    name = f"{now.replace(':', '')}-{secrets.token_hex(4)}.json"
    private.write(f"{FOLDER}/{name}", json.dumps(entry).encode())


def exports_of(private: PrivateFolder, scan_ids: Collection[str]) -> list[str]:
    """The paths of the exports that have any of these scans, the oldest first."""
    found = (entry["path"] for _, entry in _entries(private) if _has(entry, scan_ids))
    return list(dict.fromkeys(found))


def erase_from_exports(private: PrivateFolder, scan_ids: Collection[str]) -> None:
    """Erase these scans from the list; the exports stay listed."""
    for name, entry in _entries(private):
        if _has(entry, scan_ids):
            left = [each for each in entry["scan_ids"] if each not in scan_ids]
            private.write(name, json.dumps(entry | {"scan_ids": left}).encode())


def _entries(private: PrivateFolder) -> Iterator[tuple[str, dict]]:
    for path in sorted(private.root.glob(f"{FOLDER}/*.json")):
        yield f"{FOLDER}/{path.name}", json.loads(path.read_bytes())


def _has(entry: dict, scan_ids: Collection[str]) -> bool:
    return not set(scan_ids).isdisjoint(entry["scan_ids"])
