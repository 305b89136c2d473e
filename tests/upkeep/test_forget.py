import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from pipeline import atomic_files, schemas
from pipeline.cli import upkeep as upkeep_commands
from pipeline.cli.app import commands
from pipeline.errors import BatchBusy
from pipeline.stages.plan import deliver
from pipeline.store import catalog, tables
from pipeline.store.locks import batch_lock
from pipeline.store.parts import read_part, write_part
from pipeline.store.registry import write_patients
from pipeline.upkeep import erase, find_traces, forget
from tests.builders.fakes import use_fakes
from tests.builders.scans import panoramic, scan, write_files
from tests.builders.stores import process_folder, read_table, small_store, stored_bytes

pytestmark = pytest.mark.slow

PATIENT = "Zoe/77"
TABLES = ("scans", "crops", "features", "predictions", "labels")


@dataclass
class Example:
    """A store with a head and the batches `one` and `two`, in the folder `root`."""

    root: Path

    def opened(self):
        return small_store(self.root, part_size=8)

    def run(self, batch):
        return process_folder(self.opened(), self.root / batch, batch)


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    use_fakes(monkeypatch)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Ten patients in two parts, and a second batch with a copy of one scan of the patient."""
    root, patch = tmp_path_factory.mktemp("forget"), pytest.MonkeyPatch()
    use_fakes(patch)
    lines = ["file,patient,label,x,y,w,h"]
    for number in range(10):
        write_files(root / "one", **{f"s{number:02d}_png": scan()})
        lines.append(f"s{number:02d}.png,p{number},healthy,,,,")
    theirs = panoramic()
    write_files(root / "one", zoe_png=theirs, awful_png=b"no picture", a_png=scan())
    lines += [f"{name}.png,{PATIENT},,,,," for name in ("awful", "a")]
    lines += [f"zoe.png,{PATIENT},caries,40,20,10,10", f"zoe.png,{PATIENT},nonsense!,1,1,1,1"]
    write_files(root / "one", t_csv="\n".join(lines))
    write_files(root / "two", other_png=theirs, fresh_png=scan())
    example = Example(root)
    example.run("one")
    example.run("two")
    write_predictions(example.opened())
    patch.undo()
    return example


def write_predictions(opened):
    """Write predictions of a head that was trained on all patients, without slow TensorFlow."""
    store, patients = opened.store, set()
    for name in store.names("features"):
        facts = read_part(store, name, schemas.features(8 * 8 * 8)).to_pylist()
        patients |= {row["patient_key"] for row in facts}
        prediction = {"predicted": "healthy", "probabilities": [1.0], "p_abnormal": 0.0}
        prediction |= {"head": "h", "flagged": False, "seen": True}
        rows = [{**row, **prediction} for row in facts]
        table = pa.Table.from_pylist(rows, schemas.PREDICTIONS)
        batch, number = name.split("/")[2], int(name[-13:-8])
        write_part(store, tables.predictions("h").part(batch, number), table, schemas.PREDICTIONS)
    data = io.BytesIO()
    pq.write_table(pa.table({"patient_key": sorted(patients)}), data)
    store.write_bytes("models/heads/h/patients.parquet", data.getvalue())


def copied(made, root):
    """A copy of the store that tests may change, with the folders of its batches updated."""
    shutil.copytree(made.root, root, dirs_exist_ok=True)
    copy = Example(root)
    for batch in ("one", "two"):
        deliver(root / batch, batch, copy.opened())
    return copy


@pytest.fixture
def example(made, tmp_path):
    return copied(made, tmp_path)


@pytest.fixture(scope="module")
def forgotten(made, tmp_path_factory):
    """The store before and after the patient was forgotten, and what `forget` returned."""
    before, after = made.opened(), copied(made, tmp_path_factory.mktemp("after")).opened()
    patch = pytest.MonkeyPatch()
    use_fakes(patch)
    found = forget.forget(after, find_traces.find_patient(after, PATIENT))
    patch.undo()
    return before, after, found


def contents(store):
    lists = sorted(store.private.root.glob("[di]*/**/*.parquet"))
    return stored_bytes(store.store, *TABLES) | {
        path.relative_to(store.private.root): pq.read_table(path).to_pylist() for path in lists
    }


def left_of(store, found):
    files = erase.every_file(store.store, store.private)
    return erase.traces_left(files, found.traces, lambda _: None)


def test_all_files_and_rows_of_a_patient_are_found(example):
    store = example.opened()
    found = find_traces.find_patient(store, f" {PATIENT} ")
    names = {(place.batch, place.path.decode()) for place in found.places}
    assert names == {("one", "a.png"), ("one", "awful.png"), ("one", "zoe.png")} | {
        ("two", "other.png")
    }
    assert len(found.scan_ids) == 3  # a file that is not an image has a scan_id too
    assert found.rows["features"] == found.rows["crops"] == found.rows["predictions"] == 3
    assert found.rows["labels"] == 1
    assert left_of(store, found)


def test_forget_erases_all_rows_of_the_patient_and_no_others(forgotten):
    before, after, found = forgotten
    assert left_of(after, found) == []
    for table in TABLES[1:]:
        old = read_table(before.store, table)
        theirs = old["scan_id"].isin(found.scan_ids)
        assert theirs.any()
        expected = old[~theirs].reset_index(drop=True)
        pd.testing.assert_frame_equal(
            read_table(after.store, table).reset_index(drop=True), expected
        )
    old, scans = read_table(before.store, "scans"), read_table(after.store, "scans")
    assert len(scans) == len(old)
    gone = scans[scans["reason"] == "forgotten"]
    assert len(gone) == 4
    assert gone["scan_id"].isna().all()
    assert not set(gone["file_key"]) & set(old["file_key"])
    with catalog.open_store(after.store) as con:
        assert catalog.check(con) == []


def test_forget_erases_file_names_from_the_private_folder(forgotten):
    before, after, _ = forgotten
    messages = (before.private.root / "messages.log").read_text()
    assert "awful.png" in messages
    assert "nonsense!" in messages
    messages = (after.private.root / "messages.log").read_text()
    assert "awful" not in messages
    assert "nonsense!" not in messages
    kept = {
        value
        for path in after.private.root.glob("[di]*/**/*.parquet")
        for value in pq.read_table(path, columns=["path"])["path"].to_pylist()
    }
    assert b"s00.png" in kept
    assert not kept & {b"zoe.png", b"awful.png", b"a.png", b"other.png"}
    assert not (after.private.root / "forgetting.json").exists()


def test_models_and_delivered_files_are_listed_and_models_lose_the_key(forgotten):
    _, after, found = forgotten
    names = {Path(path).name for path in find_traces.still_in_inbox(after, found)}
    assert names == {"zoe.png", "awful.png", "a.png", "other.png"}
    assert found.models == ["models/heads/h"]
    assert "models/heads/h" in "\n".join(find_traces.format_traces(found))
    unknown = find_traces.find_patient(after, "Zoé")
    assert "Nothing is stored" in find_traces.format_traces(unknown)[0]
    patients = pq.read_table(after.store.local_path("models/heads/h/patients.parquet"))
    assert after.private.patient_key(PATIENT) not in patients["patient_key"].to_pylist()
    assert after.private.patient_key("p3") in patients["patient_key"].to_pylist()


def write_novelty_list(store, novelty, crop_ids):
    """Write the list of crops that a novelty model was trained on, without the model."""
    data = io.BytesIO()
    pq.write_table(pa.table({"crop_id": sorted(crop_ids)}), data)
    store.write_bytes(f"models/novelty/{novelty}/learned.parquet", data.getvalue())


def test_trunks_and_novelty_models_trained_on_them_are_listed(example):
    store, key = example.opened(), example.opened().private.patient_key
    crops = read_table(store.store, "crops")
    theirs = crops["patient_key"] == key(PATIENT)
    write_novelty_list(store.store, "theirs", crops["crop_id"])
    write_novelty_list(store.store, "others", crops.loc[~theirs, "crop_id"])
    write_patients(store.store, "models/trunks/theirs", crops["patient_key"])
    write_patients(store.store, "models/trunks/others", crops.loc[~theirs, "patient_key"])
    listed = ["models/heads/h", "models/novelty/theirs", "models/trunks/theirs"]

    assert find_traces.find_patient(store, PATIENT).models == listed
    for scan_id in crops.loc[theirs, "scan_id"]:
        assert find_traces.find_scan(store, scan_id).models == listed
    found = forget.forget(store, find_traces.find_patient(store, PATIENT))
    assert found.models == listed
    assert left_of(store, found) == []
    kept = pq.read_table(store.store.local_path("models/trunks/theirs/patients.parquet"))
    assert kept["patient_key"].to_pylist() == sorted(set(crops.loc[~theirs, "patient_key"]))
    kept = pq.read_table(store.store.local_path("models/novelty/theirs/learned.parquet"))
    assert kept["crop_id"].to_pylist() == sorted(crops.loc[~theirs, "crop_id"])


def test_trunk_without_a_list_of_patients_is_listed_as_possible(example):
    store = example.opened()
    for trunk, card in {"old": {"learn": {"labels": True}}, "packaged": {"data": None}}.items():
        store.store.write_bytes(f"models/trunks/{trunk}/card.json", json.dumps(card).encode())
    listed = ["models/heads/h", f"models/trunks/old ({find_traces.UNLISTED})"]
    assert find_traces.find_patient(store, PATIENT).models == listed
    # With a list it is certain; a list that `forget` has emptied is still a list.
    write_patients(store.store, "models/trunks/old", [store.private.patient_key("p3")])
    assert find_traces.find_patient(store, "p3").models == ["models/heads/h", "models/trunks/old"]
    assert find_traces.find_patient(store, PATIENT).models == ["models/heads/h"]
    forget.forget(store, find_traces.find_patient(store, "p3"))
    assert find_traces.find_patient(store, PATIENT).models == ["models/heads/h"]


def test_pages_are_written_again_without_them(forgotten):
    before, after, found = forgotten
    pages = [store.store.read_bytes("reports/one.html").decode() for store in (before, after)]
    named = [any(scan_id in page for scan_id in found.scan_ids) for page in pages]
    assert named == [True, False]
    assert "'delivered': 13" in pages[1]


def test_later_runs_do_not_take_them_again(example):
    store = example.opened()
    found = forget.forget(store, find_traces.find_patient(store, PATIENT))
    before = contents(store)
    summary = example.run("one")
    assert summary.nothing_to_do
    assert summary.planned.forgotten == 3
    assert contents(store) == before
    # Under another name, in another batch, and later with other bytes but their patient's id.
    write_files(example.root / "three", again_png=(example.root / "one/zoe.png").read_bytes())
    write_files(example.root / "three", new_png=scan(), t_csv=f"file,patient\nnew.png,{PATIENT}")
    summary = example.run("three")
    assert summary.counts["delivered"] == summary.counts["rejected"] == 1
    assert summary.planned.forgotten == 1
    assert summary.exit_status(store.settings) == 0
    assert left_of(store, found) == []


def test_parts_that_are_written_again_have_the_same_bytes(example):
    store = example.opened()
    forget.forget(store, find_traces.find_patient(store, PATIENT))
    before = contents(store)
    for batch in ("one", "two"):
        for name in before:
            if isinstance(name, str):
                store.store.remove(name) if batch in name else None
        example.run(batch)
    after = contents(store)
    made_again = [n for n in before if isinstance(n, str) and not n.startswith("predictions/")]
    assert {n: after[n] for n in made_again} == {n: before[n] for n in made_again}


def test_forgetting_one_scan_keeps_its_patient(example):
    store = example.opened()
    theirs = erase.Traces(frozenset(), frozenset([store.private.patient_key(PATIENT)]))
    [scan_id] = set(read_table(store.store, "scans").query("status == 'duplicate'")["scan_id"])
    found = forget.forget(store, find_traces.find_scan(store, scan_id))
    assert left_of(store, found) == []
    assert len(found.places) == 2
    assert sum(erase.rows_in(store.store, n, theirs) for n in store.store.names("features")) == 1


class Killed(BaseException):
    """Stands in for `kill -9`: no handler in the code catches it."""


@pytest.mark.slow
@pytest.mark.parametrize("step", [2, 9, 20])
def test_forget_continues_after_a_kill_at_any_write(example, monkeypatch, step):
    store = example.opened()
    found, steps = find_traces.find_patient(store, PATIENT), iter(range(step + 1))
    real = atomic_files.os.replace

    def replace(*arguments):
        if next(steps, None) is None:
            raise Killed
        real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(atomic_files.os, "replace", replace)
        try:
            forget.forget(store, found)
        except Killed:
            unfinished = forget.unfinished(store)
            again = unfinished or find_traces.find_patient(store, PATIENT)
        else:
            again = None
    if again:
        assert forget.forget(store, again).places == found.places
    assert left_of(store, found) == []
    assert len(read_table(store.store, "scans").query("reason == 'forgotten'")) == 4
    with catalog.open_store(store.store) as con:
        assert catalog.check(con) == []


def test_command_changes_nothing_without_yes(example, monkeypatch):
    root = str(example.root / "store")
    monkeypatch.setattr(upkeep_commands, "settings_of", lambda _: example.opened().settings)
    dry = CliRunner().invoke(commands, ["forget", "--patient", PATIENT, "--store", root])
    assert "4 deliveries of 3 scans in 2 batches" in dry.output
    assert "models/heads/h" in dry.output
    assert "Nothing was changed" in dry.output
    assert len(read_table(example.opened().store, "scans").query("reason == 'forgotten'")) == 0
    done = CliRunner().invoke(commands, ["forget", "--patient", PATIENT, "--yes", "--store", root])
    assert done.exit_code == 0
    assert "no trace is left" in done.output
    assert str(example.root / "two" / "other.png") in done.output
    both = CliRunner().invoke(commands, ["forget"])
    assert "Name whom to forget" in str(both.exception)
    wrong = CliRunner().invoke(commands, ["forget", "--scan", "nothing", "--store", root])
    assert "no file and no scan_id" in str(wrong.exception)


def test_forget_refuses_during_a_run_and_names_its_batch(example):
    store = example.opened()
    with (
        batch_lock(store.store, "two"),
        pytest.raises(BatchBusy, match="Batch two is being worked on"),
    ):
        forget.forget(store, find_traces.find_patient(store, PATIENT))
    assert len(read_table(store.store, "features")) > 5
