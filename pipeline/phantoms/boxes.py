"""Boxes of drawn teeth and findings, in pixels of the finished image."""

from dataclasses import replace

import numpy as np

from pipeline.phantoms.canvas import View
from pipeline.phantoms.mouth import Tooth
from pipeline.phantoms.outlines import shapes_of
from pipeline.phantoms.phantom import Planted, ToothBox

# Millimetres that annotators leave around a tooth; 0.6 to 2.6 gave boxes as large as on real
# panoramics (median height a quarter of the image, median width 6 %).
MARGIN = (0.6, 2.6)


def tooth_boxes(teeth: list[Tooth], view: View, rng: np.random.Generator) -> tuple[ToothBox, ...]:
    """One box, as an annotator would draw it, for each tooth that is entirely visible."""
    boxes = []
    for tooth in teeth:
        margins = rng.uniform(*MARGIN, size=4) * view.scale
        points = view.pixels(np.concatenate(shapes_of(tooth).body))
        inside = (points.min(axis=0) >= 0).all() and (points.max(axis=0) < view.size).all()
        if not inside:
            continue
        left, top = np.maximum(np.floor(points.min(axis=0) - margins[:2]), 0).astype(int)
        right, bottom = np.minimum(np.ceil(points.max(axis=0) + margins[2:]), view.size).astype(int)
        w, h = int(right - left), int(bottom - top)
        boxes.append(ToothBox(int(left), int(top), w, h, tooth.label, tooth.fdi))
    return tuple(boxes)


def enlarged(planted: list[Planted], width: int, height: int, view: View) -> tuple[Planted, ...]:
    """Anomalies in pixels of `view`, converted to pixels of an image of `width` × `height`."""
    across, down = width / view.width, height / view.height
    places = []
    for item in planted:
        left, top = int(item.x * across), int(item.y * down)
        right = min(width, round((item.x + item.w) * across))
        bottom = min(height, round((item.y + item.h) * down))
        places.append(replace(item, x=left, y=top, w=right - left, h=bottom - top))
    return tuple(places)
