"""Files, scans and patients that were forgotten, so that no later night takes them again.

The list lies in the private folder and holds keyed hashes alone: it answers whether somebody is on
it, and cannot be read. A file is known by its batch, path, size and time, so that planning passes
it over without opening it; a scan by its bytes and a patient by the delivery's id, wherever and
under whatever name they come again.
"""

from collections.abc import Iterable

from pipeline.ingest.list_files import Entry
from pipeline.ingest.private_folder import PrivateFolder

LIST = "forgotten"


class ForgottenList:
    """Everything forgotten so far, as of the moment this was made."""

    def __init__(self, private: PrivateFolder):
        self._private = private
        path = private.root / LIST
        self._hashes = set(path.read_text().split()) if path.exists() else set()

    def has_file(self, batch: str, entry: Entry) -> bool:
        return self._has("file", file_text(batch, entry))

    def has_scan(self, scan_id: str | None) -> bool:
        return scan_id is not None and self._has("scan", scan_id)

    def has_patient(self, patient_key: str | None) -> bool:
        return patient_key is not None and self._has("patient", patient_key)

    def add(
        self, files: Iterable[tuple[str, Entry]], scans: Iterable[str], patients: Iterable[str]
    ) -> None:
        """Put these on the list, which appears whole or stays as it was."""
        self._hashes |= {
            *(self._hash("file", file_text(batch, entry)) for batch, entry in files),
            *(self._hash("scan", scan_id) for scan_id in scans),
            *(self._hash("patient", patient_key) for patient_key in patients),
        }
        self._private.write(LIST, "".join(f"{each}\n" for each in sorted(self._hashes)).encode())

    def _has(self, kind: str, what: bytes | str) -> bool:
        # Most stores have forgotten nobody: no hash is computed then.
        return bool(self._hashes) and self._hash(kind, what) in self._hashes

    def _hash(self, kind: str, what: bytes | str) -> str:
        return self._private.keyed(f"forgotten {kind}", what)


def file_text(batch: str, entry: Entry) -> bytes:
    """What tells one delivered file from another without reading it; no name holds a NUL."""
    return b"\0".join(
        [batch.encode(), entry.path, str(entry.size).encode(), str(entry.mtime_ns).encode()]
    )
