"""Letters burned in near the edge of a scan."""

import cv2
import numpy as np

from pipeline.imaging.burned_in_text import has_burned_in_text
from tests.builders.scans import scan


def lettered(text, y):
    dim = (cv2.GaussianBlur(scan(300, 600, seed=3), (0, 0), 6) * 0.4).astype(np.uint8)
    return cv2.putText(dim, text, (40, y), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 255, 2, cv2.LINE_AA)


def test_letters_near_the_lower_or_upper_edge_are_detected():
    assert has_burned_in_text(lettered("R 2024", 285))
    assert has_burned_in_text(lettered("R 2024", 24))
    assert not has_burned_in_text(lettered("", 285))


def test_a_bright_filling_away_from_the_edges_is_not_a_letter():
    filling = lettered("", 0)
    cv2.ellipse(filling, (300, 150), (10, 6), 0, 0, 360, 255, -1)
    assert not has_burned_in_text(filling)
