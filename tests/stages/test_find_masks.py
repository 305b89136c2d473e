"""Masks are found when a batch is planned and are in the way of no name."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline import config
from pipeline.ingest.delivery_lists import LatestListing
from pipeline.ingest.labels.read_all import read_annotations
from pipeline.ingest.list_files import MASK, list_batch
from pipeline.stages import find_masks
from pipeline.stages.find_masks import levels_of, mark_masks
from pipeline.upkeep.retry import rejected_now
from tests.builders.fakes import use_fakes
from tests.builders.scans import encode, scan
from tests.builders.stores import failed_checks, process_folder, read_table, small_store

LONG_AGO = 10**9


def mask(levels=(0, 255), height=60, width=50):
    """A disc of one level, with another in its middle if there are three."""
    pixels = np.full((height, width), levels[0], np.uint8)
    for radius, level in zip((20, 8), levels[1:], strict=False):
        cv2.circle(pixels, (width // 2, height // 2), radius, int(level), -1)
    return pixels


@pytest.fixture
def store(tmp_path, monkeypatch):
    use_fakes(monkeypatch)
    return small_store(tmp_path, novelty=config.Novelty(min_patients=1000))


@pytest.fixture
def put(tmp_path):
    def one(**files):
        for name, content in files.items():
            path = tmp_path / "batch" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, np.ndarray):
                content = encode(content, path.suffix)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            os.utime(path, (LONG_AGO, LONG_AGO))
        return tmp_path / "batch"

    return one


def found_in(folder):
    listing = list_batch(folder)
    mark_masks(folder, listing, {}, config.load(workers=1))
    return sorted(entry.path.decode() for entry in listing.scans if entry.kind == MASK)


def test_a_file_of_few_levels_that_goes_with_a_picture_is_a_mask(put):
    pairs = {
        "images/a.png": "masks/a.png",
        "images/B.png": "masks/b.png",
        "c.jpg": "c.png",
        "d.jpg": "d_mask.png",
        "e.jpg": "e-Mask.PNG",
        "f.png": "mask_f.png",
        "g.png": "g.seg.tif",
        "h.png": "gt/h.bmp",
        "case1/image.png": "case1/mask.png",
        "i.png": "i_segmentation.webp",
        "deep/er/j.png": "other/k/j.png",
    }
    folder = put(**dict.fromkeys(pairs, scan()), **dict.fromkeys(pairs.values(), mask()))
    assert found_in(folder) == sorted(pairs.values())


def test_masks_of_every_kind_of_pixels_are_found(put):
    large = mask(height=240, width=200)
    kinds = {
        "masks/a.png": mask((0, 1)),
        "masks/b.png": mask((0, 1, 2)),
        "masks/c.png": mask((0, 128, 255)),
        "masks/empty.png": mask((7,)),
        "masks/colours.png": np.dstack([mask((0, 9)), mask((0, 0)), mask((0, 255))]),
        "masks/deep.png": mask((0, 1, 2)).astype(np.uint16),
        "masks/smooth.png": cv2.resize(large, (100, 120), interpolation=cv2.INTER_AREA),
        "masks/lossy.jpg": mask(height=300, width=300),
    }
    pictures = {f"images/{Path(name).stem}.png": scan() for name in kinds}
    assert found_in(put(**kinds, **pictures)) == sorted(kinds)


def test_pictures_that_share_stems_and_lone_files_of_few_levels_are_scans(put):
    folder = put(
        **{
            "p1/1.png": scan(),
            "p2/1.png": scan(),
            "p2/1.jpg": scan(),
            "bitewing.png": mask(),
            "blank/2.png": mask((0,)),
            "blank2/2.png": mask((0,)),
            "mask_of_nothing.png": scan(),
        }
    )
    assert found_in(folder) == []


def test_no_panoramic_and_no_noise_has_the_levels_of_a_mask():
    assert levels_of(scan(300, 300)) > 3
    assert levels_of(np.full((9, 9), 5, np.uint8)) == 1
    assert levels_of(np.uint8([[0, 1], [2, 3]] * 9)) == 4
    assert levels_of(np.uint8([[0] * 97 + [1, 2, 3]])) == 3


def test_masks_are_rows_outside_the_rejected_share_and_in_the_way_of_no_name(store, put):
    folder = put(
        **{
            "images/a.png": scan(),
            "images/b.png": scan(),
            "masks/a.png": mask(),
            "masks/b.png": mask((0,)),
            "labels.csv": "file,label\na.png,caries\nb.png,healthy\n",
        }
    )
    summary = process_folder(store, folder)
    assert summary.planned.problems == {}
    assert summary.exit_status(store.settings) == 0
    kept = {name: summary.counts[name] for name in ("delivered", "accepted", "rejected", "masks")}
    assert kept == {"delivered": 4, "accepted": 2, "rejected": 2, "masks": 2}
    rows = read_table(store.store, "scans").set_index("row")
    assert rows["reason"].dropna().tolist() == [MASK, MASK]
    assert rows["scan_id"].notna().all()
    assert sorted(read_table(store.store, "labels")["label"]) == ["caries", "healthy"]
    assert failed_checks(store.store) == {}
    assert rejected_now(store, "b") == frozenset()


def test_a_folder_of_masks_is_no_class(put):
    folder = put(
        **{
            "classes.txt": "caries\nhealthy\n",
            "caries/a.png": scan(),
            "healthy/b.png": scan(),
            "masks/a.png": mask(),
        }
    )
    listing = list_batch(folder)
    mark_masks(folder, listing, {}, config.load(workers=1))
    annotations = read_annotations(folder, listing)
    assert annotations.problems == []
    assert {path: found.label for path, found in annotations.by_path.items()} == {
        b"caries/a.png": "caries",
        b"healthy/b.png": "healthy",
    }


def test_a_listed_file_is_not_decoded_again_and_keeps_its_kind(put, monkeypatch):
    folder = put(**{"images/a.png": scan(), "masks/a.png": mask(), "masks/b.png": mask()})
    listed = {
        entry.path: LatestListing(entry.size, entry.mtime_ns, "", 1, kind)
        for entry, kind in zip(list_batch(folder).scans, ("file", MASK, "file"), strict=True)
    }
    decoded = []
    monkeypatch.setattr(
        find_masks, "_grey_levels", lambda _, entries, settings: decoded.extend(entries) or {}
    )
    put(**{"images/b.png": scan(), "c.png": scan()})
    listing = list_batch(folder)
    mark_masks(folder, listing, listed, config.load())
    assert [entry.path for entry in listing.scans if entry.kind == MASK] == [b"masks/a.png"]
    assert [entry.path for entry in decoded] == [b"images/b.png"]


def test_a_picture_is_recognised_by_its_header_and_size(put):
    large = scan(900, 900)
    noise = np.random.default_rng(0).integers(0, 255, (900, 900)).astype(np.uint8)
    for pixels, suffix, may_be in (
        (noise, ".png", True),  # not compressible, so as large as an uncompressed mask
        (noise // 16, ".png", False),
        (noise, ".jpg", False),
        (mask(height=900, width=900), ".png", True),
        (mask(height=900, width=900), ".jpg", True),
        (large, ".tif", True),
    ):
        data = encode(pixels, suffix)
        assert find_masks._may_be_mask(data[: find_masks.START_BYTES], len(data)) == may_be


def test_a_damaged_file_beside_a_picture_is_no_mask(put):
    assert found_in(put(**{"images/a.png": scan(), "masks/a.png": encode(mask())[:-30]})) == []
