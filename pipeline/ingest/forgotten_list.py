"""The list of forgotten files, scans and patients, which are not taken in again.

It is stored in the private folder and holds keyed hashes only: whether a given patient is on it can
be checked, but the list cannot be read. A file is identified by its batch, path, size and time, so
that planning skips it without opening it; a scan by its bytes and a patient by the delivered id, in
whatever batch and under whatever name they are delivered again.
"""

from collections.abc import Iterable

from pipeline.ingest.list_files import Entry
from pipeline.ingest.private_folder import PrivateFolder

LIST = "forgotten"
FORGETTING = "forgetting.json"  # in the private folder too, as long as `dental forget` is at work


class ForgottenList:
    """What was forgotten before this object was created."""

    def __init__(self, private: PrivateFolder):
        self._private = private
        path = private.root / LIST
        self._hashes = set(path.read_text(encoding="utf-8").split()) if path.exists() else set()

    @property
    def is_empty(self) -> bool:
        return not self._hashes

    def has_file(self, batch: str, entry: Entry) -> bool:
        return self._has("file", file_text(batch, entry))

    def has_scan(self, scan_id: str | None) -> bool:
        return scan_id is not None and self._has("scan", scan_id)

    def has_patient(self, patient_key: str | None) -> bool:
        return patient_key is not None and self._has("patient", patient_key)

    def add(
        self, files: Iterable[tuple[str, Entry]], scans: Iterable[str], patients: Iterable[str]
    ) -> None:
        """Add these to the list, atomically."""
        self._hashes |= {
            *(self._hash("file", file_text(batch, entry)) for batch, entry in files),
            *(self._hash("scan", scan_id) for scan_id in scans),
            *(self._hash("patient", patient_key) for patient_key in patients),
        }
        self._private.write(LIST, "".join(f"{each}\n" for each in sorted(self._hashes)).encode())

    def _has(self, kind: str, identity: bytes | str) -> bool:
        # Most stores have an empty list: no hash is computed then.
        return bool(self._hashes) and self._hash(kind, identity) in self._hashes

    def _hash(self, kind: str, identity: bytes | str) -> str:
        return self._private.keyed(f"forgotten {kind}", identity)


def file_text(batch: str, entry: Entry) -> bytes:
    """Identity of a delivered file without reading it; joined by NUL, which no name contains."""
    return b"\0".join(
        [batch.encode(), entry.path, str(entry.size).encode(), str(entry.mtime_ns).encode()]
    )
