"""The overview of a frame, shared by whole-image computations."""

import numpy as np
import pytest

from pipeline.imaging.frame import Frame
from pipeline.imaging.tooth_finder import find_teeth
from pipeline.phantoms import draw_panoramic


@pytest.mark.parametrize(
    ("shape", "overview"),
    [
        ((1400, 2900), (350, 725)),
        ((2900, 1401), (725, 350)),
        ((700, 1023), (700, 1023)),
        ((1, 3000), (1, 750)),
    ],
)
def test_an_overview_is_halved_until_its_longer_edge_is_below_1024(shape, overview):
    assert Frame(np.zeros(shape, np.uint8)).overview.shape == overview


def test_an_overview_is_computed_once_also_when_no_border_is_masked():
    frame = Frame(np.zeros((60, 80), np.uint8))
    assert frame.without_border(0.0).overview is frame.overview


def test_teeth_are_found_at_the_same_places_in_an_overview_and_in_its_frame():
    pixels = (draw_panoramic(7).pixels >> 4).astype(np.uint8)
    np.testing.assert_array_equal(find_teeth(Frame(pixels).overview), find_teeth(pixels))
