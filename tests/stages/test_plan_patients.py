"""Planning: patients are decided, counted and kept from being received before they are known."""

import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.ingest import delivery_lists
from pipeline.ingest.delivery_lists import DeliveryLists
from pipeline.ingest.forgotten_list import ForgottenList
from pipeline.report.patient_lines import patient_lines, waiting_lines
from pipeline.stages.plan import deliver, plan_batch
from pipeline.stages.receive import without_facts
from pipeline.store import catalog
from pipeline.store.patient_sides import patient_sides
from pipeline.upkeep import find_traces, forget
from tests.builders.dicom_files import dicom_file
from tests.builders.fakes import use_fakes
from tests.builders.scans import encode as png
from tests.builders.scans import scan
from tests.builders.stores import failed_checks, process_folder, read_table, small_store

HEADER = "file,patient\n"


@pytest.fixture
def put(tmp_path):
    def put(**files):
        for name, content in files.items():
            path = tmp_path / "in" / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            os.utime(path, (10**9, 10**9))

    return put


@pytest.fixture
def opened(tmp_path):
    return small_store(tmp_path)


@pytest.fixture
def plan(tmp_path, opened):
    return lambda: plan_batch(deliver(tmp_path / "in", "b", opened), opened)


def listed(opened):
    return {
        os.fsdecode(file.entry.path): file
        for file in DeliveryLists(opened.private, "b").all_files()
    }


def dicom(seed=0, **elements):
    return dicom_file(scan(seed=seed), **elements)


@pytest.mark.parametrize(
    "table",
    [
        "file,patient\nä.png,Zoë\n".encode("utf-16")[:-1],
        bytes(range(256)),
        b'file,patient\na.png,"Ann\nb.png,Bob\n',
        b"file,patient,label\na.png,Ann,healthy\nb.png,",
    ],
    ids=["utf-16", "bytes", "quote", "half"],
)
def test_scans_wait_for_a_table_in_their_folder_that_cannot_be_read(put, plan, opened, table):
    put(**{"x__a_dot_png": "a", "x__b_dot_png": "b", "y__c_dot_png": "c", "x__t_dot_csv": table})
    planned = plan()
    assert (planned.new, planned.waiting, planned.unread_tables) == (1, 2, 1)
    assert list(listed(opened)) == ["y/c.png"]
    assert "x/t.csv: " in (opened.private.root / "messages.log").read_text()
    assert "t.csv" not in "".join(waiting_lines(planned))
    put(x__t_dot_csv="file,patient\na.png,Ann\nb.png,Ann\n")
    assert plan().new == 2
    assert len({listed(opened)[name].patient_key for name in ("x/a.png", "x/b.png")}) == 1


@pytest.mark.parametrize("name", ["patients.xlsx", "patients.xls", "patients.ods"])
def test_the_whole_batch_waits_for_a_spreadsheet_at_its_top_that_cannot_be_read(put, plan, name):
    put(**{"a.png": "a", "x/b.png": "b", name: b"PK\3\4"})
    planned = plan()
    assert (planned.new, planned.waiting) == (0, 2)


def test_a_table_in_a_folder_without_scans_keeps_those_of_the_folder_above_waiting(put, plan):
    put(p__images__a_dot_png="a", p__tables__t_dot_csv=bytes(range(256)), q__b_dot_png="b")
    planned = plan()
    assert (planned.new, planned.waiting) == (1, 1)


def test_a_last_line_without_an_end_is_whole_when_it_is_as_long_as_the_others(put, plan):
    put(a_dot_png="a", t_dot_csv="file,patient,label\na.png,Ann,healthy")
    assert plan().waiting == 0


def test_patients_and_their_sources_are_counted(put, plan):
    pictures = {f"{name}_dot_png": png(scan()) for name in "abc"}
    put(**pictures, t_dot_csv=f"{HEADER}a.png,1\nb.png,1.0\n")
    put(d=dicom(PatientID="ANON"), e=dicom(1, PatientID="7", PatientName="One"))
    put(f=dicom(2, PatientID="7", PatientName="Two"))
    planned = plan()
    assert planned.patients == 4
    assert planned.patients_from == {"csv": 2, "scan": 2, "dicom": 2}
    assert (planned.placeholders, planned.shared_ids) == (1, 1)
    assert [line.split(" ")[0] for line in patient_lines(planned)] == ["4", "2", "1", "1"]
    assert plan().patients_from == {}


def test_folders_that_name_sides_are_counted_by_two_or_more(put, plan):
    put(**{"train__a_dot_png": "a", "Valid__b_dot_png": "b", "x__c_dot_png": "c"})
    planned = plan()
    assert planned.given_sides == {"train": 1, "validation": 1}
    assert "ignored (1 train, 1 validation)" in patient_lines(planned)[-1]


def test_one_folder_test_is_no_split(put, plan):
    put(test__a_dot_png="a", b_dot_png="b")
    assert plan().given_sides == {}


def test_without_the_setting_folders_that_name_sides_change_no_delivery_list(put, plan, opened):
    put(**{"train__a_dot_png": "a", "valid__b_dot_png": "b"})
    plan()
    [path] = DeliveryLists(opened.private, "b").lists()
    assert pq.read_schema(path).names == delivery_lists.SCHEMA.names
    assert {file.given_side for file in listed(opened).values()} == {None}


def test_the_setting_keeps_the_side_of_a_folder_also_of_a_single_one(put, tmp_path):
    keeping = small_store(tmp_path, given_splits=True)
    put(test__a_dot_png="a", b_dot_png="b")
    planned = plan_batch(deliver(tmp_path / "in", "b", keeping), keeping)
    assert {name: file.given_side for name, file in listed(keeping).items()} == {
        "b.png": None,
        "test/a.png": "test",
    }
    assert (planned.given_sides, planned.splits_kept) == ({"test": 1}, True)
    assert (
        patient_lines(planned)[-1] == "sides of a split are kept as the folders give them (1 test)"
    )


def test_the_setting_lists_scans_again_when_it_comes_and_when_it_goes(put, plan, tmp_path, opened):
    put(train__a_dot_png="a", b_dot_png="b")
    assert plan().new == 2
    keeping = small_store(tmp_path, given_splits=True)
    assert plan_batch("b", keeping).new == 1
    assert listed(opened)["train/a.png"].given_side == "train"
    assert plan_batch("b", keeping).new == 0
    assert plan().new == 1
    assert listed(opened)["train/a.png"].given_side is None


def test_copies_of_one_scan_in_folders_of_two_sides_are_counted_as_a_conflict(put, tmp_path):
    keeping = small_store(tmp_path, given_splits=True)
    copies = {"train__1_jpg.rf.aa11aa11aa11": 0, "valid__1_jpg.rf.bb22bb22bb22": 1, "test__2": 2}
    put(**{f"{name}_dot_png": png(scan(seed=seed)) for name, seed in copies.items()})
    planned = plan_batch(deliver(tmp_path / "in", "b", keeping), keeping)
    assert planned.split_conflicts == 1
    assert patient_lines(planned)[-1].startswith("1 patient with scans in folders of several sides")


def test_given_sides_stand_in_the_ledger_until_they_are_forgotten(put, tmp_path, monkeypatch):
    use_fakes(monkeypatch)
    keeping = small_store(tmp_path, given_splits=True)
    put(train__a_dot_png=png(scan()), test__b_dot_png=png(scan(seed=1)))
    put(t_dot_csv=f"{HEADER}train/a.png,Ann\ntest/b.png,Bob\n")
    process_folder(keeping, tmp_path / "in")
    ann, bob = (keeping.private.patient_key(name) for name in ("Ann", "Bob"))

    def sides():
        with catalog.open_store(keeping.store) as con:
            return patient_sides(con, [ann, bob]).tolist()

    assert sides() == ["train", "test"]
    # The next night brings Ann for the test.
    put(**{"../later/test__c_dot_png": png(scan(seed=2))})
    put(**{"../later/t_dot_csv": f"{HEADER}c.png,Ann\n"})
    summary = process_folder(keeping, tmp_path / "later", "c")
    assert sides() == ["test", "test"]
    assert any(note.startswith("1 patient came in folders of several") for note in summary.notes)
    assert failed_checks(keeping.store) == {}
    forget.forget(keeping, find_traces.find_patient(keeping, "Bob"))
    rows = read_table(keeping.store, "scans").sort_values(["batch", "row"])
    assert rows["given_side"].dropna().tolist() == ["train", "test"]
    assert listed(keeping)["train/a.png"].given_side == "train"
    erased = [file for file in listed(keeping).values() if file.entry.kind == "forgotten"]
    assert [file.given_side for file in erased] == [None]
    # A file that is forgotten while it waits to be received.
    assert without_facts(listed(keeping)["train/a.png"])[0].given_side is None


def test_a_setting_that_names_patients_lists_their_scans_again(put, plan, tmp_path, opened):
    put(p1__a_dot_png=png(scan()), b_dot_png=png(scan()))
    assert plan().new == 2
    later = small_store(tmp_path, patient_folders=1)
    planned = plan_batch("b", later)
    assert (planned.new, planned.patients_from) == (1, {"folder": 1})


def test_what_was_decided_stands_in_the_ledger_and_passes_all_checks(
    put, opened, tmp_path, monkeypatch
):
    use_fakes(monkeypatch)
    source = png(scan())
    put(a_dot_png=source, a_aug_1_dot_png=png(scan()), d=dicom(3, PatientID="7"))
    put(e=dicom(4, StudyInstanceUID="1.2.3"), d_dot_png=png(scan()))
    process_folder(opened, tmp_path / "in")
    rows = read_table(opened.store, "scans")
    assert rows["patient_from"].tolist() == ["scan", "scan", "dicom", "dicom", "study"]
    keys = rows["patient_key"].tolist()
    assert keys[0] == keys[1]
    assert keys[2] == keys[3] == opened.private.patient_key("7")
    assert len(set(keys)) == 3
    assert failed_checks(opened.store) == {}


def test_a_list_of_an_earlier_version_is_received_as_before(
    put, plan, opened, tmp_path, monkeypatch
):
    use_fakes(monkeypatch)
    put(a=dicom(5, PatientID="ANON"), b=dicom(6, StudyInstanceUID="1.2"), c_dot_png=png(scan()))
    put(t_dot_csv=f"{HEADER}c.png,Ann\n")
    earlier = pa.schema([f for f in delivery_lists.SCHEMA if f.name != "patient_from"])
    with monkeypatch.context() as patch:
        patch.setattr(delivery_lists, "SCHEMA", earlier)
        patch.setattr("pipeline.ingest.patients.Patients._decide", as_before)
        plan()
    [path] = DeliveryLists(opened.private, "b").lists()
    assert "patient_from" not in pq.read_schema(path).names
    process_folder(opened, tmp_path / "in")
    rows = read_table(opened.store, "scans")
    assert rows["patient_from"].tolist() == ["dicom", "scan", "csv"]
    assert rows["patient_key"][0] == opened.private.patient_key("ANON")


def as_before(patients, entry):
    said = patients._annotation(entry).patient
    return delivery_lists.Patient(said and patients._private.patient_key(said), None)


@pytest.mark.parametrize("forgotten", ["1001", "1001.0"])
@pytest.mark.parametrize("again", ["1001", "1001.0", " 1001 "])
def test_a_patient_stays_forgotten_under_any_spelling(put, plan, opened, forgotten, again):
    key = opened.private.keyed("patient", forgotten)  # also as an earlier version wrote it
    ForgottenList(opened.private).add([], [], [key])
    put(a_dot_png="a", b_dot_png="b", c=dicom(PatientID=again), c_dot_png="c")
    put(t_dot_csv=f"{HEADER}a.png,{again}\n")
    planned = plan()
    assert (planned.new, planned.forgotten) == (1, 3)
    assert list(listed(opened)) == ["b.png"]


def test_forgetting_one_spelling_forgets_what_earlier_versions_stored_under_the_other(
    put, opened, tmp_path, monkeypatch
):
    use_fakes(monkeypatch)
    put(a_dot_png=png(scan()), b_dot_png=png(scan()), t_dot_csv=f"{HEADER}a.png,1001\nb.png,2\n")
    with monkeypatch.context() as patch:
        patch.setattr(
            "pipeline.ingest.private_folder.PrivateFolder.patient_key",
            lambda private, text: private.keyed("patient", text.strip().replace("1001", "1001.0")),
        )
        process_folder(opened, tmp_path / "in")
    forget.forget(opened, find_traces.find_patient(opened, "1001"))
    reasons = read_table(opened.store, "scans")["reason"].tolist()
    assert reasons[0] == "forgotten"
    assert pd.isna(reasons[1])


def test_the_copies_of_a_forgotten_scan_are_passed_over(put, plan, opened, tmp_path, monkeypatch):
    use_fakes(monkeypatch)
    put(a_dot_png=png(scan()), b_dot_png=png(scan()))
    process_folder(opened, tmp_path / "in")
    scan_id = read_table(opened.store, "scans")["scan_id"][0]
    forget.forget(opened, find_traces.find_scan(opened, scan_id))
    put(a_aug_1_dot_png=png(scan()))
    planned = plan()
    assert (planned.new, planned.forgotten) == (0, 2)


def test_nothing_but_keyed_hashes_of_a_header_is_kept(put, plan, opened):
    values = {"PatientID": "Xy77", "PatientName": "Smithers^Ann", "StudyInstanceUID": "1.2.345.67"}
    put(a=dicom(**values, PatientBirthDate="19700131"), b=dicom(1, StudyInstanceUID="1.2.345.67"))
    plan()
    [path] = DeliveryLists(opened.private, "b").lists()
    kept = repr(pq.read_table(path).to_pylist())
    assert not any(text in kept for text in ("Xy77", "Smithers", "1.2.345.67", "19700131"))
    assert np.unique([file.patient_from for file in listed(opened).values()]).tolist() == [
        "dicom",
        "study",
    ]
