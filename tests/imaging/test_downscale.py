import cv2
import numpy as np
import pytest

from pipeline.imaging.downscale import shrink
from tests.builders.scans import scan


@pytest.mark.parametrize("size", [(256, 124), (300, 200), (999, 700)])
def test_halving_first_gives_nearly_the_result_of_averaging_at_once(size):
    pixels = cv2.GaussianBlur(scan(1400, 2900, seed=1), (0, 0), 12)
    at_once = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    difference = np.abs(shrink(pixels, *size).astype(int) - at_once)
    assert difference.mean() < 1
    assert difference.max() <= 5


def test_halving_drops_an_odd_last_row_and_column_only():
    pixels = np.arange(25, dtype=np.uint8).reshape(5, 5)
    assert shrink(pixels, 2, 2).tolist() == [[3, 5], [13, 15]]


def test_an_image_of_the_requested_size_is_unchanged():
    pixels = scan(40, 50)
    assert np.array_equal(shrink(pixels, 50, 40), pixels)
