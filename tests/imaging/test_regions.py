"""The squares that are cut, which do not reveal the size of annotated boxes."""

import numpy as np
import pytest

from pipeline.config import Recipe
from pipeline.imaging import tooth_finder
from pipeline.imaging.crops import Place, square_around
from pipeline.imaging.frame import Frame
from pipeline.imaging.picture_area import exposed_area, is_panoramic
from pipeline.imaging.regions import Annotated, find_regions, fingerprint, place_boxes
from pipeline.ingest.labels.annotations import Box
from pipeline.phantoms import draw_panoramic
from pipeline.phantoms.views import drawn

PANORAMIC = np.random.default_rng(0).integers(0, 255, (100, 200)).astype(np.uint8)
RECIPE = Recipe(side=32)


def pixel_box(x, y, w, h, label="healthy", where="t.csv line 2"):
    return Box(x, y, w, h, False, label, None, where)


def test_a_panoramic_without_boxes_has_a_square_as_of_a_box_around_every_found_tooth():
    regions = find_regions(Frame(PANORAMIC), None, [], RECIPE, label="caries", tooth=36)
    found = tooth_finder.find_teeth(PANORAMIC)
    assert {(region.kind, region.label, region.tooth) for region in regions} == {
        ("tooth", None, None)
    }
    assert len(regions) == len({region.name for region in regions}) == len(found)
    squares = [square_around(x * 200, y * 100, 28) for x, y in found]
    assert [region.square for region in regions] == squares


def test_guessed_and_delivered_fdi_numbers_are_separate_fields():
    regions = find_regions(Frame(drawn(draw_panoramic(7, 300)).pixels), None, [], RECIPE)
    guessed = [region for region in regions if region.guess]
    assert 5 < len(guessed) < len(regions)
    assert all(0.5 <= region.confidence <= 1 for region in guessed)
    assert all(region.confidence is None for region in regions if not region.guess)
    assert {region.tooth for region in regions} == {None}
    whole = find_regions(Frame(np.full((90, 100), 99, np.uint8)), "IO", [], RECIPE, tooth=11)
    boxed = find_regions(
        Frame(PANORAMIC), None, [Annotated(Place(90, 40, 20, 20), None, 36)], RECIPE
    )
    assert [(r.tooth, r.guess, r.confidence) for r in (*whole, *boxed)] == [
        (11, None, None),
        (36, None, None),
    ]


def test_two_places_on_one_pixel_of_a_tiny_panoramic_are_one_region():
    regions = find_regions(Frame(np.zeros((2, 4), np.uint8)), None, [], RECIPE)
    assert len(regions) == len({region.name for region in regions}) > 0


def test_a_scan_that_is_not_a_panoramic_is_one_region_without_its_collimation_border():
    pixels = np.zeros((120, 100), np.uint8)
    pixels[20:100, 10:90] = np.random.default_rng(0).integers(60, 200, (80, 80))
    [region] = find_regions(Frame(pixels), "IO", [], RECIPE, label="caries", tooth=11)
    assert (region.name, region.kind, region.label, region.tooth) == (
        "whole",
        "whole",
        "caries",
        11,
    )
    assert region.area == Place(10, 20, 80, 80)


def test_a_white_border_is_removed_and_a_black_scan_is_kept_whole():
    white = np.full((100, 100), 255, np.uint8)
    white[30:90, 5:95] = np.random.default_rng(0).integers(60, 200, (60, 90))
    assert exposed_area(white) == Place(5, 30, 90, 60)
    assert exposed_area(np.zeros((50, 70), np.uint8)) == Place(0, 0, 70, 50)


@pytest.mark.parametrize(
    ("width", "height", "modality", "expected"),
    [
        (150, 100, None, True),
        (149, 100, None, False),
        (100, 100, "PX", True),
        (90, 100, "IO", False),
        (160, 100, "IO", False),
        (160, 100, "CT", False),
        (160, 100, "DX", True),
    ],
)
def test_a_panoramic_is_px_or_a_wide_projection(width, height, modality, expected):
    assert is_panoramic(width, height, modality) is expected


def test_a_tooth_number_in_one_of_two_label_files_is_kept():
    known = Box(10, 20, 30, 40, False, "caries", 36, "a.json")
    unknown = Box(10, 20, 30, 40, False, "caries", None, "a.txt")
    for boxes in ([known, unknown], [unknown, known]):
        [box] = place_boxes(boxes, 100, 100)[0]
        assert (box.label, box.tooth) == ("caries", 36)


def test_a_class_in_one_of_two_label_files_is_kept():
    known = Box(0.1, 0.2, 0.3, 0.4, True, "caries", None, "a.txt")
    unknown = Box(10, 20, 30, 40, False, None, 36, "t.csv")
    for boxes in ([known, unknown], [unknown, known]):
        [box], problems = place_boxes(boxes, 100, 100)
        assert (box.label, box.tooth, problems) == ("caries", 36, [])


@pytest.mark.parametrize("third", ["caries", None])
def test_a_third_box_does_not_restore_a_label_withdrawn_for_two_classes(third):
    boxes = [pixel_box(10, 10, 40, 40, label) for label in ("healthy", "caries", third)]
    placed, problems = place_boxes(boxes, 200, 100)
    assert [box.label for box in placed] == [None]
    assert [kind for kind, _, _ in problems] == ["two_classes"]


def test_boxes_in_fractions_and_in_pixels_give_the_same_place():
    share = Box(0.45, 0.4, 0.1, 0.2, True, "healthy", None, "a.txt line 1")
    for box in (share, pixel_box(90, 40, 20, 20)):
        assert place_boxes([box], 200, 100)[0] == [
            Annotated(Place(90, 40, 20, 20), "healthy", None)
        ]


@pytest.mark.parametrize(
    ("box", "place"),
    [
        ((185, 40, 20, 20), (185, 40, 15, 20)),
        ((189, 40, 20, 20), (189, 40, 11, 20)),
        ((-10, -5, 40, 20), (0, 0, 30, 15)),
        ((-50, -50, 300, 200), (0, 0, 200, 100)),
        ((90, 95, 20, 9), (90, 95, 20, 5)),
    ],
)
def test_a_box_whose_middle_lies_inside_is_clipped_and_reported(box, place):
    [placed], problems = place_boxes([pixel_box(*box)], 200, 100)
    assert (placed.place, placed.label) == (Place(*place), "healthy")
    assert [problem[:2] for problem in problems] == [("clipped_box", "t.csv line 2")]


def test_a_box_outside_the_scan_is_reported_and_a_slight_overshoot_is_clipped():
    placed, problems = place_boxes([pixel_box(190, 40, 20, 20)], 200, 100)
    assert placed == []
    assert problems[0][:2] == ("box_outside", "t.csv line 2")
    assert "does not fit a scan 200 wide and 100 high" in problems[0][2]
    placed, problems = place_boxes([pixel_box(181, 40, 20, 20)], 200, 100)
    assert (placed[0].place, problems) == (Place(181, 40, 19, 20), [])


@pytest.mark.parametrize("box", [(1002, 100, 6, 50), (-8, 100, 8, 50), (100, 1000, 50, 6)])
def test_a_box_entirely_outside_is_reported_even_if_it_is_near(box):
    placed, [(kind, _, _)] = place_boxes([pixel_box(*box)], 1000, 1000)
    assert (placed, kind) == ([], "box_outside")


def test_a_box_over_part_of_the_last_pixel_is_that_pixel():
    placed, problems = place_boxes([pixel_box(999.7, 999.7, 5, 5)], 1000, 1000)
    assert (placed[0].place, problems) == (Place(999, 999, 1, 1), [])


def test_nearly_identical_boxes_of_different_classes_are_reported_and_both_kept():
    boxes = [pixel_box(10, 10, 40, 40), pixel_box(10, 11, 40, 40, "caries")]
    placed, problems = place_boxes(boxes, 200, 100)
    assert [box.label for box in placed] == ["healthy", "caries"]
    assert [kind for kind, _, _ in problems] == ["two_classes"]


def test_identical_boxes_are_one_box_without_a_label_if_their_classes_differ():
    same = [pixel_box(10, 10, 40, 40), pixel_box(10, 10, 40, 40)]
    assert [box.label for box in place_boxes(same, 200, 100)[0]] == ["healthy"]
    differ = [pixel_box(10, 10, 40, 40), pixel_box(10, 10, 40, 40, "caries")]
    placed, problems = place_boxes(differ, 200, 100)
    assert [box.label for box in placed] == [None]
    assert [kind for kind, _, _ in problems] == ["two_classes"]


def test_the_fingerprint_of_a_recipe_changes_with_every_setting():
    prints = {
        fingerprint(recipe)
        for recipe in (
            Recipe(),
            Recipe(side=128),
            Recipe(panoramic_share=0.3),
            Recipe(other_share=0.5),
        )
    }
    assert len(prints) == 4
    assert fingerprint(Recipe()) == fingerprint(Recipe())


def test_the_fingerprint_of_a_recipe_changes_with_the_tooth_finder(monkeypatch):
    before = fingerprint(Recipe())
    monkeypatch.setattr(tooth_finder, "digest", lambda: "other")
    assert fingerprint(Recipe()) != before
