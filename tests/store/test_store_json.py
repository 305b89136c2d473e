"""A store of another version is refused, whoever asks and for whatever."""

import json

import pytest
from typer.testing import CliRunner

from pipeline import schemas
from pipeline.cli.__main__ import commands
from pipeline.errors import StoreError
from pipeline.store import catalog
from pipeline.store.features import load_features
from pipeline.store.open_store import open_for_writing
from pipeline.store.store import Store
from pipeline.store.store_json import read_store_json
from tests.builders.stores import small_store

NEWER = (
    r"was written by a newer version .* schema 3, .* up to 2\. .* Install that version or a newer"
)
EARLIER = (
    r"was written by an earlier version .* schema 1, .* reads schema 2 alone\. Use the version"
)


@pytest.fixture
def settings(tmp_path):
    return small_store(tmp_path).settings


def rewrite(settings, **changes):
    store = Store(settings.store)
    about = json.loads(store.read_bytes("store.json"))
    store.write_bytes("store.json", json.dumps({**about, **changes}).encode())


@pytest.mark.parametrize(
    ("schema", "message"), [(schemas.VERSION + 1, NEWER), (schemas.VERSION - 1, EARLIER)]
)
def test_a_store_of_another_version_is_neither_written_nor_read(settings, schema, message):
    rewrite(settings, schema=schema)
    for ask in (
        lambda: open_for_writing(settings),
        lambda: catalog.open_store(settings.store),
        lambda: load_features(settings.store),
    ):
        with pytest.raises(StoreError, match=message):
            ask()


def test_a_newer_store_is_reported_before_its_missing_key(settings):
    rewrite(settings, schema=schemas.VERSION + 1)
    (settings.private_folder / "key").unlink()
    with pytest.raises(StoreError, match="newer version"):
        open_for_writing(settings)


@pytest.mark.parametrize(
    "command",
    [
        ("query", "batches"),
        ("evaluate",),
        ("models",),
        ("status",),
        ("explain", "x:whole"),
        ("promote",),
        ("why", "x"),
    ],
    ids=" ".join,
)
def test_no_command_reads_a_newer_store(settings, command):
    rewrite(settings, schema=schemas.VERSION + 1)
    answer = CliRunner().invoke(commands, [*command, "--store", settings.store])
    assert isinstance(answer.exception, StoreError)
    assert "newer version" in str(answer.exception)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"schema": "two"}'])
def test_a_damaged_file_is_named(settings, text):
    Store(settings.store).write_bytes("store.json", text.encode())
    with pytest.raises(StoreError, match=r"store/store.json is damaged: .* Restore it"):
        read_store_json(Store(settings.store))


def test_a_folder_of_parts_alone_can_be_read(store):
    assert read_store_json(store) is None
    catalog.open_store(store).close()
