"""Squares cut around regions and resized to the recipe's side."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import Recipe
from pipeline.imaging.crops import Place, cut, cut_alike, square_around
from pipeline.imaging.downscale import shrink
from pipeline.imaging.frame import Frame
from pipeline.imaging.regions import Annotated, find_regions
from pipeline.ingest.workers import messages

PANORAMIC = np.random.default_rng(0).integers(0, 255, (100, 200)).astype(np.uint8)
RECIPE = Recipe(side=32)


@settings(max_examples=50, deadline=None)
@given(
    centre=st.tuples(st.integers(30, 170), st.integers(30, 70)),
    one=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    other=st.tuples(st.integers(1, 12), st.integers(1, 12)),
)
def test_the_crop_does_not_depend_on_the_width_and_height_of_its_box(centre, one, other):
    def crop(half):
        place = Place(centre[0] - half[0], centre[1] - half[1], 2 * half[0], 2 * half[1])
        [region] = find_regions(Frame(PANORAMIC), None, [Annotated(place, None, None)], RECIPE)
        return region.square, cut(PANORAMIC, region.square, region.area, 32).tolist()

    assert crop(one) == crop(other)


def test_the_square_is_a_fixed_share_of_the_height_of_a_panoramic():
    [region] = find_regions(
        Frame(PANORAMIC), None, [Annotated(Place(90, 40, 20, 20), "caries", 36)], RECIPE
    )
    assert region.square == Place(86, 36, 28, 28)
    assert (region.name, region.label, region.tooth) == ("box-90-40-20-20", "caries", 36)


def test_a_square_is_black_beyond_the_scan():
    pixels = np.full((10, 10), 200, np.uint8)
    crop = cut(pixels, Place(-5, 0, 10, 10), Place(0, 0, 10, 10), 10)
    assert crop[:, :5].max() == 0
    assert crop[:, 5:].min() == 200


def test_a_square_is_black_outside_its_area():
    pixels = np.full((10, 10), 200, np.uint8)
    crop = cut(pixels, Place(0, 0, 10, 10), Place(0, 2, 10, 6), 10)
    assert (crop.max(axis=1) > 0).tolist() == [False] * 2 + [True] * 6 + [False] * 2


def test_a_crop_of_the_target_size_has_the_source_pixels():
    square = square_around(100, 50, 32)
    expected = PANORAMIC[square.y : square.y + 32, square.x : square.x + 32]
    assert cut(PANORAMIC, square, Place(0, 0, 200, 100), 32).tolist() == expected.tolist()


@pytest.mark.parametrize("edge", [64, 65, 100, 127, 131, 259])
def test_shrinking_before_padding_gives_the_same_crop_as_padding_before_shrinking(edge):
    for square in (square_around(100, 50, edge), Place(5, 60, edge, edge)):
        padded = cut(PANORAMIC, square, Place(20, 7, 101, 80), edge)
        small = cut(PANORAMIC, square, Place(20, 7, 101, 80), 32)
        assert small.tolist() == shrink(padded, 32, 32).tolist()


@pytest.mark.parametrize("size", [(1_000_000, 1), (1, 1_000_000), (70_000, 10)])
def test_a_long_thin_scan_is_cropped_without_allocating_its_whole_square(size):
    pixels = np.full(size, 200, np.uint8)
    square = square_around(size[1] / 2, size[0] / 2, max(size))  # up to a terabyte
    crop = cut(pixels, square, Place(0, 0, size[1], size[0]), 32)
    assert crop.shape == (32, 32)
    assert crop.max() <= 200


def test_squares_cut_together_equal_squares_cut_singly_at_full_resolution():
    squares = [Place(x, y, 32, 32) for x, y in ((0, 0), (-9, 60), (170, 80), (-50, 3), (250, 0))]
    area = Place(0, 0, 200, 100)
    together = [crop.tolist() for crop in cut_alike(PANORAMIC, squares, 32)]
    assert together == [cut(PANORAMIC, square, area, 32).tolist() for square in squares]


@pytest.mark.parametrize("edge", [24, 100])
def test_squares_cut_together_are_shifted_by_at_most_half_a_pixel_of_the_crop(edge):
    across, down = np.meshgrid(np.arange(400), np.arange(300))
    slope = (0.3 * across + 0.4 * down).astype(np.uint8)  # half a pixel of 32 changes it by < 1
    squares = [Place(x, y, edge, edge) for x, y in ((0, 0), (7, 13), (201, 150))]
    for crop, square in zip(cut_alike(slope, squares, 32), squares, strict=True):
        alone = cut(slope, square, Place(0, 0, 400, 300), 32)
        apart = np.abs(crop.astype(int) - alone)[2:-2, 2:-2]
        assert apart.max() <= np.ceil(0.5 * 0.7 * edge / 32) + 1


def test_overlapping_crops_are_sent_between_processes_as_one_image():
    squares = [Place(4 * number, 0, 64, 64) for number in range(10)]
    crops = cut_alike(PANORAMIC, squares, 32)
    crops.add(both := cut_alike(PANORAMIC, squares[:1], 32))
    sent = messages.pack(crops)
    assert sum(map(len, sent)) < 0.5 * sum(crop.nbytes for crop in crops)
    np.testing.assert_array_equal(messages.unpack(sent), crops)
    np.testing.assert_array_equal(crops[-1], both[0])
