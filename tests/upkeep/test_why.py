"""`dental why`, `dental retry` and `dental undo` on two batches that share a scan."""

import shutil

import pandas as pd
import pytest

from pipeline.errors import ConfigError, StoreError
from pipeline.ingest.delivery_lists import DeliveryLists
from pipeline.stages.plan import deliver
from pipeline.store import catalog, local_folder
from pipeline.store.registry import write_patients
from pipeline.upkeep import undo
from pipeline.upkeep.find_traces import UNLISTED
from pipeline.upkeep.retry import retry
from pipeline.upkeep.why import explain_file
from tests.builders.fakes import use_fakes
from tests.builders.scans import panoramic, scan, write_files
from tests.builders.stores import process_folder, small_store


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    use_fakes(monkeypatch)


def ledger(store):
    names = store.store.names("scans")
    return pd.concat([pd.read_parquet(store.store.local_path(name)) for name in names])


def checks(store):
    with catalog.open_store(store.store) as con:
        return catalog.check(con)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root, patch = tmp_path_factory.mktemp("why"), pytest.MonkeyPatch()
    use_fakes(patch)
    store, same = small_store(root), panoramic()
    box = "file,label,x,y,w,h\n{},caries,{},20,10,10\n"
    write_files(root / "one", a_png=same, b_png=scan(), c_png=b"broken", s_png=scan())
    write_files(root / "one", t_csv=box.format("a.png", 40) + "b.png,nonsense!,,,,\n")
    write_files(root / "two", other_png=same, d_png=scan(), t_csv=box.format("other.png", 70))
    process_folder(store, root / "one", "one")
    process_folder(store, root / "two", "two")
    patch.undo()
    return root


@pytest.fixture
def two(made, tmp_path):
    """Batch `one` and batch `two`, which has a panoramic of `one` with another box."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    store = small_store(tmp_path)
    for batch in ("one", "two"):
        deliver(tmp_path / batch, batch, store)
    return store, tmp_path


def test_why_returns_attempts_reasons_crops_messages_and_remedies(two):
    store, root = two
    accepted = explain_file(store, str(root / "one/a.png"))
    assert [(a.batch, a.name, a.status) for a in accepted.attempts] == [
        ("one", "a.png", "accepted"),
        ("two", "other.png", "duplicate"),
    ]
    assert accepted.attempts[1].duplicate_of == "one"
    assert [crop["label"] for crop in accepted.crops] == ["caries", "caries"]
    [broken] = explain_file(store, str(root / "one/c.png")).attempts
    assert (broken.status, broken.reason) == ("rejected", "not_an_image")
    assert "deliver it as JPEG" in broken.remedy
    assert any(
        "nonsense!" in line for line in explain_file(store, str(root / "one/b.png")).messages
    )
    store.private.log_message("bb.png: another file's")
    assert not any(
        "another" in line for line in explain_file(store, str(root / "one/b.png")).messages
    )
    # A copy at another path, and the scan_id.
    write_files(root / "desk", x_png=(root / "one/a.png").read_bytes())
    assert explain_file(store, str(root / "desk/x.png")).attempts[0].batch == "one"
    assert explain_file(store, accepted.scan_id).attempts == [
        *explain_file(store, str(root / "desk/x.png")).attempts
    ]
    # Deleted, a label file, new in the folder, hidden, and unknown.
    (root / "one/b.png").unlink()
    assert explain_file(store, str(root / "one/b.png")).attempts[0].status == "accepted"
    write_files(root / "one", new_png=scan(), **{".hidden_png": scan()})
    write_files(root / "desk", strange_png=scan())
    for name, note in {
        "one/t.csv": "a label file of batch one",
        "one/new.png": "added to the folder of batch one after its last run",
        "one/.hidden.png": "skipped in batch one",
        "one/never.png": "has never had such a file",
        "desk/strange.png": "not in any delivered batch",
    }.items():
        assert note in " ".join(explain_file(store, str(root / name)).notes), name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("zzz", "not a file, not in any delivered batch, .*neither a scan_id .*Correct the path"),
        ("zzz:whole", "not a file, not in any delivered batch, .* nor a crop_id"),
        ("f" * 31, "not a file.* neither a scan_id .32 hex digits."),
        ("one", "a folder, expected a file, a scan_id or a crop_id. Name one file in it"),
        ("one/below", "a folder, expected a file"),
        ("desk/never.png", "not a file, not in any delivered batch"),
    ],
)
def test_why_refuses_a_name_that_is_neither_a_file_nor_an_id(two, monkeypatch, name, message):
    store, root = two
    (root / "one/below").mkdir()
    monkeypatch.chdir(root)
    with pytest.raises(ConfigError, match=f"^{name} is {message}"):
        explain_file(store, name)


def test_why_explains_a_delivered_file_that_a_folder_replaced(two):
    store, root = two
    (root / "one/b.png").unlink()
    (root / "one/b.png").mkdir()
    assert explain_file(store, str(root / "one/b.png")).attempts[0].status == "accepted"


def test_why_accepts_a_crop_id_and_an_unknown_scan_id(two):
    store, root = two
    accepted = explain_file(store, str(root / "one/a.png"))
    by_crop_id = explain_file(store, accepted.crops[0]["crop_id"])
    assert by_crop_id.scan_id == accepted.scan_id
    assert [attempt.batch for attempt in by_crop_id.attempts] == ["one", "two"]
    assert "its bytes are unknown" in explain_file(store, "0" * 32).notes[0]


def test_retry_lists_a_rejected_file_for_one_more_attempt(two, monkeypatch):
    store, root = two
    tried = retry(store, "one")
    assert (tried.listed, tried.gone, tried.waiting) == (1, 0, 1)
    assert (
        explain_file(store, str(root / "one/c.png")).attempts[-1].remedy.startswith("run the batch")
    )
    assert retry(store, "one").listed == 0
    summary = process_folder(store, root / "one", "one")
    attempts = ledger(store).query("batch == 'one' and status == 'rejected'")["attempt"]
    assert sorted(attempts) == [1, 2]
    assert summary.counts["rejected"] == 1
    assert summary.broken_checks == []
    # A repaired file is taken without a retry.
    write_files(root / "one", c_png=scan())
    assert process_folder(store, root / "one", "one").counts["rejected"] == 0
    assert retry(store, "one").listed == 0


def test_undo_removes_a_batch_and_keeps_its_scans_in_other_batches(two):
    store, root = two
    found = undo.find(store, "one")
    assert found.scans == 3
    assert list(found.relisted) == [("two", 0)]
    undo.undo(store, "one")
    assert checks(store) == []
    names = [
        name
        for table in ("scans", "crops", "features", "labels", "reports", "runs")
        for name in store.store.names(table)
    ]
    assert not any("one" in name for name in names)
    assert not (store.private.root / "deliveries" / "one").exists()
    with pytest.raises(ConfigError, match="No batch `one`"):
        undo.find(store, "one")
    summary = process_folder(store, root / "two", "two")
    assert summary.counts["accepted"] == 2
    assert summary.counts["crops"] == 2
    assert summary.broken_checks == []
    again = process_folder(store, root / "one", "one")
    assert (again.counts["accepted"], again.counts["duplicate"]) == (2, 1)
    assert again.broken_checks == []


def test_undo_refuses_when_another_batch_would_lose_a_scan(two):
    store, root = two
    (root / "two/other.png").unlink()
    with pytest.raises(StoreError, match="Batch two has 1 duplicates"):
        undo.undo(store, "one")
    assert len(ledger(store)) == 6
    assert checks(store) == []


def test_undo_keeps_boxes_that_other_batches_delivered_later(two):
    store, root = two
    write_files(
        root / "three",
        z_png=(root / "one/a.png").read_bytes(),
        t_csv="file,label,x,y,w,h\nz.png,caries,70,20,10,10\n",
    )
    process_folder(store, root / "three", "three")
    undo.undo(store, "two")
    summary = process_folder(store, root / "three", "three")
    assert summary.counts["crops"] == 1
    assert summary.counts["duplicate"] == 1
    assert checks(store) == []


def test_undo_lists_no_model_for_a_batch_without_accepted_scans(two):
    store, root = two
    store.store.write_bytes("models/trunks/old/card.json", b'{"learn": {}}')
    process_folder(store, write_files(root / "three", x_png=b"broken"), "three")
    assert undo.find(store, "three").models == []
    assert undo.find(store, "two").models == [f"models/trunks/old ({UNLISTED})"]


def test_undo_lists_the_models_trained_on_the_batch(two):
    store, _ = two
    rows = ledger(store).dropna(subset="scan_id")
    for batch, own in rows.groupby("batch"):
        write_patients(store.store, f"models/trunks/{batch}", own["patient_key"])
    rejected = rows.loc[rows["status"] == "rejected", "patient_key"]
    write_patients(store.store, "models/trunks/rejected", rejected)
    scan_ids = rows.query("batch == 'two' and status == 'duplicate'")["scan_id"]
    crops = pd.DataFrame({"crop_id": scan_ids + ":box-70-20-10-10"})
    path = store.store.local_path("models/novelty/box/learned.parquet")
    path.parent.mkdir(parents=True)
    crops.to_parquet(path, index=False)

    # The panoramic has no patient ID, so its patient is the same in both batches.
    both = ["models/novelty/box", "models/trunks/one", "models/trunks/two"]
    assert undo.find(store, "one").models == undo.find(store, "two").models == both


class Killed(BaseException):
    """Stands in for `kill -9`: no handler in the code catches it."""


@pytest.mark.parametrize("step", [2, 7])
def test_undo_continues_after_a_kill(two, monkeypatch, step):
    store, root = two
    calls = iter(range(step))
    real = {name: getattr(local_folder.os, name) for name in ("replace", "unlink")}

    def counted(name):
        def call(*arguments, **named):
            if next(calls, None) is None:
                raise Killed
            return real[name](*arguments, **named)

        return call

    with monkeypatch.context() as patched:
        for name in real:
            patched.setattr(local_folder.os, name, counted(name))
        with pytest.raises(Killed):
            undo.undo(store, "one")
    if "one" in {path.name for path in (store.private.root / "deliveries").iterdir()}:
        undo.undo(store, "one")
    summary = process_folder(store, root / "two", "two")
    assert summary.counts["accepted"] == 2
    assert summary.counts["crops"] == 2
    assert summary.broken_checks == []
    listed = [file.attempt for file in DeliveryLists(store.private, "two").all_files()]
    assert sorted(listed) == [1, 1, 2]
