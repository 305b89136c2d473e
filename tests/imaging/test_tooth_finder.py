"""The tooth finder finds teeth on panoramics it was not trained on, computed with NumPy."""

import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.imaging import tooth_finder
from pipeline.phantoms import draw_panoramic
from pipeline.phantoms.views import Drawn, drawn, view

DATA = os.environ.get("DENTAL_TEST_DATA")


@pytest.fixture(scope="module")
def phantom():
    return drawn(draw_panoramic(7, 300))  # the training seeds were 1000 to 1599


def is_found(teeth, places):
    """Which teeth (x, y, width, height of boxes around their centres) have a place inside."""
    distance = np.abs(places[np.newaxis] - teeth[:, np.newaxis, :2])
    return (distance <= teeth[:, np.newaxis, 2:] / 2).all(axis=2).any(axis=1)


def test_almost_every_tooth_of_a_phantom_is_found(phantom):
    found = tooth_finder.find_teeth(phantom.pixels)
    assert is_found(phantom.teeth, found).mean() >= 0.95
    # As many random places find fewer.
    assert is_found(phantom.teeth, found[:24]).mean() >= 0.65


def test_there_are_at_most_48_places_at_a_distance_and_in_the_arch(phantom):
    found = tooth_finder.find_teeth(phantom.pixels)
    assert len(found) == tooth_finder.MAX_PLACES
    assert (found > [0.13, 0.24]).all()
    assert (found < [0.87, 0.84]).all()
    between = (found[:, np.newaxis] - found) / tooth_finder.MIN_DISTANCE
    distances = np.hypot(between[..., 0], between[..., 1])
    assert distances[~np.eye(len(found), dtype=bool)].min() >= 0.999


@pytest.mark.parametrize("shape", [(1, 2), (8, 16), (64, 200), (700, 900)])
def test_a_blank_image_of_any_size_gets_places_too(shape):
    found = tooth_finder.find_teeth(np.zeros(shape, np.uint8))
    assert found.shape[0] > 16
    assert np.isfinite(found).all()


def test_another_exposure_gives_the_same_places(phantom):
    darker = (phantom.pixels * 0.6 + 20).astype(np.uint8)
    one, other = tooth_finder.find_teeth(phantom.pixels)[:16], tooth_finder.find_teeth(darker)[:24]
    distances = np.hypot(*np.moveaxis(one[:, np.newaxis] - other, 2, 0)).min(axis=1)
    assert (distances < 0.02).mean() > 0.9


def test_numpy_and_keras_compute_the_same_probabilities(phantom, tmp_path, monkeypatch):
    from pipeline.model import tooth_finder_network

    model = tooth_finder_network.network(
        (128, 256), tooth_finder.FIRST_KERNEL, tooth_finder.CELL, tooth_finder.DILATIONS, seed=3
    )
    tooth_finder_network.prepare(model, 12)
    picture = tooth_finder.normalise_contrast(tooth_finder.shrink(phantom.pixels, 256, 128))
    target = tooth_finder_network.target(phantom.teeth, tooth_finder.GRID)
    for _ in range(2):
        model.train_on_batch(picture[np.newaxis, ..., np.newaxis], target[np.newaxis])
    np.savez(tmp_path / "weights.npz", *tooth_finder_network.learned(model))
    monkeypatch.setattr(tooth_finder, "WEIGHTS", tmp_path / "weights.npz")
    for cached in ("_weights", "_kernels"):
        monkeypatch.setattr(tooth_finder, cached, getattr(tooth_finder, cached).__wrapped__)
    logits = np.asarray(model(picture[np.newaxis, ..., np.newaxis]))[0, ..., 0]
    np.testing.assert_allclose(
        tooth_finder.tooth_probabilities(picture), 1 / (1 + np.exp(-logits)), atol=1e-5
    )


def test_trained_weights_have_the_shapes_of_the_shipped_ones(phantom):
    from pipeline.learn.learn_finder import BATCH, learn

    learned = learn([phantom] * BATCH, epochs=1, seed=0)
    assert [array.shape for array in learned] == [array.shape for array in tooth_finder._weights()]
    assert all(np.isfinite(array).all() for array in learned)


def test_a_training_target_peaks_in_the_cells_of_tooth_centres():
    from pipeline.model.tooth_finder_network import target

    heat_map = target(np.array([[0.25, 0.5, 0.1, 0.2], [2.0, 2.0, 0.1, 0.1]]), (32, 64))[..., 0]
    assert np.argwhere(heat_map == 1).tolist() == [[16, 16]]
    assert heat_map[16, 17] > heat_map[16, 19] > heat_map[16, 25]


def test_the_teeth_of_an_augmented_view_move_with_its_pixels():
    pixels = np.zeros((256, 512), np.uint8)
    pixels[100:130, 150:180] = 255
    scan = Drawn(pixels, np.array([[165 / 512, 115 / 256, 30 / 512, 30 / 256]]))
    random = np.random.default_rng(0)
    for _ in range(20):
        seen, [tooth] = view(scan, random)
        bright = np.argwhere(seen > (0.5 * seen.max() + 0.5 * np.median(seen)))
        near = bright[np.abs(bright - [128 * tooth[1], 256 * tooth[0]]).max(axis=1) < 12]
        assert np.abs(near.mean(axis=0) - [128 * tooth[1] - 0.5, 256 * tooth[0] - 0.5]).max() < 2


@pytest.mark.skipif(DATA is None, reason="DENTAL_TEST_DATA names no folder with opg/")
def test_nine_of_ten_annotated_teeth_of_real_panoramics_are_found():
    from benchmarks.tooth_finder import found_teeth, scans

    found = [
        found_teeth(scan, tooth_finder.find_teeth(scan.pixels)) for scan in scans(Path(DATA, "opg"))
    ]
    inside, near = (np.concatenate(some) for some in zip(*found, strict=True))
    assert len(inside) == 601
    assert inside.mean() > 0.94
    assert near.mean() > 0.94
