"""Scans reassembled from their crops."""

import numpy as np

from pipeline.imaging.crop_mosaic import WIDTH, mosaic
from pipeline.imaging.crops import Place, cut


def test_crops_are_placed_where_they_were_cut_and_the_rest_is_black():
    scan = np.tile(np.linspace(60, 220, 2 * WIDTH).astype(np.uint8), (600, 1))
    squares = [Place(100, 100, 200, 200), Place(1200, 500, 200, 200)]  # one extends beyond the scan
    whole = Place(0, 0, 2 * WIDTH, 600)
    crops = [cut(scan, square, whole, 256) for square in squares]
    found = mosaic(crops, squares, (2 * WIDTH, 600)).astype(int)
    assert found.shape == (300, WIDTH)
    covered = np.zeros(found.shape, bool)
    covered[50:150, 50:150] = covered[250:300, 600:640] = True
    assert not found[~covered].any()
    assert np.abs(found - scan[::2, ::2])[52:148, 52:148].max() <= 2
    assert np.abs(found - scan[::2, ::2])[252:298, 602:638].max() <= 2
