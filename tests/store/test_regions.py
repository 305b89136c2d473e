"""Boxes that reviewers drew, by rows made up without scans."""

import pytest

from pipeline.errors import ConfigError
from pipeline.imaging.crops import Place
from pipeline.store import catalog
from pipeline.store.crop_query import labels_in_force
from pipeline.store.features import load_features
from pipeline.store.regions import FIRST, DrawnRegion, append_regions, withdrawn_crops
from pipeline.store.tables import REGIONS
from tests.builders.stores import failed_checks
from tests.builders.tables import feature_row, scan_row, write_labels, write_table

SCAN, COPY = "a" * 32, "c" * 32
BOX = f"{SCAN}:box-1-2-3-4"
FIRST_PLACE, SECOND_PLACE = Place(10, 20, 30, 40), Place(15, 20, 30, 40)


@pytest.fixture
def drawn_on(store):
    """A store with one scan of 100 × 80 pixels that has a labelled box."""
    size = {"width": 100, "height": 80, "frames": 1}
    write_table(store, "scans", [scan_row(0, SCAN, **size)])
    rows = [feature_row(SCAN, crop_id=BOX, region="box-1-2-3-4", region_kind="box")]
    write_table(store, "features", [*rows, feature_row(SCAN)])
    write_labels(store, {BOX: "caries"})
    return store


def missed(box=FIRST_PLACE, **given):
    return DrawnRegion.missed(SCAN, "b", box, "ab", **given)


def moved(region, box):
    return DrawnRegion.moved(SCAN, "b", region, box, "ab")


def crop_at(box):
    return f"{SCAN}:drawn-{box.x}-{box.y}-{box.w}-{box.h}"


def in_force(store):
    with catalog.open_store(store) as con:
        return con.table("regions_now").to_arrow_table()["crop_id"].to_pylist()


def test_a_missed_finding_is_a_region_with_a_name_of_its_own(drawn_on):
    [name] = append_regions(drawn_on, [missed(tooth=36)])
    assert name == f"regions/b/part-{FIRST}.parquet"
    [row] = REGIONS.read(drawn_on, "b", FIRST).to_pylist()
    assert (row["region"], row["tooth"], row["new"]) == ("drawn-10-20-30-40", 36, True)
    assert in_force(drawn_on) == [crop_at(FIRST_PLACE)]


def test_a_decision_that_changes_nothing_is_not_stored_again(drawn_on):
    append_regions(drawn_on, [missed()])
    assert append_regions(drawn_on, [missed()]) == []


def test_a_box_that_was_taken_back_is_out_of_force_and_in_force_when_drawn_again(drawn_on):
    for decision in (missed(), missed().taken_back()):
        append_regions(drawn_on, [decision])
    assert in_force(drawn_on) == []
    [name] = append_regions(drawn_on, [missed()])
    assert in_force(drawn_on) == [crop_at(FIRST_PLACE)]
    assert not REGIONS.read(drawn_on, "b", FIRST + 2)["new"][0].as_py(), f"cut again by {name}"
    assert not failed_checks(drawn_on)


def test_a_moved_box_takes_the_label_of_the_first_one_which_trains_no_more(drawn_on):
    append_regions(drawn_on, [moved("box-1-2-3-4", FIRST_PLACE)])
    assert dict(labels_in_force(drawn_on)) == {crop_at(FIRST_PLACE): "caries"}
    frame, embeddings = load_features(drawn_on)
    assert list(frame["crop_id"]) == [f"{SCAN}:whole"]
    assert len(embeddings) == 1


def test_a_box_that_is_moved_twice_keeps_its_label_unless_decided_anew(drawn_on):
    append_regions(drawn_on, [moved("box-1-2-3-4", FIRST_PLACE)])
    append_regions(drawn_on, [moved("drawn-10-20-30-40", SECOND_PLACE)])
    assert dict(labels_in_force(drawn_on)) == {crop_at(SECOND_PLACE): "caries"}
    write_labels(drawn_on, {crop_at(SECOND_PLACE): "healthy"}, source="ab")
    assert dict(labels_in_force(drawn_on)) == {crop_at(SECOND_PLACE): "healthy"}


def test_a_box_that_is_moved_back_to_an_earlier_place_is_in_force_there_alone(drawn_on):
    append_regions(drawn_on, [moved("box-1-2-3-4", FIRST_PLACE)])
    append_regions(drawn_on, [moved("drawn-10-20-30-40", SECOND_PLACE)])
    append_regions(drawn_on, [moved("drawn-15-20-30-40", FIRST_PLACE)])
    assert in_force(drawn_on) == [crop_at(FIRST_PLACE)]
    assert withdrawn_crops(drawn_on) == {BOX, crop_at(SECOND_PLACE)}


def test_a_move_that_was_taken_back_leaves_the_box_where_it_was(drawn_on):
    move = moved("box-1-2-3-4", FIRST_PLACE)
    append_regions(drawn_on, [move])
    append_regions(drawn_on, [move.taken_back()])
    assert dict(labels_in_force(drawn_on)) == {BOX: "caries"}
    assert withdrawn_crops(drawn_on) == {crop_at(FIRST_PLACE)}


def test_a_withdrawn_box_has_no_label_and_no_row_until_that_is_taken_back(drawn_on):
    withdrawal = DrawnRegion.withdrawn(SCAN, "b", "box-1-2-3-4", "ab")
    append_regions(drawn_on, [withdrawal])
    assert labels_in_force(drawn_on).empty
    with catalog.open_store(drawn_on) as con:
        crops = con.table("features").to_arrow_table()["crop_id"].to_pylist()
    assert crops == [f"{SCAN}:whole"]
    append_regions(drawn_on, [withdrawal.taken_back()])
    assert dict(labels_in_force(drawn_on)) == {BOX: "caries"}


def test_a_box_on_a_copy_belongs_to_the_batch_that_accepted_the_scan(drawn_on):
    copy = scan_row(0, SCAN, "duplicate", batch="other", duplicate_of="b")
    write_table(drawn_on, "scans", [copy], batch="other")
    decision = missed()._replace(batch="other")
    assert append_regions(drawn_on, [decision]) == [f"regions/b/part-{FIRST}.parquet"]


def test_a_box_is_clipped_to_its_scan_and_named_by_what_is_left(drawn_on):
    append_regions(drawn_on, [missed(Place(90, 70, 30, 30))])
    assert in_force(drawn_on) == [f"{SCAN}:drawn-90-70-10-10"]


@pytest.mark.parametrize(
    ("message", "decision"),
    [
        ("outside the scan, which is 100 wide", missed(Place(200, 0, 5, 5))),
        ("no accepted scan", missed()._replace(scan_id=COPY)),
        ("no region of a scan with 1 frames", missed(frame=2)),
        ("no region of a scan", DrawnRegion.withdrawn(SCAN, "b", "Jane Doe", "ab")),
        ("is not a code of 1 to 16", missed()._replace(source="Dr. Jane Doe")),
        ("cannot be stored", missed()._replace(kind="other")),
    ],
)
def test_a_decision_that_cannot_be_stored_is_refused(drawn_on, message, decision):
    with pytest.raises(ConfigError, match=message):
        append_regions(drawn_on, [missed(), decision])
    assert not REGIONS.names(drawn_on)
