"""Baselines learn from training rows, choose on validation rows and see no others."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from skimage.feature import hog
from sklearn.metrics import roc_auc_score
from sklearn.svm import SVC

from pipeline.errors import NotEnoughData
from pipeline.model.scores import baseline_features, baselines, svm
from tests.builders.embeddings import three_classes

WIDTH = 40


@pytest.fixture(scope="module")
def toy():
    return three_classes(WIDTH)


def test_the_probe_learns_what_the_head_learns(toy):
    embeddings, classes, learn, validation = toy
    unseen = ~(learn | validation)
    found = baselines.regression(embeddings, classes, learn, validation, 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert np.mean(found[unseen].argmax(axis=1) == classes[unseen]) > 0.8


def test_rotating_to_the_span_of_the_training_rows_changes_no_probability(toy):
    embeddings, classes, _, validation = toy
    few = np.arange(200) < 30  # fewer rows than features
    features = baselines.standardised(np.asarray(embeddings, np.float32), few)
    rotated = baselines.rotated(features, few)
    assert rotated.shape[1] < 30
    assert baselines.rotated(0 * features, few).shape == (len(features), 1)
    np.testing.assert_allclose(
        baselines.logistic(rotated, classes, few, validation, 3),
        baselines.logistic(features, classes, few, validation, 3),
        atol=2e-3,
    )


def test_baselines_learn_nothing_from_test_rows_or_unknown_classes(toy):
    embeddings, classes, learn, validation = toy
    unseen = ~(learn | validation)
    expected = baselines.regression(embeddings, classes, learn, validation, 3)
    spoilt, hidden = embeddings.copy(), classes.copy()
    spoilt[unseen], hidden[unseen] = 99, -1
    found = baselines.regression(spoilt, hidden, learn, validation, 3)
    np.testing.assert_array_equal(found[~unseen], expected[~unseen])


def test_a_class_without_training_rows_gets_probability_zero(toy):
    embeddings, classes, learn, validation = toy
    found = baselines.regression(embeddings, classes, learn & (classes != 1), validation, 3)
    assert not found[:, 1].any()


@pytest.mark.parametrize("side", [64, 70, 33, 20])
def test_thumbnails_are_block_means(side):
    crops = np.random.default_rng(0).integers(0, 256, (3, side, side), dtype=np.uint8)
    found = baseline_features.thumbnails(crops)
    assert found.dtype == np.float32
    edges = [int(edge) for edge in np.linspace(0, side, min(32, side) + 1)]
    expected = [
        [crop[a:b, c:d].mean() for a, b in pairwise(edges) for c, d in pairwise(edges)]
        for crop in crops
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_an_svm_separates_normal_from_the_rest_as_scikit_learn_does(toy):
    embeddings, classes, learn, validation = toy
    found = baselines.support_vector_machine(embeddings, classes, learn, validation)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    features = baselines.standardised(embeddings.astype(np.float32), learn)
    aurocs = []
    for strength in svm.STRENGTHS:
        model = SVC(C=strength, class_weight="balanced").fit(features[learn], classes[learn] > 0)
        scores = model.decision_function(features)
        aurocs.append(roc_auc_score(classes[validation] > 0, scores[validation]))
        if aurocs[-1] > max([0, *aurocs[:-1]]):
            expected = 1 / (1 + np.exp(-scores))
    np.testing.assert_allclose(found[:, 1], expected, atol=1e-3)


def test_an_svm_finds_what_no_plane_separates():
    random = np.random.default_rng(0)
    features = random.standard_normal((300, 2))
    classes = (np.hypot(*features.T) > 1.1).astype(int)
    rows = np.arange(300)
    found = baselines.support_vector_machine(
        features, classes, rows < 200, (rows >= 200) & (rows < 250)
    )
    assert roc_auc_score(classes[250:], found[250:, 1]) > 0.95


@pytest.mark.parametrize("method", ["regression", "support_vector_machine"])
@pytest.mark.parametrize("missing", ["classes", "validation"])
def test_too_few_labels_are_refused_with_counts(toy, missing, method):
    embeddings, classes, learn, validation = toy
    if missing == "classes":
        classes = np.zeros_like(classes)
    else:
        validation = np.zeros_like(validation)
    count = {"regression": [3], "support_vector_machine": []}[method]
    with pytest.raises(NotEnoughData, match="Label more"):
        getattr(baselines, method)(embeddings, classes, learn, validation, *count)


def test_a_large_store_is_capped_on_every_side_the_same_way_each_time():
    sides = np.repeat(["train", "validation", "test"], [50, 8, 12])
    kept = baselines.cap_rows(sides, most=10)
    assert {side: int((sides[kept] == side).sum()) for side in set(sides)} == {
        "train": 10,
        "validation": 8,
        "test": 10,
    }
    assert (kept == baselines.cap_rows(sides, most=10)).all()
    assert baselines.cap_rows(sides).all()


def test_edges_are_scikit_images_on_a_smaller_crop():
    crops = np.random.default_rng(0).integers(0, 256, (2, 256, 256), dtype=np.uint8)
    found = baseline_features.edges_of(crops)
    small = crops[1].reshape(128, 2, 128, 2).mean(axis=(1, 3))
    expected = hog(small, pixels_per_cell=(16, 16), cells_per_block=(2, 2))
    np.testing.assert_allclose(found[1], expected, atol=1e-5)
    assert baseline_features.edges_of(crops[:, :32, :32]).shape == found.shape


def test_place_has_position_and_size_of_the_scan_but_not_of_the_box():
    facts = pd.DataFrame(
        {
            "region_x": [10, 0],
            "region_y": [20, 0],
            "region_w": [20, 100],
            "region_h": [40, 50],
            "scan_w": [100, 100],
            "scan_h": [50, 50],
        }
    )
    expected = [[0.2, 0.8, 100, 50], [0.5, 0.5, 100, 50]]
    np.testing.assert_allclose(baseline_features.place(facts), expected)
    with_box = baseline_features.place_and_box(facts)
    np.testing.assert_allclose(with_box[:, :4], expected)
    np.testing.assert_allclose(with_box[:, 4:], [[20, 40], [100, 50]])
