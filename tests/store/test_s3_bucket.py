import signal
import subprocess
import sys
import threading

import pandas as pd
import pytest

from pipeline import schemas
from pipeline.errors import ArtifactError
from pipeline.s3 import Prefix, WriteConflict
from pipeline.store import catalog, duckdb_on_s3, parts, tables
from pipeline.store.features import load_features
from tests.builders.s3_server import KillAt
from tests.builders.synthetic_store import WIDTH, SyntheticStore

OBJECTS = Prefix("bucket", "")


def puts(server, key=""):
    return [each for each in server.requests if each.method == "PUT" and each.key.endswith(key)]


def test_bytes_are_read_back_as_written(s3_store):
    s3_store.write_bytes("a/b", b"one")
    s3_store.write_bytes("a/b", b"two")
    s3_store.write_bytes("a/.hidden/c", b"")
    assert s3_store.read_bytes("a/b") == b"two"
    assert s3_store.has("a/b")
    assert not s3_store.has("a")
    assert s3_store.names("a") == s3_store.names(".") == ["a/b"]
    assert s3_store.everything() == ["a/.hidden/c", "a/b"]
    assert s3_store.existing(["a/b", "a/c", "d/e"]) == {"a/b"}
    s3_store.remove("a/b")
    s3_store.remove("a/b")
    with pytest.raises(FileNotFoundError):
        s3_store.read_bytes("a/b")
    assert s3_store.free_bytes() is None


def test_listings_longer_than_one_page_are_complete(s3_store, monkeypatch):
    for number in range(5):
        s3_store.write_bytes(f"a/{number}", b"x")
    assert [each.name for each in OBJECTS.list("store/a/", most=2)] == [
        f"store/a/{number}" for number in range(5)
    ]
    s3_store.remove_all("a")
    assert s3_store.everything() == []


def test_of_many_concurrent_creates_one_succeeds(s3_store):
    won = []

    def create(number):
        if s3_store.create("models/promotions/00001.json", b"%d" % number):
            won.append(number)

    threads = [threading.Thread(target=create, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert s3_store.read_bytes("models/promotions/00001.json") == b"%d" % won[0]
    assert not s3_store.create("models/promotions/00001.json", b"")
    s3_store.create("empty", b"")
    assert not s3_store.create("empty", b"late")
    assert s3_store.read_bytes("empty") == b""


def test_an_object_is_replaced_only_as_it_was_read(s3):
    first = OBJECTS.put("lock", b"1", new=True)
    OBJECTS.put("lock", b"2", instead_of=first)
    with pytest.raises(WriteConflict):
        OBJECTS.put("lock", b"3", instead_of=first)
    with pytest.raises(WriteConflict):
        OBJECTS.put("never", b"3", instead_of=first)
    assert OBJECTS.get("lock")[0] == b"2"


def test_a_part_is_one_put(s3_store, s3):
    stored = SyntheticStore(s3_store, patients=300)
    s3.reset()
    stored.add_trunk()
    features = puts(s3, "part-00000.parquet")
    assert [each.key for each in features] == [
        "store/" + tables.features("t0", WIDTH).part(f"b{batch}", 0) for batch in (0, 1)
    ]


def test_an_exception_in_the_middle_publishes_nothing(s3_store):
    schema = schemas.features(WIDTH)

    def break_off():
        with parts.part_writer(s3_store, tables.features("t", WIDTH).part("b", 0), schema) as part:
            part.write(schema.empty_table())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert s3_store.everything() == []
    assert list(OBJECTS.uploads()) == []


def test_old_unfinished_uploads_are_swept(s3_store, monkeypatch):
    from pipeline.s3 import filesystem
    from pipeline.store import s3_bucket

    begun = filesystem().call_s3("create_multipart_upload", Bucket="bucket", Key="store/a")
    filesystem().call_s3("create_multipart_upload", Bucket="bucket", Key="other/a")
    # The server says of every upload that it was begun in 2010.
    with monkeypatch.context() as patient:
        patient.setattr(s3_bucket, "FORGOTTEN_SECONDS", 10**9)
        assert s3_store.sweep() == 0
    assert s3_store.sweep() == 1
    left = list(OBJECTS.uploads())
    assert [key for key, *_ in left] == ["other/a"]
    assert begun["UploadId"] not in [number for _, number, _ in left]
    OBJECTS.abort(*left[0][:2])


def test_parts_have_the_bytes_of_a_store_in_a_folder(s3_store, store):
    for each in (s3_store, store):
        SyntheticStore(each).add_trunk().add_head("h0", 0.8).promote("h0")
    names = store.everything()
    assert s3_store.everything() == names
    assert all(s3_store.read_bytes(name) == store.read_bytes(name) for name in names)


def test_features_and_queries_answer_as_in_a_folder(s3_store, store, s3):
    for each in (s3_store, store):
        SyntheticStore(each).add_trunk().add_head("h0", 0.8).promote("h0")
    s3.reset()
    facts, embeddings = load_features(s3_store.root, label=["caries"])
    expected, same = load_features(store, label=["caries"])
    pd.testing.assert_frame_equal(facts, expected)
    assert (embeddings == same).all()
    with catalog.open_store(s3_store) as con, catalog.open_store(store) as other:
        for name in ("worklist", "batches", "rejections"):
            pd.testing.assert_frame_equal(catalog.query(con, name), catalog.query(other, name))
        broken = [name for name, _ in catalog.check(con)]
        assert broken == [name for name, _ in catalog.check(other)]
        extensions = con.sql("from duckdb_extensions()").fetchall()
    assert not [row for row in extensions if row[0] == "httpfs" and row[1]]
    assert len(pd.read_parquet("s3://bucket/store/features/t0")) == 240


def test_one_query_takes_few_requests(s3_store, s3):
    SyntheticStore(s3_store).add_trunk().add_head("h0", 0.8).promote("h0")
    s3.reset()
    with catalog.open_store(s3_store) as con:
        opening = len(s3.requests)
        catalog.query(con, "worklist")
        first = len(s3.requests)
        catalog.query(con, "worklist")
        assert len(s3.requests) == first
    assert (opening, first) < (40, 60)


def test_large_parts_are_read_in_ranges(s3_store, s3, monkeypatch):
    monkeypatch.setattr(duckdb_on_s3, "SMALL", 1000)
    monkeypatch.setattr(duckdb_on_s3, "FOOTER", 4000)
    SyntheticStore(s3_store).add_trunk()
    with catalog.open_store(s3_store) as con:
        rows = con.table("features").to_arrow_table().to_pandas()
        assert sorted(rows["crop_id"]) == sorted(f"{number:032x}:whole" for number in range(240))
        assert sorted(row[0] for row in rows["embedding"]) == list(range(240))
        SyntheticStore(s3_store, patients=100).add_trunk()  # what was listed is no longer there
        with pytest.raises(Exception, match="S3 returned PreconditionFailed"):
            con.sql("select sum(embedding[1]) from features").fetchall()


def test_a_missing_or_damaged_part_is_an_error_that_says_what_to_do(s3_store):
    name = tables.features("t", WIDTH).part("b", 0)
    with pytest.raises(ArtifactError, match=r"part-00000.parquet is missing"):
        parts.read_part(s3_store, name, schemas.features(WIDTH), ["crop_id"])
    s3_store.write_bytes(name, b"PAR1 and then nothing")
    with pytest.raises(ArtifactError, match="cannot be read as Parquet"):
        parts.read_part(s3_store, name, schemas.features(WIDTH))


def test_a_process_killed_amid_its_put_leaves_nothing(s3):
    script = (
        "import sys; from pipeline.store.store import Store; sys.stdin.readline()\n"
        "Store('s3://bucket/store').write_bytes('a', bytes(12_000_000))"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", script], stdin=pipe, stderr=pipe) as process:
        s3.reset(KillAt(process.pid, 0, "amid"))
        process.communicate(b"\n")
    assert process.returncode == -signal.SIGKILL
    s3.reset()
    assert list(OBJECTS.list()) == []
    assert list(OBJECTS.uploads()) == []
