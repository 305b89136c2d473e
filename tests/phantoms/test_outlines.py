from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.phantoms.mouth import grow
from pipeline.phantoms.outlines import shapes_of

TEETH = {tooth.fdi: tooth for tooth in grow(1).sound.teeth}


def is_inside(points, polygon):
    outline = polygon.astype(np.float32)
    return all(cv2.pointPolygonTest(outline, point.tolist(), False) >= 0 for point in points)


@pytest.mark.parametrize(("fdi", "roots"), [(11, 1), (16, 3), (46, 2)])
def test_a_canal_is_in_its_root_which_ends_at_its_apex(fdi, roots):
    shapes = shapes_of(TEETH[fdi])
    assert len(shapes.roots) == len(shapes.canals) == len(shapes.apexes) == roots
    for root, canal, apex in zip(shapes.roots, shapes.canals, shapes.apexes, strict=True):
        assert is_inside(canal[:4], root)
        assert np.abs(root - apex).max(axis=1).min() < 0.5
    assert is_inside(shapes.core.mean(axis=0, keepdims=True), shapes.crown)
    assert is_inside(shapes.chamber.mean(axis=0, keepdims=True), shapes.crown)


@pytest.mark.parametrize("fdi", [16, 46])
def test_a_filling_is_in_the_canals_or_in_the_crown_as_its_kind_says(fdi):
    shapes = {
        filling: shapes_of(replace(TEETH[fdi], filling=filling))
        for filling in ("", "occlusal", "crown", "root")
    }
    assert shapes[""].filling == []
    for filled, canal in zip(shapes["root"].filling, shapes["root"].canals, strict=True):
        assert (filled == canal).all()
    for kind in ("occlusal", "crown"):
        (filling,) = shapes[kind].filling
        assert is_inside(filling.mean(axis=0, keepdims=True), shapes[kind].crown)
