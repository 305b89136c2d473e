"""Embeddings as points of a plane: by UMAP where umap-learn is installed, else by PCA."""

import importlib.util
from typing import NamedTuple

import numpy as np

COMPONENTS = 50  # principal components that UMAP is given; of 8192 values it finds the same groups
LEAST_ROWS = 50  # for UMAP, whose neighbourhoods are of 15


class Plane(NamedTuple):
    """Points of a plane, and how they were found."""

    points: np.ndarray  # float (N, 2)
    method: str  # UMAP or PCA
    explained: float  # share of the variance in the principal components that were used


def embedding_plane(embeddings: np.ndarray) -> Plane:
    """Map embeddings (N, width) to a plane; equal embeddings give equal points."""
    if len(embeddings) < LEAST_ROWS or importlib.util.find_spec("umap") is None:
        points, shares = principal_components(embeddings, 2)
        return Plane(points, "PCA", sum(shares))
    from umap import UMAP  # optional, and slow: numba compiles it

    values, shares = principal_components(embeddings, COMPONENTS)
    # A fixed seed takes one thread, which UMAP warns of unless it is asked for one.
    points = UMAP(n_components=2, random_state=0, n_jobs=1).fit_transform(values)
    return Plane(points, "UMAP", sum(shares))


def principal_components(embeddings: np.ndarray, count: int) -> tuple[np.ndarray, list[float]]:
    """Project embeddings (N, width) on their first principal components, at most `count`.

    Returns float64 (N, count) and the share of the variance that each explains. The sign of a
    component is fixed, so that equal embeddings give equal points.
    """
    centred = embeddings.astype(np.float32) - embeddings.mean(axis=0, dtype=np.float32)
    # Of N × N products, since there are fewer rows than values: 0.2 s for 600 rows of 8192.
    values, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))
    values, vectors = np.maximum(values[::-1][:count], 0), vectors[:, ::-1][:, :count]
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])]
    vectors = vectors * np.where(largest < 0, -1, 1)
    total = float((centred.astype(np.float64) ** 2).sum()) or 1.0
    return vectors * np.sqrt(values), [float(value) / total for value in values]
