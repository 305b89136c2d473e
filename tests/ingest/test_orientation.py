"""A picture comes out the same however the sensor was held, when its orientation says so."""

import numpy as np
import pytest

from pipeline.ingest.orientation import steps, turn_upright
from pipeline.ingest.picture import Picture

SEEN = np.arange(6, dtype=np.uint8).reshape(2, 3)  # the patient's left to the right, feet down
STORED = {
    "L/F": SEEN,
    "R/H": np.rot90(SEEN, 2),
    "F/R": np.rot90(SEEN, 1),  # a quarter anticlockwise: what pointed down points right
    "H/L": np.rot90(SEEN, -1),
    "R/F": SEEN[:, ::-1],
    "L/H": SEEN[::-1],
    "F/L": np.rot90(SEEN[:, ::-1], 1),
    "H/R": np.rot90(SEEN[:, ::-1], -1),
}


def picture(pixels, orientation):
    return Picture(
        (pixels,), "dicom", 8, "dicom", False, orientation=orientation,
        pixel_spacing_x=0.1, pixel_spacing_y=0.2,
    )  # fmt: skip


@pytest.mark.parametrize("orientation", STORED)
def test_a_scan_is_turned_as_its_orientation_says(orientation):
    found = turn_upright(picture(STORED[orientation], orientation))
    assert found.frames[0].tolist() == SEEN.tolist()
    turned = STORED[orientation].shape != SEEN.shape
    assert found.pixel_spacing_x == (0.2 if turned else 0.1)


def test_a_side_view_upside_down_is_turned_and_not_mirrored():
    assert steps("A/H") == (2, False)
    assert steps("P/F") == (0, False)
    assert steps("AL/FR") == (0, False)


@pytest.mark.parametrize("orientation", [None, "L/A", "R/P", "A/L"])
def test_without_a_word_about_the_feet_nothing_is_turned(orientation):
    given = picture(SEEN, orientation)
    assert turn_upright(given) is given
