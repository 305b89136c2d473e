"""From drawn teeth and findings to boxes in the pixels of the finished picture."""

from dataclasses import replace

import numpy as np

from pipeline.phantoms.canvas import View
from pipeline.phantoms.mouth import Tooth
from pipeline.phantoms.outlines import shapes_of
from pipeline.phantoms.phantom import Planted, ToothBox

# Annotators leave some air around a tooth; 0.6 to 2.6 mm made boxes as large as on real
# panoramics (median height a quarter of the picture, median width 6 %).
MARGIN = (0.6, 2.6)


def tooth_boxes(teeth: list[Tooth], view: View, rng: np.random.Generator) -> tuple[ToothBox, ...]:
    """One box for each of the teeth that the view shows whole, as a person would draw it."""
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
    """What was planted in pixels of `view`, in pixels of a picture of `width` × `height`."""
    across, down = width / view.width, height / view.height
    places = []
    for item in planted:
        left, top = int(item.x * across), int(item.y * down)
        right = min(width, round((item.x + item.w) * across))
        bottom = min(height, round((item.y + item.h) * down))
        places.append(replace(item, x=left, y=top, w=right - left, h=bottom - top))
    return tuple(places)
