"""Boxes of masks, compared with those of pycocotools."""

import numpy as np
import pytest
from pycocotools import mask as coco_masks

from pipeline.ingest.labels.forms.rle import coco_mask_bounds, row_mask_bounds


def masks():
    rng = np.random.default_rng(0)
    for height, width in ((1, 1), (7, 5), (50, 100), (300, 2)):
        yield np.ones((height, width), np.uint8)
        for share in (0.02, 0.5):
            yield (rng.random((height, width)) < share).astype(np.uint8)
    tall = np.zeros((5_000, 3), np.uint8)
    tall[4_000:4_010, 1] = 1
    yield tall


def runs_of(flat):
    changes = np.flatnonzero(np.diff(np.concatenate([[0], flat]))).tolist()
    return np.diff([0, *changes, len(flat)]).tolist()


@pytest.mark.parametrize("mask", [*masks()], ids=lambda mask: f"{mask.shape}-{mask.sum()}")
def test_boxes_of_masks_are_those_of_pycocotools(mask):
    packed = coco_masks.encode(np.asfortranarray(mask))
    expected = tuple(coco_masks.toBbox(packed)) if mask.any() else None
    size = list(mask.shape)
    assert coco_mask_bounds({"size": size, "counts": packed["counts"].decode()}) == expected
    assert coco_mask_bounds({"size": size, "counts": runs_of(mask.T.ravel())}) == expected
    assert row_mask_bounds(runs_of(mask.ravel()), *mask.shape[::-1]) == expected


@pytest.mark.parametrize(
    "mask",
    [
        *(None, [], {}, {"size": [2, 2]}, {"size": [2], "counts": [0, 4]}),
        *({"size": [2, 2], "counts": [0, 5]}, {"size": [2, 2], "counts": [-1, 2]}),
        *({"size": [2, 2], "counts": ["0", 4]}, {"size": [0, 2], "counts": []}),
        *({"size": [2, 2], "counts": "0o"}, {"size": [2, 2], "counts": "\0"}),
        *({"size": [2, 2], "counts": "o" * 10**6 + "0"}, {"size": ["2", 2], "counts": "04"}),
        {"size": [10**30, 2], "counts": [0, 4]},
    ],
)
def test_damaged_masks_have_no_box(mask):
    assert coco_mask_bounds(mask) is None
