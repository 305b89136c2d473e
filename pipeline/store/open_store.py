"""Open a store with its private folder, and refuse one that was written with another key."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline import schemas
from pipeline.config import Settings
from pipeline.errors import StoreError
from pipeline.ingest.private_folder import PrivateFolder, open_private_folder
from pipeline.store.locks import batch_lock
from pipeline.store.store import Store
from pipeline.store.store_json import STORE_JSON, read_store_json, readable
from pipeline.store.tables import SCANS


@dataclass(frozen=True)
class OpenStore:
    """A store that may be written to, and its private folder."""

    settings: Settings
    store: Store
    private: PrivateFolder


def open_for_writing(settings: Settings) -> OpenStore:
    """Open the store, creating it if missing; StoreError when it cannot be used."""
    store = Store(settings.store)
    private_folder = settings.private_folder  # first, since a store on S3 needs the setting
    about = read_store_json(store)
    with readable(store):
        lost = about is None and SCANS.names(store)
    if lost:
        raise StoreError(
            f"{settings.store} holds scans but no {STORE_JSON}, so its key cannot be checked. "
            f"Restore {STORE_JSON} from your backup, or set `store` to another folder."
        )
    if Path(store.absolute_root()).resolve() in private_folder.resolve().parents:
        raise StoreError(
            f"The private folder {private_folder} lies inside the store {settings.store}, so "
            "readers of the store could read it too. Set DENTAL_PRIVATE to a folder elsewhere."
        )
    private = open_private_folder(private_folder, may_create=about is None)
    try:
        if about is None:
            store.create(STORE_JSON, _described(private))
            about = read_store_json(store)  # another run may have created it first
        store.try_writing(".locks/writable")
    except OSError as error:
        raise StoreError(
            f"The store {settings.store} cannot be written: {error.strerror}. Give yourself the "
            "right to write there, or set `store` to another folder."
        ) from None
    _require_its_key(about, private, settings)
    return OpenStore(settings, store, private)


@contextmanager
def hold_batch(opened: OpenStore, batch: str) -> Iterator[None]:
    """Keep other runs off a batch, and remove what a killed one left unfinished."""
    with batch_lock(opened.store, batch):
        opened.store.sweep()
        opened.private.sweep()
        yield


def _described(private: PrivateFolder) -> bytes:
    about = {"schema": schemas.VERSION, "key_check": private.check_value}
    return json.dumps(about, indent=1).encode()


def _require_its_key(about: dict, private: PrivateFolder, settings: Settings) -> None:
    if about.get("key_check") != private.check_value:
        raise StoreError(
            f"The key in {settings.private_folder} is not the key of the store {settings.store}: "
            "patients would not be recognised. Set DENTAL_PRIVATE to the private folder of this "
            "store, or `store` to the store of this key."
        )
