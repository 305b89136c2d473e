"""The main job over small real batches: nothing lost, nothing twice, nothing named."""

import json

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import BatchBusy, StoreError
from pipeline.ingest import list_files
from pipeline.jobs import part_work
from pipeline.report.batch_summary import (
    format_progress,
    format_summary,
)
from pipeline.stages import plan
from pipeline.store import catalog
from pipeline.store.locks import batch_lock
from pipeline.upkeep.undo import undo
from tests.builders.dicom_files import dicom_file
from tests.builders.fakes import use_fakes
from tests.builders.scans import labelled_batch, panoramic, scan, write_files
from tests.builders.stores import TRUNK, process_folder, read_table, small_store, stored_bytes

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(list_files, "SECOND_LOOK_SECONDS", 0)


def patients(count):
    """Scans that differ in height by label, one for each of so many patients."""
    for number in range(count):
        label = "healthy" if number % 2 else "caries"
        yield scan(40 if number % 2 else 60, 50), f"p{number}", label


def test_a_dicom_of_two_frames_is_one_scan_with_two_crops_and_its_facts(tmp_path):
    frames = [scan(), scan()]
    data = dicom_file(
        frames[0],
        frames=frames,
        Modality="IO",
        PixelSpacing=["0.2", "0.1"],
        PatientOrientation=["L", "F"],
    )
    store = small_store(tmp_path)
    process_folder(store, write_files(tmp_path / "in", a=data))
    [row] = read_table(store.store, "scans").to_dict("records")
    assert (row["status"], row["frames"], row["modality"]) == ("accepted", 2, "IO")
    assert row["pixel_spacing_x"] == pytest.approx(0.1)
    assert row["pixel_spacing_y"] == pytest.approx(0.2)
    assert (row["orientation"], row["transfer_syntax"]) == ("L/F", "Explicit VR Little Endian")
    assert read_table(store.store, "crops")["region"].tolist() == ["f0000-whole", "f0001-whole"]


def test_every_file_becomes_one_row_usable_or_not(tmp_path):
    store, again = small_store(tmp_path), scan()
    folder = write_files(
        tmp_path / "in", a_png=scan(), b_png=again, c_png=again, d_png=b"no picture", e_tif=scan()
    )
    summary = process_folder(store, folder)
    rows = read_table(store.store, "scans").sort_values(["part", "row"])
    assert rows["status"].tolist() == ["accepted", "accepted", "duplicate", "rejected", "accepted"]
    assert rows["reason"].tolist()[3] == "not_an_image"
    assert rows["duplicate_of"].tolist()[2] == "b"
    assert len(read_table(store.store, "crops")) == len(read_table(store.store, "features")) == 3
    assert summary.broken_checks == summary.failures == []
    assert summary.counts["rejected"] == 1


def test_a_second_run_finds_nothing_to_do_and_changes_nothing(tmp_path):
    store, folder = (
        small_store(tmp_path),
        write_files(tmp_path / "in", a_png=scan(), b_png=panoramic()),
    )
    process_folder(store, folder)
    tables = ("scans", "crops", "features", "labels", "models", "reports", "runs")
    before = stored_bytes(store.store, *tables)
    summary = process_folder(store, folder)
    assert summary.nothing_to_do
    assert stored_bytes(store.store, *tables) == before
    assert "Nothing to do" in "\n".join(format_summary(summary, store.settings))


def test_a_grown_batch_adds_parts_and_leaves_the_others_alone(tmp_path):
    store, folder = small_store(tmp_path), write_files(tmp_path / "in", a_png=scan())
    process_folder(store, folder)
    before = stored_bytes(store.store, "scans", "crops", "features")
    write_files(folder, b_png=scan())
    process_folder(store, folder)
    after = stored_bytes(store.store, "scans", "crops", "features")
    assert {name: after[name] for name in before} == before
    assert len(after) == 2 * len(before)


def test_a_file_renamed_or_delivered_in_another_batch_is_a_duplicate(tmp_path):
    store, same = small_store(tmp_path), scan()
    process_folder(store, write_files(tmp_path / "one", a_png=same))
    summary = process_folder(store, write_files(tmp_path / "two", other_png=same), batch="c")
    assert summary.counts["duplicate"] == 1
    assert read_table(store.store, "scans")["duplicate_of"].fillna("").tolist() == ["", "b"]
    assert len(read_table(store.store, "features")) == 1


def test_parts_embedded_by_another_trunk_do_not_count_as_progress(tmp_path, monkeypatch):
    use_fakes(monkeypatch)
    folder = write_files(tmp_path / "in", **{f"{name}_png": scan() for name in "abcd"})
    process_folder(small_store(tmp_path), folder)
    other = small_store(tmp_path, trunk=TRUNK.model_copy(update={"seed": 1}))
    kept = "Finished and kept so far: 2 parts received,"
    assert format_progress(other.settings, "b") == f"{kept} 0 embedded."
    process_folder(other, folder)
    assert format_progress(other.settings, "b") == f"{kept} 2 embedded."


def test_a_scan_delivered_again_with_other_labels_adds_labels_and_new_boxes(tmp_path):
    store, same = small_store(tmp_path), panoramic()
    boxes = "file,label,x,y,w,h\na.png,healthy,40,20,10,10\n"
    process_folder(store, write_files(tmp_path / "one", a_png=same, t_csv=boxes))
    boxes = "file,label,x,y,w,h\na.png,caries,40,20,10,10\na.png,caries,70,20,10,10\n"
    process_folder(store, write_files(tmp_path / "two", a_png=same, t_csv=boxes), batch="c")
    assert read_table(store.store, "crops")["region"].tolist() == [
        "box-40-20-10-10",
        "box-70-20-10-10",
    ]
    with catalog.open_store(store.store) as con:
        now = catalog.query(con, "labelled")
    assert now["label"].tolist() == ["caries", "caries"]


def test_a_corrected_label_file_is_read_by_the_next_run(tmp_path):
    store, folder = (
        small_store(tmp_path),
        write_files(tmp_path / "in", a_png=scan(), t_csv="file,label\na.png,x"),
    )
    process_folder(store, folder)
    write_files(folder, t_csv="file,label\na.png,healthy")
    summary = process_folder(store, folder)
    assert summary.counts["accepted"] == 1
    assert summary.broken_checks == []
    with catalog.open_store(store.store) as con:
        assert catalog.query(con, "labelled")["label"].tolist() == ["healthy"]


def test_a_stored_label_that_is_a_tooth_number_is_withdrawn_when_delivered_again(
    tmp_path, monkeypatch
):
    use_fakes(monkeypatch)
    boxes = "file,label,x,y,w,h\na.png,11,40,20,10,10\na.png,21,70,20,10,10\nb.png,11,,,,\n"
    folder = write_files(tmp_path / "in", a_png=panoramic(), b_png=scan(), t_csv=boxes)
    # As earlier versions stored such classes.
    before = small_store(tmp_path, class_names={"11": "11", "21": "21"})
    process_folder(before, folder)
    assert sorted(read_table(before.store, "labels")["label"]) == ["11", "11", "21"]
    store = small_store(tmp_path)
    summary = process_folder(store, folder)
    assert summary.planned.notices == {"tooth_classes": 1}
    rows = read_table(store.store, "labels")
    assert rows["label"].isna().sum() == 3
    with catalog.open_store(store.store) as con:
        assert len(catalog.query(con, "labelled")) == 0


def test_label_lines_that_cannot_be_used_are_counted_in_the_record(tmp_path):
    store = small_store(tmp_path)
    process_folder(
        store, write_files(tmp_path / "in", a_png=scan(), t_csv="file,label\nb.png,x\nc.png,y")
    )
    [record] = store.store.names("runs")
    problems = json.loads(store.store.read_bytes(record))["planned"]["problems"]
    assert sum(problems.values()) == 2


def test_the_same_delivery_makes_the_same_bytes_whatever_the_parts_before(tmp_path):
    pictures = {f"s{number}_png": scan() for number in range(7)}
    store = small_store(tmp_path)
    folder = write_files(tmp_path / "in", **pictures)
    process_folder(store, folder)
    before = stored_bytes(store.store, "scans", "crops", "features", "labels")
    for name in list(before):
        if "part-00001" in name:
            store.store.remove(name)
    process_folder(store, folder)
    assert stored_bytes(store.store, "scans", "crops", "features", "labels") == before


def test_deleted_crops_are_cut_again_only_when_they_are_needed(tmp_path):
    store, folder = (
        small_store(tmp_path),
        write_files(tmp_path / "in", a_png=scan(), b_png=panoramic()),
    )
    process_folder(store, folder)
    before = stored_bytes(store.store, "crops", "features")
    for name in store.store.names("crops"):
        store.store.remove(name)
    assert process_folder(store, folder).nothing_to_do
    for name in store.store.names("features"):
        store.store.remove(name)
    process_folder(store, folder)
    assert stored_bytes(store.store, "crops", "features") == before


def test_scans_missing_when_crops_are_cut_again_are_noted(tmp_path):
    store, folder = small_store(tmp_path), write_files(tmp_path / "in", a_png=scan(), b_png=scan())
    process_folder(store, folder)
    for name in store.store.names("crops") + store.store.names("features"):
        store.store.remove(name)
    (folder / "a.png").unlink()
    summary = process_folder(store, folder)
    assert any("1 scans of part 0" in note for note in summary.notes)
    assert len(read_table(store.store, "features")) == 1


def test_another_recipe_gets_its_own_crops_and_features(tmp_path):
    store, folder = small_store(tmp_path), write_files(tmp_path / "in", a_png=panoramic())
    process_folder(store, folder)
    other = small_store(tmp_path, recipe={"side": 32, "panoramic_share": 0.5})
    summary = process_folder(other, folder)
    assert summary.broken_checks == summary.failures == []
    assert len(pd.read_parquet(tmp_path / "store" / "features" / summary.trunk)) > 0
    assert len({name.split("/")[1] for name in store.store.names("features")}) == 2


def test_a_batch_held_by_another_run_is_refused(tmp_path):
    store, folder = small_store(tmp_path), write_files(tmp_path / "in", a_png=scan())
    with batch_lock(store.store, "b"), pytest.raises(BatchBusy, match="Batch b is being worked on"):
        process_folder(store, folder)


def test_too_little_disk_space_is_an_error_before_any_work(tmp_path, monkeypatch):
    store, folder = small_store(tmp_path), write_files(tmp_path / "in", a_png=scan())
    monkeypatch.setattr(plan, "BYTES_PER_SCAN", 10**18)
    with pytest.raises(StoreError, match="1 new scans may need"):
        process_folder(store, folder)
    assert store.store.names("scans") == []


def test_a_trunk_that_no_longer_reproduces_refuses_to_write(tmp_path):
    store, folder = small_store(tmp_path), write_files(tmp_path / "in", a_png=scan())
    summary = process_folder(store, folder)
    golden = store.store.local_path(f"models/trunks/{summary.trunk}/golden.npy")
    np.save(golden, np.load(golden) * 1.1)
    write_files(folder, b_png=scan())
    summary = process_folder(store, folder)
    assert summary.failures == ["stage embed could not finish part 1 of batch b"]
    assert "does not reproduce" in (store.private.root / "messages.log").read_text()


def test_a_failed_part_does_not_stop_the_others(tmp_path, monkeypatch):
    store = small_store(tmp_path)
    folder = write_files(tmp_path / "in", **{f"s{number}_png": scan() for number in range(7)})
    real = part_work.embed_part

    def broken(store, batch, number, *others):
        if number == 1:
            raise OSError("the disk hiccups")
        return real(store, batch, number, *others)

    monkeypatch.setattr(part_work, "embed_part", broken)
    summary = process_folder(store, folder)
    assert summary.failures == ["stage embed could not finish part 1 of batch b"]
    assert len(read_table(store.store, "features")) == 4
    monkeypatch.undo()
    summary = process_folder(store, folder)
    assert summary.failures == summary.broken_checks == []
    assert len(read_table(store.store, "features")) == 7


def test_a_first_head_is_trained_and_predicts_once_there_is_enough_to_learn(tmp_path):
    store = small_store(tmp_path, part_size=100)
    summary = process_folder(store, labelled_batch(tmp_path / "in", patients(40)))
    predictions = read_table(store.store, "predictions")
    assert len(predictions) == 40
    assert set(predictions["predicted"]) <= {"healthy", "caries"}
    sums = np.stack(predictions["probabilities"].to_list()).sum(axis=1)
    assert sums == pytest.approx(np.ones(40), abs=1e-5)
    card = json.loads(store.store.read_bytes(f"models/heads/{summary.head}/card.json"))
    sides = card["rows"]
    assert predictions["seen"].sum() == sides["train"] + sides["validation"]
    baselines = {"probe", "svm", "hog", "pixels", "place", "place_and_box"}
    assert set(card["differences"]) == baselines
    assert set(card["scores"]) == {"head", *baselines}
    trunk = json.loads(store.store.read_bytes(f"models/trunks/{summary.trunk}/card.json"))
    for each in (card, trunk):
        # What every card tells, whatever else it tells.
        assert each.keys() >= {"architecture", "recipe_id", "data", "seed", "scores", "seconds"}
        assert each.keys() >= {"made_at", "device", "versions"}
    with catalog.open_store(store.store) as con:
        work = catalog.query(con, "worklist", limit=100)
    assert work["audit"].sum() == 5
    ranked = work[~work["audit"]]
    assert ranked["seen"].tolist() == sorted(ranked["seen"])
    assert ranked["p_abnormal"][~ranked["seen"]].is_monotonic_decreasing


def test_too_few_labels_are_noted_with_counts_and_features_are_written(tmp_path):
    store = small_store(tmp_path)
    summary = process_folder(store, labelled_batch(tmp_path / "in", patients(3)))
    assert summary.head is None
    assert any("Too few labels" in note and "patients" in note for note in summary.notes)
    assert summary.counts["features"] == 3


@pytest.mark.parametrize("before", ["train_head", "write_label_errors", "promote"])
def test_a_run_after_a_crash_between_embedding_and_promotion_finishes(
    before, tmp_path, monkeypatch
):
    store, folder = (
        small_store(tmp_path, part_size=100),
        labelled_batch(tmp_path / "in", patients(40)),
    )
    monkeypatch.setattr(f"pipeline.learn.train_head.{before}", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        process_folder(store, folder)
    monkeypatch.undo()
    monkeypatch.setattr(list_files, "SECOND_LOOK_SECONDS", 0)
    assert process_folder(store, folder).counts["predictions"] == 40
    assert len(store.store.names("out_of_fold")) == 1


def test_a_film_with_two_patient_ids_is_noted_at_the_end(tmp_path):
    store, film = small_store(tmp_path), panoramic()
    table_of = "file,patient\na.png,p1\nb.png,p2\nc.png,p2\n"
    darker = (film * 0.8).astype(np.uint8)
    folder = write_files(
        tmp_path / "in", a_png=film, b_png=darker, c_png=panoramic(), t_csv=table_of
    )
    summary = process_folder(store, folder)
    assert any(note.startswith("1 pairs of scans look alike") for note in summary.notes)
    assert summary.failures == summary.broken_checks == []
    page = store.store.read_bytes(summary.report).decode()
    assert "may be misfiled" in page
    assert "1 pair of accepted scans look alike" in page


def test_a_patient_id_that_comes_after_the_scan_is_noted_with_what_to_do(tmp_path):
    store, folder = small_store(tmp_path), write_files(tmp_path / "in", a_png=scan(), b_png=scan())
    process_folder(store, folder)
    write_files(folder, t_csv="file,patient\na.png,ann\nb.png,ann\n")
    summary = process_folder(store, folder)
    [note] = [note for note in summary.notes if "`dental undo`" in note]
    assert note.startswith("2 scans were accepted before their patient was known")
    assert "take b back" in note
    undo(store, "b")
    assert not any("`dental undo`" in note for note in process_folder(store, folder).notes)
    assert read_table(store.store, "features")["patient_key"].nunique() == 1


def test_a_table_that_names_the_first_patient_again_leaves_nothing_to_correct(tmp_path):
    store, film = small_store(tmp_path), scan()
    folder = write_files(tmp_path / "in", a_png=film, t_csv="file,patient\na.png,ann\n")
    for patient, told in (("ann", 0), ("bob", 1), ("ann", 0)):
        write_files(folder, t_csv=f"file,patient\na.png,{patient}\n")
        summary = process_folder(store, folder)
        assert sum("`dental undo`" in note for note in summary.notes) == told


def test_one_film_under_two_names_and_patients_is_misfiled_and_no_correction(tmp_path):
    store, film = small_store(tmp_path), panoramic()
    tables = "file,patient\na.png,ann\nb.png,bob\n"
    summary = process_folder(
        store, write_files(tmp_path / "in", a_png=film, b_png=film, t_csv=tables)
    )
    assert any("may be misfiled" in note for note in summary.notes)
    assert not any("`dental undo`" in note for note in summary.notes)


def test_new_boxes_of_a_scan_belong_to_the_patient_it_was_accepted_for(tmp_path):
    store, same = small_store(tmp_path), panoramic()
    boxes = "file,label,x,y,w,h,patient\na.png,healthy,40,20,10,10,\n"
    process_folder(store, write_files(tmp_path / "one", a_png=same, t_csv=boxes))
    boxes = "file,label,x,y,w,h,patient\na.png,caries,70,20,10,10,zoe\n"
    summary = process_folder(
        store, write_files(tmp_path / "two", a_png=same, t_csv=boxes), batch="c"
    )
    assert read_table(store.store, "features")["patient_key"].nunique() == 1
    assert summary.broken_checks == []
    for kind in ("crops", "features"):
        store.store.remove_all(kind)
    process_folder(store, tmp_path / "two", batch="c")  # cut again
    process_folder(store, tmp_path / "one")
    assert read_table(store.store, "features")["patient_key"].nunique() == 1


def test_scans_of_16_bits_that_need_fewer_are_noted_and_listed(tmp_path):
    store = small_store(tmp_path)
    dim = {f"s{n}_png": scan().astype(np.uint16) * (16383 // 255) for n in range(2)}
    full = scan().astype(np.uint16) * 257
    full[0, 0] = 65535
    summary = process_folder(store, write_files(tmp_path / "in", **dim, f_png=full))
    [note] = [note for note in summary.notes if "never exceed" in note]
    assert note.startswith("2 scans of 16 bits never exceed 14.")
    with catalog.open_store(store.store) as con:
        rows = catalog.query(con, "unused_bits", batch=summary.batch)
    assert rows["bits_used"].tolist() == [14, 14]
