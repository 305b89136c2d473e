"""Boxes that reviewers drew, from the decision to embedding, forgetting and undoing."""

import shutil

import pytest

from pipeline.config import Recipe
from pipeline.imaging.crops import Place
from pipeline.jobs.drawn_regions import cut_drawn_regions
from pipeline.learn.crop_source import on_sides
from pipeline.stages.plan import deliver
from pipeline.store import catalog
from pipeline.store.locks import batch_lock
from pipeline.store.regions import FIRST, DrawnRegion, append_regions
from pipeline.store.registry import choose_models
from pipeline.upkeep import erase, find_traces, forget, undo
from pipeline.upkeep.why import explain_file
from tests.builders.fakes import use_fakes
from tests.builders.scans import panoramic, scan, write_files
from tests.builders.stores import (
    failed_checks,
    process_folder,
    read_table,
    small_store,
    stored_bytes,
)

BOX = "box-40-20-10-10"
DRAWN = Place(20, 10, 15, 12)
NAME = "drawn-20-10-15-12"
TABLES = ("crops", "features")


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    use_fakes(monkeypatch)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Batch `one` with a labelled box; batch `two` with a copy of that panoramic."""
    root, patch = tmp_path_factory.mktemp("drawn"), pytest.MonkeyPatch()
    use_fakes(patch)
    same = panoramic()
    table = f"file,label,x,y,w,h\na.png,caries,{BOX.removeprefix('box-').replace('-', ',')}\n"
    write_files(root / "one", a_png=same, b_png=scan(), t_csv=table)
    write_files(root / "two", other_png=same)
    for batch in ("one", "two"):
        process_folder(small_store(root), root / batch, batch)
    patch.undo()
    return root


@pytest.fixture
def opened(made, tmp_path):
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    store = small_store(tmp_path)
    for batch in ("one", "two"):
        deliver(tmp_path / batch, batch, store)
    return store


def boxed_scan(opened):
    crops = read_table(opened.store, "crops")
    return crops[crops["region"] == BOX].iloc[0]["scan_id"]


def draw(opened, box=DRAWN):
    decision = DrawnRegion.missed(boxed_scan(opened), "one", box, "ab", tooth=36)
    append_regions(opened.store, [decision])
    return decision


def drawn_rows(store, table):
    rows = read_table(store, table)
    return rows[rows["region_kind"] == "drawn"]


def test_a_missed_finding_is_cut_and_embedded_with_its_scans_facts(opened):
    decision = draw(opened)
    result = cut_drawn_regions(opened)
    assert (result.boxes, result.notes, result.failures) == (1, [], [])
    [crop], [row] = (drawn_rows(opened.store, table).to_dict("records") for table in TABLES)
    assert row["crop_id"] == decision.crop_id == f"{decision.scan_id}:{NAME}"
    assert (crop["batch"], crop["tooth"], crop["region_x"]) == ("one", 36, 20)
    scan_rows = read_table(opened.store, "scans").set_index("scan_id")
    [patient] = set(scan_rows.loc[[decision.scan_id]].query("status == 'accepted'")["patient_key"])
    assert crop["patient_key"] == patient
    assert not failed_checks(opened.store)


def test_cutting_again_changes_nothing(opened):
    draw(opened)
    cut_drawn_regions(opened)
    before = stored_bytes(opened.store, *TABLES)
    assert cut_drawn_regions(opened).boxes == 0
    assert process_folder(opened, opened_folder(opened), "one").nothing_to_do
    assert stored_bytes(opened.store, *TABLES) == before


def opened_folder(opened):
    return opened.private.root.parent / "one"


def test_a_run_cuts_drawn_boxes_and_a_killed_one_is_finished(opened):
    draw(opened)
    process_folder(opened, opened_folder(opened), "one")
    whole = stored_bytes(opened.store, *TABLES)
    chosen = choose_models(opened.settings, opened.store)
    opened.store.remove(chosen.features.part("one", FIRST))
    process_folder(opened, opened_folder(opened), "one")
    assert stored_bytes(opened.store, *TABLES) == whole


def test_another_recipe_cuts_drawn_boxes_again(opened, tmp_path):
    draw(opened)
    cut_drawn_regions(opened)
    other = small_store(tmp_path, recipe=Recipe(side=16))
    process_folder(other, tmp_path / "one", "one")
    rows = drawn_rows(other.store, "crops")
    assert sorted(len(pixels) for pixels in rows["pixels"]) == [16 * 16, 32 * 32]


def test_a_box_on_a_scan_whose_file_is_gone_is_counted_and_tried_again(opened, tmp_path):
    draw(opened)
    (tmp_path / "one" / "a.png").rename(tmp_path / "away.png")
    result = cut_drawn_regions(opened)
    assert result.boxes == 0
    assert "1 drawn box could not be cut" in result.notes[0]
    (tmp_path / "away.png").rename(tmp_path / "one" / "a.png")
    assert cut_drawn_regions(opened).boxes == 1


def test_a_batch_that_another_run_works_on_is_left_to_it(opened):
    draw(opened)
    with batch_lock(opened.store, "one"):
        [note] = cut_drawn_regions(opened).notes
    assert "Batch one is being worked on" in note
    assert cut_drawn_regions(opened).boxes == 1


def test_a_moved_box_is_no_crop_to_learn_a_trunk_from(opened):
    scan_id = boxed_scan(opened)
    append_regions(opened.store, [DrawnRegion.moved(scan_id, "one", BOX, DRAWN, "ab")])
    cut_drawn_regions(opened)
    chosen = choose_models(opened.settings, opened.store)
    crops = [f"{scan_id}:{BOX}", f"{scan_id}:{NAME}"]
    source = on_sides(opened.store, chosen, crops, [0, 0], ["train", "train"], ("healthy",))
    assert list(source.facts["crop_id"]) == crops[1:]


def test_a_forgotten_scan_leaves_no_drawn_box(opened):
    decision = draw(opened)
    cut_drawn_regions(opened)
    found = forget.forget(opened, find_traces.find_scan(opened, decision.scan_id))
    assert found.rows["regions"] == 1
    files = erase.every_file(opened.store, opened.private)
    assert (
        erase.traces_left(files, erase.Traces(frozenset({decision.scan_id})), lambda _: None) == []
    )
    assert not failed_checks(opened.store)


def test_undoing_a_batch_hands_its_drawn_boxes_to_the_batch_that_has_the_scan(opened, tmp_path):
    decision = draw(opened)
    cut_drawn_regions(opened)
    undo.undo(opened, "one")
    assert cut_drawn_regions(opened).boxes == 0  # `two` has not accepted the scan yet
    process_folder(opened, tmp_path / "two", "two")
    [row] = drawn_rows(opened.store, "features").to_dict("records")
    assert (row["crop_id"], row["batch"]) == (decision.crop_id, "two")
    assert not failed_checks(opened.store)


def test_undoing_the_only_batch_of_a_scan_removes_its_drawn_boxes(opened):
    draw(opened)
    cut_drawn_regions(opened)
    undo.undo(opened, "two")
    undo.undo(opened, "one")
    assert not opened.store.names("regions")


def test_why_lists_what_reviewers_drew_on_a_scan(opened, tmp_path):
    decision = draw(opened)
    found = explain_file(opened, str(tmp_path / "one" / "a.png"))
    [row] = found.regions
    assert (row["crop_id"], row["in_force"]) == (decision.crop_id, True)


def test_drawn_regions_are_listed_with_their_state(opened):
    append_regions(opened.store, [draw(opened).taken_back()])
    with catalog.open_store(opened.store) as con:
        rows = catalog.query(con, "drawn_regions", batch="one")
    assert list(rows["withdrawn"]) == [True, False]
    assert not rows["in_force"].any()
