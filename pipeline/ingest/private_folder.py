"""The private folder of a store: its key, delivery lists, scan index and messages.

It is the only place that may hold names of delivered files and folders. It is outside the store,
with mode 0700. With it, rows can be linked back to people; with the store alone they cannot.
"""

import datetime
import fcntl
import hashlib
import hmac
import os
import re
import secrets
import sys
import unicodedata
from pathlib import Path

from pipeline.atomic_files import AtomicFiles
from pipeline.errors import StoreError

KEY_BYTES = 32
WHOLE_NUMBER = re.compile(r"([0-9]+)(?:[.,]0*)?")


class Keys:
    """Keyed hashes, by which equal texts are recognised without being stored."""

    def __init__(self, key: bytes):
        self._key = key

    def __reduce__(self):
        # The key would be sent along, over networks and into the memory of schedulers.
        raise TypeError("the private folder of a store is opened on its own machine, never sent")

    def keyed(self, purpose: str, text: bytes | str) -> str:
        """First 32 hex digits of HMAC-SHA-256; `purpose` separates kinds of text."""
        data = text if isinstance(text, bytes) else os.fsencode(text)
        return hmac.digest(self._key, purpose.encode() + b"\0" + data, hashlib.sha256).hex()[:32]

    @property
    def check_value(self) -> str:
        """A text that identifies the key without revealing it; kept in store.json."""
        return self.keyed("check", "")

    def patient_key(self, patient: str) -> str:
        """The keyed hash of a patient ID, trimmed and NFKC, so that spellings of it are equal.

        `1001.0` is `1001`: spreadsheets and pandas write whole numbers in this way.
        """
        normal = _normal(patient)
        whole = WHOLE_NUMBER.fullmatch(normal)
        return self._patient_key(whole[1] if whole else normal)

    def patient_keys(self, patient: str) -> set[str]:
        """The key of a patient, and those that earlier versions made of its other spellings."""
        normal = _normal(patient)
        spellings = {normal}
        if whole := WHOLE_NUMBER.fullmatch(normal):
            spellings |= {whole[1], f"{whole[1]}.0", f"{whole[1]},0"}
        return {self._patient_key(each) for each in spellings}

    def _patient_key(self, spelling: str) -> str:
        # Damaged UTF-7 or JSON text can contain half a surrogate pair.
        return self.keyed("patient", spelling.encode("utf-8", "surrogatepass"))


def temporary_keys() -> Keys:
    """Keys that nothing is stored with, to count patients."""
    return Keys(secrets.token_bytes(KEY_BYTES))


class PrivateFolder(Keys):
    """An opened private folder with the store's key."""

    def __init__(self, root: Path, key: bytes):
        super().__init__(key)
        self.root = root

    def path(self, *names: str) -> Path:
        """A path in the folder; its parent is created, readable by the owner only."""
        path = self.root.joinpath(*names)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole or not at all, readable by the owner only."""
        with _files(self.root).writing(self.root / name, 0o600) as file:
            file.write(data)

    def sweep(self) -> int:
        """Remove unfinished files of killed processes; return how many."""
        return _files(self.root).sweep()

    def log_message(self, message: str) -> None:
        """Log a message that may name a delivered file: to messages.log and a terminal only."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        # Names that are not UTF-8 arrive as surrogates, which UTF-8 cannot encode.
        line = message.encode("utf-8", "backslashreplace").decode().replace("\n", " ")
        descriptor = os.open(
            self.path("messages.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
        )
        with os.fdopen(descriptor, "w", encoding="utf-8") as log:
            # Over NFS, two machines that append at the same time overwrite each other's lines.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            log.write(f"{now} {line}\n")
        if sys.stderr.isatty():
            print(line, file=sys.stderr)


def open_private_folder(root: Path, may_create: bool) -> PrivateFolder:
    """Open the private folder; its key is created on first use and never replaced.

    Raises StoreError when the key is missing although the store was written with one
    (`may_create` False), or when the folder cannot be written.
    """
    key_file = root / "key"
    try:
        if not key_file.exists():
            if not may_create:
                raise StoreError(
                    f"The key of this store is missing: {key_file} does not exist. Without it "
                    "patients cannot be recognised again. Restore it from your backup, or set "
                    "DENTAL_PRIVATE to the folder that holds it."
                )
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Two runs may start at once: the first one's key stays, and both use it.
            key = secrets.token_hex(KEY_BYTES) + "\n"
            _files(root).create(key_file, key.encode(), 0o600)
        key = bytes.fromhex(key_file.read_text(encoding="utf-8").strip())
    except (OSError, ValueError) as error:
        raise StoreError(
            f"The private folder {root} cannot be used: {error}. Make it a folder that you may "
            "write to, or set DENTAL_PRIVATE to one."
        ) from None
    if len(key) != KEY_BYTES:
        raise StoreError(
            f"{key_file} holds {len(key)} bytes, a key has {KEY_BYTES}. Restore it from a backup."
        )
    return PrivateFolder(root, key)


def _files(root: Path) -> AtomicFiles:
    return AtomicFiles(root, folder_mode=0o700)


def _normal(patient: str) -> str:
    return unicodedata.normalize("NFKC", patient).strip()
