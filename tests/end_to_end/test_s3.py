"""Whole runs on S3, compared with the same runs in local folders."""

import numpy as np
import pytest

from pipeline import config
from pipeline import s3 as s3_module
from pipeline.errors import ConfigError, StoreError
from pipeline.ingest.batch_folder import folder_at
from pipeline.ingest.inbox import batch_folders, count_loose_files
from pipeline.ingest.list_files import MASK, list_batch
from pipeline.jobs import process_batch as process_module
from pipeline.jobs.nightly import nightly
from pipeline.stages.find_masks import mark_masks
from pipeline.stages.plan import deliver, refuse_folder
from pipeline.store import catalog
from pipeline.store.open_store import open_for_writing
from pipeline.store.registry import write_patients
from pipeline.upkeep import forget
from pipeline.upkeep.erase import every_file, traces_left
from pipeline.upkeep.find_traces import find_scan
from pipeline.upkeep.why import explain_file
from tests.builders.fakes import freeze_delivery_times, use_fakes
from tests.builders.scans import encode, scan, write_files
from tests.builders.stores import KEY, small_store

pytestmark = pytest.mark.slow

TABLES = ("scans", "crops", "features", "labels", "audits", "drift")


def opened_on_s3(tmp_path, **changes):
    private = tmp_path / "private"
    private.mkdir(exist_ok=True, mode=0o700)
    (private / "key").write_text(KEY + "\n")
    settings = small_store(tmp_path, **changes).settings
    there = {"store": "s3://bucket/store", "private": private}
    return open_for_writing(settings.model_copy(update=there))


@pytest.fixture
def batch(tmp_path, monkeypatch):
    use_fakes(monkeypatch)
    freeze_delivery_times(monkeypatch)
    same = scan(seed=1)
    pictures = {f"s{number}_png": scan(seed=10 + number) for number in range(5)}
    lines = [f"s{number},{'healthy' if number % 2 else 'caries'}" for number in range(5)]
    write_files(tmp_path / "in", **pictures, t_png=same, u_png=same, v_png=b"broken")
    return write_files(tmp_path / "in", labels_csv="\n".join(["image_id,label", *lines]))


def test_a_run_on_s3_writes_the_same_bytes_as_in_a_folder_and_forgets_patients(batch, tmp_path, s3):
    here, there = small_store(tmp_path), opened_on_s3(tmp_path)
    for each in (here, there):
        summary = process_module.run_batch(each, deliver(batch, "b", each))
        assert not summary.failures
        assert not summary.broken_checks
    names = [name for table in TABLES for name in here.store.names(table)]
    assert [name for table in TABLES for name in there.store.names(table)] == names
    assert len(names) >= 10
    for name in names:
        assert there.store.read_bytes(name) == here.store.read_bytes(name), name
    s3.reset()
    again = process_module.run_batch(there, "b")
    assert again.nothing_to_do
    assert not [each for each in s3.requests if each.method == "PUT" and ".locks" not in each.key]
    assert_forgetting_leaves_no_trace(there)


def assert_forgetting_leaves_no_trace(there):
    with catalog.open_store(there.store) as con:
        scans = con.table("scans_now").to_arrow_table().to_pandas()
    write_patients(there.store, "models/trunks/t", scans["patient_key"])
    found = find_scan(there, scans.loc[scans["status"] == "accepted", "scan_id"].iloc[0])
    assert found.models == ["models/trunks/t"]

    def left():
        files = every_file(there.store, there.private)
        return traces_left(files, found.traces, lambda _: None)

    assert any(where.startswith("s3://bucket/store/crops/") for where in left())
    forget.forget(there, found)
    assert left() == []


def test_a_store_on_s3_needs_a_private_folder(s3):
    with pytest.raises(ConfigError, match=r"s3://bucket/store needs a private folder .*DENTAL_PRI"):
        open_for_writing(config.load(store="s3://bucket/store"))


def on_s3(folder, prefix):
    """Copy the files of a folder to a prefix."""
    objects = s3_module.Prefix.of(prefix)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            objects.put(path.relative_to(folder).as_posix(), path.read_bytes())
    return folder_at(prefix)


def test_a_batch_on_s3_gives_the_same_bytes_as_in_a_folder(batch, tmp_path, s3):
    """Ledgers differ only in the keyed hashes of the files' addresses."""
    write_files(
        batch, **{"labels/x_txt": "nobody", "sub/y_png": scan(seed=99), ".hidden/z_png": "no"}
    )
    here = small_store(tmp_path / "here")
    there = small_store(tmp_path / "there")
    prefix = on_s3(batch, "s3://bucket/inbox/20261123")
    prefix.objects.put("sub/", b"")  # as consoles make folders
    s3.reset()
    summary = process_module.run_batch(there, deliver(prefix, None, there))
    assert summary.batch == "20261123"
    got = [each for each in s3.requests if each.method == "GET" and each.key != "/bucket"]
    whole = [each.key for each in got if each.range is None]
    assert sorted(whole) == sorted(set(whole)), "something was fetched twice"
    # Planning reads the start of every new file, for the patient of a DICOM object.
    starts = [each.key for each in got if each.range]
    assert len(starts) <= 2 * len(set(starts))
    expected = process_module.run_batch(here, deliver(batch, "20261123", here))
    assert summary.counts == expected.counts
    assert summary.planned == expected.planned
    for table in ("crops", "features"):
        for name in here.store.names(table):
            assert there.store.read_bytes(name) == here.store.read_bytes(name), name
    night = nightly(small_store(tmp_path / "there", inbox="s3://bucket/inbox"))
    assert {name: each.outcome for name, each in night.batches.items()} == {"20261123": "unchanged"}
    assert explain_file(there, "s3://bucket/inbox/20261123/s1.png").attempts[0].status == "accepted"
    for folder in ("s3://bucket/inbox/20261123", "s3://bucket/inbox/"):
        with pytest.raises(ConfigError, match=f"{folder} is a folder, expected a file"):
            explain_file(there, folder)


def test_side_files_on_s3_are_recognised_as_in_a_folder(tmp_path, s3, monkeypatch):
    monkeypatch.setattr("pipeline.ingest.list_files.SECOND_LOOK_SECONDS", 0)
    folder = write_files(
        tmp_path / "in" / "day",
        a_png=scan(),
        README_md="x",
        a_jsonl="x",
        copy_part="x",
        empty_docx="",
        hidden_txt=encode(scan()),
    )
    write_files(folder / "images", b_png=scan())
    write_files(folder / "masks", b_png=np.eye(60, 50, dtype=np.uint8) * 255)
    write_files(folder / "@eaDir", a_png=scan())
    write_files(tmp_path / "in", loose_png=scan())
    on_s3(tmp_path / "in", "s3://bucket/inbox")
    here, there = list_batch(folder), list_batch(folder_at("s3://bucket/inbox/day"))
    names = [[entry.path for entry in found.scans] for found in (here, there)]
    assert names[0] == names[1] == [b"a.png", b"hidden.txt", b"images/b.png", b"masks/b.png"]
    assert there.other_counts == here.other_counts == {"JSON Lines file": 1, "document": 2}
    mark_masks(folder_at("s3://bucket/inbox/day"), there, {}, config.load(workers=1))
    assert [entry.path for entry in there.scans if entry.kind == MASK] == [b"masks/b.png"]
    inbox = folder_at("s3://bucket/inbox")
    assert count_loose_files(inbox) == 1
    assert [each.name for each in batch_folders(inbox, False)] == ["day"]
    settings = config.load(store="s3://bucket/inbox/store", private=tmp_path / "p")
    for batch in ("s3://bucket/inbox", "s3://bucket/inbox/store/x"):
        with pytest.raises(ConfigError, match=r"(holds|lies in) the store s3://bucket/inbox/store"):
            refuse_folder(folder_at(batch), settings)


def test_an_s3_without_conditional_writes_is_refused(tmp_path, s3):
    s3.control("ignore-conditions/yes")
    try:
        with pytest.raises(StoreError, match=r"does not support If-None-Match .* Set `store`"):
            opened_on_s3(tmp_path)
    finally:
        s3.control("ignore-conditions/no")


def test_an_unreachable_bucket_is_an_error_that_names_it(tmp_path, s3):
    with pytest.raises(StoreError, match="bucket/x cannot be read: S3 returned NoSuchBucket"):
        open_for_writing(config.load(store="s3://no-such-bucket/x", private=tmp_path / "p"))
    with pytest.raises(ConfigError, match="bucket/in cannot be listed: S3 returned NoSuch"):
        deliver(folder_at("s3://no-such-bucket/in"), None, small_store(tmp_path))
    with pytest.raises(StoreError, match="bucket/x cannot be read: S3 returned NoSuchBucket"):
        catalog.open_store("s3://no-such-bucket/x")
