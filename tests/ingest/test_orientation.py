"""Images are upright after turn_upright, however the sensor was held."""

import numpy as np
import pytest

from pipeline.ingest.decoded_picture import Picture
from pipeline.ingest.orientation import turn_upright, turns_and_mirroring

UPRIGHT = np.arange(6, dtype=np.uint8).reshape(2, 3)  # the patient's left to the right, feet down
STORED = {
    "L/F": UPRIGHT,
    "R/H": np.rot90(UPRIGHT, 2),
    "F/R": np.rot90(UPRIGHT, 1),  # a quarter turn anticlockwise: what pointed down points right
    "H/L": np.rot90(UPRIGHT, -1),
    "R/F": UPRIGHT[:, ::-1],
    "L/H": UPRIGHT[::-1],
    "F/L": np.rot90(UPRIGHT[:, ::-1], 1),
    "H/R": np.rot90(UPRIGHT[:, ::-1], -1),
}


def picture(pixels, orientation):
    return Picture(
        (pixels,), "dicom", 8, "dicom", False, orientation=orientation,
        pixel_spacing_x=0.1, pixel_spacing_y=0.2,
    )  # fmt: skip


@pytest.mark.parametrize("orientation", STORED)
def test_a_scan_is_rotated_and_mirrored_by_its_patient_orientation(orientation):
    found = turn_upright(picture(STORED[orientation], orientation))
    assert found.frames[0].tolist() == UPRIGHT.tolist()
    turned = STORED[orientation].shape != UPRIGHT.shape
    assert found.pixel_spacing_x == (0.2 if turned else 0.1)


def test_a_lateral_view_upside_down_is_rotated_and_not_mirrored():
    assert turns_and_mirroring("A/H") == (2, False)
    assert turns_and_mirroring("P/F") == (0, False)
    assert turns_and_mirroring("AL/FR") == (0, False)


@pytest.mark.parametrize("orientation", [None, "L/A", "R/P", "A/L"])
def test_an_orientation_that_leaves_the_feet_open_changes_nothing(orientation):
    given = picture(UPRIGHT, orientation)
    assert turn_upright(given) is given
