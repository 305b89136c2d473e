"""Boxes around the shapes of label files."""

import math

import pytest

from pipeline.ingest.labels import shapes
from pipeline.ingest.labels.shapes import Bounds


def test_points_in_any_order_give_the_box_around_them():
    assert shapes.around([(30, 5), (10, 20)]) == Bounds(10, 5, 20, 15)
    assert shapes.around([("40.5", "10"), ("60", "10"), ("50,0", "30")]) == Bounds(
        40.5, 10, 19.5, 20
    )


@pytest.mark.parametrize(
    "points",
    [
        *(None, 1, "ab", [], [1, 2], [(1, 2)], [(1, 2), (1, 9)], [(1, 2, 3), (4, 5, 6)]),
        *([("a", 1), (2, 3)], [(None, 1), (2, 3)], [([1], 1), (2, 3)]),
        *([(math.nan, 1), (2, 3)], [(math.inf, 1), (2, 3)], [(10**400, 1), (2, 3)]),
    ],
)
def test_points_without_an_area_or_that_are_no_numbers_give_no_box(points):
    assert shapes.around(points) is None


def test_a_turned_rectangle_gives_the_box_around_its_corners():
    bounds = shapes.box(40, 20, 20, 10)
    assert shapes.rotated(bounds, 0) == bounds
    assert shapes.rotated(bounds, 90) == pytest.approx((45, 15, 10, 20))
    assert shapes.rotated(bounds, 45) == pytest.approx(
        (50 - 15 / 2**0.5, 25 - 15 / 2**0.5, 30 / 2**0.5, 30 / 2**0.5)
    )
    # About its top left corner, clockwise: it comes to lie to the left.
    assert shapes.rotated(bounds, 90, (40, 20)) == pytest.approx((30, 20, 10, 20))


def test_a_circle_and_a_turned_ellipse_give_the_box_around_them():
    assert shapes.circle(50, 25, 5) == pytest.approx((45, 20, 10, 10))
    assert shapes.ellipse(50, 25, 10, 5, 90) == pytest.approx((45, 15, 10, 20))
    half = math.hypot(10, 5) / 2**0.5
    turned = shapes.ellipse("50", "25", "10", "5", "45")
    assert turned == pytest.approx((50 - half, 25 - half, 2 * half, 2 * half))


@pytest.mark.parametrize("values", [(1, 2, 0, 4), (1, 2, 3, -4), (1, 2, 3, None), (1, 2, 3, True)])
def test_a_box_needs_a_positive_size(values):
    found = shapes.box(*values)
    assert found is None or found.h == 1  # true is 1, as everywhere in Python
