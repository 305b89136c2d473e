"""What comes back of one file: its crops belong to its regions, in the order that packs best."""

import numpy as np
import pytest

from pipeline.config import Quality
from pipeline.imaging.crops import cut, cut_alike
from pipeline.ingest.labels.annotations import Annotation, Box
from pipeline.ingest.list_files import list_batch
from pipeline.stages.read_scan import Order, read_scan
from tests.builders.fakes import use_fakes
from tests.builders.scans import panoramic, write_files
from tests.builders.stores import RECIPE

BOXES = [Box(60, 20, 12, 20, False, "caries", None, ""), Box(20, 20, 12, 20, False, None, None, "")]


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Reads a panoramic with these boxes."""
    use_fakes(monkeypatch)
    [entry] = list_batch(write_files(tmp_path, a_png=panoramic(seed=1))).scans

    def reading(boxes):
        about = Annotation(boxes=boxes)
        return read_scan(Order(tmp_path, entry, about, RECIPE, Quality(), 10**6, 10**6, False))

    return reading


def test_found_places_come_from_left_to_right_with_their_own_crops(read):
    found, pixels = read([]), panoramic(seed=1)
    squares = [region.square for region in found.regions]
    assert len(squares) > 20
    assert [square.x for square in squares] == sorted(square.x for square in squares)
    np.testing.assert_array_equal(found.crops, list(cut_alike(pixels, squares, RECIPE.side)))


def test_background_comes_after_boxes_and_each_crop_is_of_its_region(read):
    both, pixels = read(BOXES), panoramic(seed=1)
    kinds = [region.kind for region in both.regions]
    assert kinds == ["box"] * 2 + ["background"] * (len(kinds) - 2)
    assert [region.label for region in both.regions[:2]] == [None, "caries"]
    boxes = [cut(pixels, each.square, each.area, RECIPE.side) for each in both.regions[:2]]
    rest = cut_alike(pixels, [each.square for each in both.regions[2:]], RECIPE.side)
    np.testing.assert_array_equal(both.crops, [*boxes, *rest])


@pytest.mark.parametrize("size", [(20_000, 1), (70_000, 10), (10, 70_000)])
def test_a_long_thin_scan_is_read_like_any_other(size, tmp_path, monkeypatch):
    use_fakes(monkeypatch)
    stripes = np.where(np.arange(max(size)) // 2000 % 2, 200, 40).astype(np.uint8)
    pixels = np.broadcast_to(stripes.reshape(-1, 1) if size[0] > size[1] else stripes, size)
    [entry] = list_batch(write_files(tmp_path, a_png=np.ascontiguousarray(pixels))).scans
    found = read_scan(Order(tmp_path, entry, Annotation(), RECIPE, Quality(), 10**6, 10**6, False))
    assert found.rejection is None
    assert found.crops[0].shape == (RECIPE.side, RECIPE.side)
