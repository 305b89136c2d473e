"""The private folder of a store: its key, delivery lists, scan index and messages.

This is the one place that may hold what came with a delivery (names of files and folders). It
lies outside the store, mode 0700. Whoever has it can tie rows back to people; whoever has only
the store cannot.
"""

import datetime
import fcntl
import hashlib
import hmac
import os
import secrets
import sys
import unicodedata
from pathlib import Path

from pipeline.atomic_files import AtomicFiles
from pipeline.errors import StoreError

KEY_BYTES = 32


class PrivateFolder:
    """An opened private folder with the store's key."""

    def __init__(self, root: Path, key: bytes):
        self.root = root
        self._key = key

    def __reduce__(self):
        # The key would travel along, into the memory of schedulers and over networks.
        raise TypeError("the private folder of a store is opened where it lies, never sent")

    def keyed(self, purpose: str, text: bytes | str) -> str:
        """First 32 hex digits of HMAC-SHA-256; `purpose` keeps kinds of text apart."""
        data = text if isinstance(text, bytes) else os.fsencode(text)
        return hmac.digest(self._key, purpose.encode() + b"\0" + data, hashlib.sha256).hex()[:32]

    @property
    def check_value(self) -> str:
        """Tells one key from another without giving either away; stands in store.json."""
        return self.keyed("check", "")

    def patient_key(self, patient: str) -> str:
        """The same patient under the same key, however the id was typed: trimmed, NFKC."""
        normal = unicodedata.normalize("NFKC", patient).strip()
        # Half a surrogate pair comes from a damaged UTF-7 or JSON text.
        return self.keyed("patient", normal.encode("utf-8", "surrogatepass"))

    def path(self, *names: str) -> Path:
        """A path in the folder; its parent exists afterwards, readable to the owner alone."""
        path = self.root.joinpath(*names)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path

    def write(self, name: str, data: bytes) -> None:
        """Write a file so that it appears whole or not at all."""
        with _files(self.root).writing(self.root / name, 0o600) as file:
            file.write(data)

    def sweep(self) -> int:
        """Remove what killed processes left unfinished; how many files that were."""
        return _files(self.root).sweep()

    def log_message(self, message: str) -> None:
        """A message that may name a delivered file: to messages.log and to a terminal only."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        # Names that are not UTF-8 arrive as surrogates, which no log encoding can hold.
        line = message.encode("utf-8", "backslashreplace").decode().replace("\n", " ")
        descriptor = os.open(
            self.path("messages.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
        )
        with os.fdopen(descriptor, "w", encoding="utf-8") as log:
            # Over NFS two machines that append at once overwrite each other's lines.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            log.write(f"{now} {line}\n")
        if sys.stderr.isatty():
            print(line, file=sys.stderr)


def open_private_folder(root: Path, may_create: bool) -> PrivateFolder:
    """Open the private folder; its key is made on first use, never replaced.

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
        key = bytes.fromhex(key_file.read_text().strip())
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
