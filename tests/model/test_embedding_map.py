import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np
import pytest

from pipeline.model.embedding_map import COMPONENTS, embedding_plane


@pytest.fixture
def embeddings():
    """Two groups of 40 rows that differ in a few of 300 values."""
    rows = np.random.default_rng(0).normal(size=(80, 300)).astype(np.float16)
    rows[:40, :20] += 5
    return rows


def are_apart(points):
    """Whether the two groups of rows are nearer to their own mean than to the other's."""
    means = np.stack([points[:40].mean(axis=0), points[40:].mean(axis=0)])
    nearest = np.linalg.norm(points[:, None] - means, axis=2).argmin(axis=1)
    return (nearest == np.repeat([0, 1], 40)).all()


def test_without_umap_the_map_is_one_of_principal_components(embeddings, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    plane = embedding_plane(embeddings)
    assert (plane.method, plane.points.shape) == ("PCA", (80, 2))
    assert 0.2 < plane.explained < 1
    assert are_apart(plane.points)
    np.testing.assert_array_equal(embedding_plane(embeddings).points, plane.points)


@pytest.fixture
def stand_in(monkeypatch):
    """A module in place of umap; returns what it was given."""
    given = []

    class UMAP:
        def __init__(self, **options):
            given.append(options)

        def fit_transform(self, values):
            given.append(values.shape)
            return values[:, :2]

    module = ModuleType("umap")
    module.UMAP, module.__spec__ = UMAP, ModuleSpec("umap", None)
    monkeypatch.setitem(sys.modules, "umap", module)
    return given


def test_umap_is_given_principal_components_and_a_seed(embeddings, stand_in):
    plane = embedding_plane(embeddings)
    assert plane.method == "UMAP"
    assert stand_in == [{"n_components": 2, "random_state": 0, "n_jobs": 1}, (80, COMPONENTS)]


def test_a_few_rows_are_too_few_for_umap(embeddings, stand_in):
    assert embedding_plane(embeddings[:20]).method == "PCA"
    assert stand_in == []


def test_umap_itself_keeps_groups_apart(embeddings):
    pytest.importorskip("umap", reason="umap-learn is not installed")
    plane = embedding_plane(embeddings)
    assert plane.method == "UMAP"
    assert are_apart(plane.points)
    np.testing.assert_array_equal(embedding_plane(embeddings).points, plane.points)
