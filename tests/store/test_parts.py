import errno
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import atomic_files, schemas
from pipeline.errors import ArtifactError, ConfigError
from pipeline.store import parts, tables
from pipeline.store.parts import Store
from tests.builders.tables import features_table

WIDTH = 8
SCHEMA = schemas.features(WIDTH)
NAME = tables.features("t0", WIDTH).part("20261123", 0)


def features(count, start=0, values=None):
    """`count` rows whose embeddings are counted from `start`."""
    numbers = np.arange(start * WIDTH, (start + count) * WIDTH).astype(np.float16)
    return features_table(
        np.reshape(numbers if values is None else values, (count, WIDTH)),
        crop_id=[f"{number:032x}:whole" for number in range(start, start + count)],
    )


def all_files(store):
    return sorted(path for path in Path(store.root).rglob("*") if path.is_file())


def leave_unfinished(store, code="os._exit(9)", named=True):
    """Run a process that opens a part and then does `code`, as on NFS if `named`."""
    script = f"""
import os, pathlib, sys, time
from pipeline import atomic_files
from pipeline.store.store import Store
if {named}:
    atomic_files.HANDLES = pathlib.Path("/none")
with Store({store.root!r}).unfinished("scans/b/part-00000.parquet") as file:
    file.write(b"half"); file.flush(); print("open", flush=True)
    {code}
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"open\n"
    return process


def test_a_part_is_read_back_as_written(store):
    table = features(5)
    assert parts.write_part(store, NAME, table, SCHEMA) == NAME
    assert parts.read_part(store, NAME, SCHEMA) == table.cast(SCHEMA)
    assert parts.read_part(store, NAME, SCHEMA, ["crop_id"]) == table.select(["crop_id"])


def test_a_part_without_rows_keeps_its_columns(store):
    parts.write_part(store, NAME, SCHEMA.empty_table(), SCHEMA)
    assert parts.read_part(store, NAME, SCHEMA) == SCHEMA.empty_table()


def test_the_same_rows_give_the_same_bytes_in_whatever_slices_they_come(store):
    parts.write_part(store, NAME, features(700), SCHEMA)
    for number, slices in enumerate([[700], [33] * 21 + [7], [256, 256, 188], [1] * 3 + [697]], 1):
        name = tables.features("t0", WIDTH).part("20261123", number)
        with parts.part_writer(store, name, SCHEMA) as part:
            for start, count in zip(np.cumsum([0, *slices]), slices, strict=False):
                part.write(features(count, start))
        assert store.read_bytes(name) == store.read_bytes(NAME)


def test_slices_of_a_part_have_the_requested_length(store):
    parts.write_part(store, NAME, features(300), SCHEMA)
    slices = list(parts.iter_part(store, NAME, SCHEMA, rows=128, columns=["embedding"]))
    assert [len(each) for each in slices] == [128, 128, 44]
    assert slices[2].column(0).flatten()[0].as_py() == np.float16(256 * WIDTH)


def test_one_crop_can_be_read_without_its_part(store):
    schema, name = schemas.crops(4), tables.crops("r0", 4).part("b", 0)
    columns = {field.name: pa.nulls(130, field.type) for field in schema}
    columns["pixels"] = pa.array([bytes([number]) * 16 for number in range(130)], pa.binary(16))
    parts.write_part(store, name, pa.table(columns), schema)

    facts = pq.read_metadata(store.local_path(name))
    groups = [facts.row_group(number) for number in range(facts.num_row_groups)]
    assert [group.num_rows for group in groups] == [64, 64, 2]
    first, last = groups[0].column(0), groups[0].column(len(schema) - 1)
    assert first.statistics is not None
    assert (last.statistics, last.has_dictionary_page, last.compression) == (None, False, "ZSTD")


def break_off(store):
    """Write more than a row group, then fail."""
    with parts.part_writer(store, NAME, SCHEMA) as part:
        part.write(features(300))
        assert not store.has(NAME)
        raise ZeroDivisionError


def test_an_exception_leaves_nothing_behind(store):
    with pytest.raises(ZeroDivisionError):
        break_off(store)
    assert all_files(store) == []


def test_a_full_disk_leaves_the_part_that_was_there(store, monkeypatch):
    parts.write_part(store, NAME, features(1), SCHEMA)

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic_files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        parts.write_part(store, NAME, features(2), SCHEMA)
    assert all_files(store) == [store.local_path(NAME)]
    assert parts.read_part(store, NAME, SCHEMA).num_rows == 1


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 70000])
def test_embeddings_that_are_not_finite_are_refused(store, value):
    with np.errstate(over="ignore"):
        bad = features(1, values=[0, 1, 2, value, 4, 5, 6, 7])
    with pytest.raises(ArtifactError, match=r"with 1 embedding values .* trunk's weights"):
        parts.write_part(store, NAME, bad, SCHEMA)
    assert all_files(store) == []


def test_a_missing_embedding_is_refused(store):
    column = pa.array([None, [0] * WIDTH], SCHEMA.field("embedding").type)
    table = features(2).set_column(SCHEMA.get_field_index("embedding"), "embedding", column)
    with pytest.raises(ArtifactError, match="1 rows that lack"):
        parts.write_part(store, NAME, table, SCHEMA)


@pytest.mark.parametrize(
    ("says", "change"),
    [
        ("extra is wrong", lambda table: table.append_column("extra", pa.nulls(2))),
        ("trunk is wrong", lambda table: table.drop_columns(["trunk"])),
        (
            "do not fit",
            lambda table: table.set_column(
                table.column_names.index("tooth"), "tooth", pa.array(["a", "b"])
            ),
        ),
    ],
)
def test_a_table_of_other_columns_is_not_written(store, says, change):
    with pytest.raises(ArtifactError, match=says):
        parts.write_part(store, NAME, change(features(2)), SCHEMA)
    assert all_files(store) == []


def test_a_part_of_other_columns_is_not_read(store):
    parts.write_part(store, NAME, features(2), SCHEMA)
    with pytest.raises(ArtifactError, match=r"embedding is missing or of another type.*run its"):
        parts.read_part(store, NAME, schemas.features(WIDTH + 1))
    with pytest.raises(ArtifactError, match="status"):
        next(parts.iter_part(store, NAME, schemas.SCANS))


def test_a_missing_or_damaged_part_is_an_error_that_says_what_to_do(store):
    with pytest.raises(ArtifactError, match=r"part-00000.parquet is missing.*run its batch"):
        parts.read_part(store, NAME, SCHEMA)
    store.write_bytes(NAME, b"PAR1 and then nothing")
    with pytest.raises(ArtifactError, match=r"cannot be read as Parquet.*Remove it"):
        parts.read_part(store, NAME, SCHEMA)


def test_names_lists_all_files_below_except_hidden_ones(store):
    for name in ("a/b/c", "a/d", "a/.hidden/e", "a/.f"):
        store.write_bytes(name, b"x")
    assert store.names("a") == ["a/b/c", "a/d"]
    assert store.names(".") == ["a/b/c", "a/d"]
    assert store.names("none") == []


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a//b", "a/../../b", ""])
def test_a_name_cannot_leave_the_store(store, name):
    with pytest.raises(ConfigError, match="no name inside a store"):
        store.write_bytes(name, b"x")


def test_a_store_with_an_unknown_scheme_is_refused():
    with pytest.raises(ConfigError, match="gs://bucket/store; expected a folder or s3://"):
        Store("gs://bucket/store")


def test_write_bytes_replaces_and_keeps_the_mode(store):
    store.write_bytes("reports/b.html", b"one", mode=0o600)
    store.write_bytes("reports/b.html", b"two", mode=0o600)
    assert store.read_bytes("reports/b.html") == b"two"
    assert store.local_path("reports/b.html").stat().st_mode & 0o777 == 0o600


def test_only_the_first_create_of_a_name_succeeds(store):
    assert store.create("models/promotions/00001.json", b"first")
    assert not store.create("models/promotions/00001.json", b"second")
    assert store.read_bytes("models/promotions/00001.json") == b"first"
    assert all_files(store) == [store.local_path("models/promotions/00001.json")]


def test_removing_a_missing_file_is_no_error(store):
    store.write_bytes("a/b", b"x")
    store.remove("a/b")
    store.remove("a/b")
    store.remove("never/was")
    assert store.names("a") == []


def test_free_bytes_works_before_the_store_exists(tmp_path):
    assert Store(str(tmp_path / "not" / "yet")).free_bytes() > 0


@pytest.mark.skipif(sys.platform != "linux", reason="files without a name are Linux's")
def test_a_killed_process_leaves_nothing_where_files_need_no_name(store):
    process = leave_unfinished(store, "time.sleep(60)", named=False)
    try:
        assert all_files(store) == []
    finally:
        process.kill()
        process.communicate()
    assert all_files(store) == []


def test_sweep_removes_what_a_killed_process_left(store):
    leave_unfinished(store).communicate()
    assert len(all_files(store)) == 1
    assert store.sweep() == 1
    assert all_files(store) == []


def test_sweep_leaves_what_a_living_process_writes(store):
    process = leave_unfinished(store, "time.sleep(60)")
    try:
        assert store.sweep() == 0
        with store.unfinished("mine") as file:
            file.write(b"x")
            assert store.sweep() == 0
        assert store.has("mine")
    finally:
        process.kill()
        process.communicate()
    assert store.sweep() == 1


def test_rows_are_found_by_key_in_any_row_group(store, s3_store):
    for each in (store, s3_store):
        parts.write_part(each, NAME, features(600), SCHEMA)
        ids = parts.read_part(each, NAME, SCHEMA, ["crop_id"])["crop_id"].to_pylist()
        wanted = {ids[3], ids[599], "nobody"}
        found = parts.find_rows(each, NAME, SCHEMA, "crop_id", wanted, ["crop_id", "embedding"])
        assert found["crop_id"].to_pylist() == [ids[3], ids[599]]
        assert found["embedding"][1].as_py()[1] == np.float16(599 * WIDTH + 1)
        none = parts.find_rows(each, NAME, SCHEMA, "crop_id", {"nobody"}, ["embedding"])
        assert parts.embedding_values(none).shape == (0, WIDTH)
        assert (none.num_rows, none.column_names) == (0, ["embedding"])
