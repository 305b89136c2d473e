"""The shadow of a film holder is excluded where no tooth reaches into it, and nothing else."""

import numpy as np
import pytest

from pipeline.config import Recipe
from pipeline.imaging.crops import Place
from pipeline.imaging.frame import Frame
from pipeline.imaging.picture_area import exposed_area, picture_area
from pipeline.imaging.regions import find_regions
from pipeline.phantoms import draw_periapical
from pipeline.phantoms.phantom import generator

SEEDS = range(40)


def eight_bits(phantom):
    return (phantom.pixels >> 4).astype(np.uint8)


def has_holder(seed):
    return generator(seed, "print").random(4)[2] < 0.2  # as phantoms/periapical.py draws it


@pytest.fixture(scope="module")
def periapicals():
    return [(seed, draw_periapical(seed, 500)) for seed in SEEDS]


def film(shape=(300, 400)):
    """Dark, with a bright blob in the middle: something that must stay."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    away = np.hypot(y - shape[0] / 2, x - shape[1] / 2) / min(shape)
    noise = np.random.default_rng(0).normal(0, 3, shape)
    return np.clip(60 + 120 * (away < 0.3) + noise, 20, 230).astype(np.uint8)


@pytest.mark.parametrize("turns", range(4))
def test_a_holder_shadow_at_any_edge_is_excluded(turns):
    pixels = film()
    pixels[:20] += 60
    area = picture_area(Frame(np.rot90(pixels, turns)))
    left = [Place(0, 20, 400, 280), Place(20, 0, 280, 400), Place(0, 0, 400, 280)]
    assert area == [*left, Place(0, 0, 280, 400)][turns]


def test_a_holder_shadow_inside_the_collimation_border_is_excluded():
    pixels = film()
    pixels[:20] += 60
    framed = np.pad(pixels, 9)
    assert exposed_area(framed) == Place(9, 9, 400, 300)
    assert picture_area(Frame(framed)) == Place(9, 29, 400, 280)


def test_a_shadow_into_which_a_tooth_reaches_is_kept():
    pixels = film()
    pixels[:20] += 40
    pixels[:, 150:190] = 190
    assert picture_area(Frame(pixels)) == Place(0, 0, 400, 300)


def test_a_bar_along_half_of_the_edge_is_kept():
    pixels = film()
    pixels[:20, :200] += 60
    assert picture_area(Frame(pixels)) == Place(0, 0, 400, 300)


def test_nothing_is_excluded_without_a_holder(periapicals):
    without = [phantom for seed, phantom in periapicals if not has_holder(seed)]
    assert len(without) > 25
    for phantom in without:
        pixels = eight_bits(phantom)
        assert picture_area(Frame(pixels)) == exposed_area(pixels)


def test_holder_shadows_are_excluded_without_cutting_a_tooth(periapicals):
    changed = 0
    for seed, phantom in periapicals:
        if not has_holder(seed):
            continue
        pixels = eight_bits(phantom)
        area, before = picture_area(Frame(pixels)), exposed_area(pixels)
        changed += area != before
        for tooth in phantom.teeth:
            # Boxes have a margin of up to 2.6 mm around their tooth, of 16 to 28 mm.
            assert area.y < tooth.y + 0.25 * tooth.h
            assert tooth.y + 0.75 * tooth.h < area.y + area.h
    assert changed >= 3


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 7), (9, 300), (300, 9)])
def test_the_area_of_a_tiny_image_is_the_whole_image(shape):
    rows, columns = shape
    noise = np.random.default_rng(1).integers(40, 200, shape).astype(np.uint8)
    assert picture_area(Frame(noise)) == Place(0, 0, columns, rows)


def test_the_region_of_a_whole_scan_excludes_the_holder_shadow():
    pixels = film()
    pixels[:20] += 60
    [region] = find_regions(Frame(pixels), "IO", [], Recipe())
    assert (region.name, region.area) == ("whole", Place(0, 20, 400, 280))
