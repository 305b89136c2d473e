"""store.json: the schema version that a store was written with, and the check value of its key."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline import schemas
from pipeline.errors import StoreError
from pipeline.store.store import Store

STORE_JSON = "store.json"


def read_store_json(store: Store) -> dict | None:
    """What store.json holds; None when there is none.

    Raises StoreError when the store cannot be read, or has another schema than this version's.
    """
    try:
        with readable(store):
            try:
                found = json.loads(store.read_bytes(STORE_JSON))
            except (FileNotFoundError, NotADirectoryError):
                return None
    except ValueError:
        raise _damaged(store, "not JSON") from None
    if not isinstance(found, dict) or not isinstance(found.get("schema"), int):
        raise _damaged(store, "no schema version in it")
    _require_this_schema(store, found["schema"])
    return found


@contextmanager
def readable(store: Store) -> Iterator[None]:
    """Turn an OSError into a StoreError that says why the store cannot be read."""
    try:
        yield
    except PermissionError:
        raise StoreError(
            f"The store {store.root} may not be read. Give yourself the right to read it, or set "
            "`store` to another folder."
        ) from None
    except OSError as error:
        raise StoreError(
            f"The store {store.root} cannot be read: {error.strerror}. Correct `store`; on S3 look "
            "at the bucket, AWS_ENDPOINT_URL and the credentials."
        ) from None


def _damaged(store: Store, why: str) -> StoreError:
    return StoreError(f"{store.root}/{STORE_JSON} is damaged: {why}. Restore it from your backup.")


def _require_this_schema(store: Store, schema: int) -> None:
    if schema > schemas.VERSION:
        raise StoreError(
            f"The store {store.root} was written by a newer version of dental-pipeline: it has "
            f"schema {schema}, and this version knows schemas up to {schemas.VERSION}. Nothing was "
            "read or changed. Install that version or a newer one, or set `store` to another store."
        )
    if schema < schemas.VERSION:
        raise StoreError(
            f"The store {store.root} was written by an earlier version of dental-pipeline: it has "
            f"schema {schema}, and this version reads schema {schemas.VERSION} alone. Use the "
            "version that wrote it, or run its batches again into another store."
        )
