"""One overview of a frame serves all who look at the whole of it."""

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


def test_an_overview_is_made_once_also_for_a_frame_that_keeps_its_border():
    frame = Frame(np.zeros((60, 80), np.uint8))
    assert frame.without_border(0.0).overview is frame.overview


def test_teeth_are_found_in_an_overview_where_they_are_found_in_the_frame():
    pixels = (draw_panoramic(7).pixels >> 4).astype(np.uint8)
    np.testing.assert_array_equal(find_teeth(Frame(pixels).overview), find_teeth(pixels))
