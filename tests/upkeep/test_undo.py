"""`dental undo` on two batches that share a scan."""

import pandas as pd
import pytest

from pipeline import atomic_files
from pipeline.errors import ConfigError, StoreError
from pipeline.ingest.delivery_lists import DeliveryLists
from pipeline.store.registry import write_patients
from pipeline.upkeep import undo
from pipeline.upkeep.find_traces import UNLISTED
from tests.builders.scans import write_files
from tests.builders.stores import failed_checks, process_folder, read_table

pytestmark = pytest.mark.slow


def test_undo_removes_a_batch_and_keeps_its_scans_in_other_batches(two):
    store, root = two
    found = undo.find(store, "one")
    assert found.scans == 3
    assert list(found.relisted) == [("two", 0)]
    undo.undo(store, "one")
    assert failed_checks(store.store) == {}
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
    assert len(read_table(store.store, "scans")) == 6
    assert failed_checks(store.store) == {}


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
    assert failed_checks(store.store) == {}


def test_undo_lists_no_model_for_a_batch_without_accepted_scans(two):
    store, root = two
    store.store.write_bytes("models/trunks/old/card.json", b'{"learn": {}}')
    process_folder(store, write_files(root / "three", x_png=b"broken"), "three")
    assert undo.find(store, "three").models == []
    assert undo.find(store, "two").models == [f"models/trunks/old ({UNLISTED})"]


def test_undo_lists_the_models_trained_on_the_batch(two):
    store, _ = two
    rows = read_table(store.store, "scans").dropna(subset="scan_id")
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


@pytest.mark.slow
@pytest.mark.parametrize("step", [2, 7])
def test_undo_continues_after_a_kill(two, monkeypatch, step):
    store, root = two
    calls = iter(range(step))
    real = {name: getattr(atomic_files.os, name) for name in ("replace", "unlink")}

    def counted(name):
        def call(*arguments, **named):
            if next(calls, None) is None:
                raise Killed
            return real[name](*arguments, **named)

        return call

    with monkeypatch.context() as patched:
        for name in real:
            patched.setattr(atomic_files.os, name, counted(name))
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
