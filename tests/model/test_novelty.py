import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import OAS

from pipeline.model import fit_novelty, novelty
from pipeline.model.fit_novelty import (
    LEAST_VARIANCE,
    Moments,
    Reservoir,
    fit,
    patches_at,
    shrink,
    spread,
)
from pipeline.model.novelty import directions, middle, patches, widened


def maps(count, seed=0, grid=(4, 5, 3)):
    """Maps whose channels are correlated, with another mean in every cell."""
    random = np.random.default_rng(seed)
    mixed = random.normal(size=(count, *grid)) @ random.normal(size=(grid[2], grid[2]))
    return (mixed + np.random.default_rng(9).normal(size=grid) * 5).astype(np.float16)


def every_patch(rows):
    """The patches of all cells (n, channel)."""
    shape = rows.shape[1:3]
    padded = rows[:, *widened((slice(0, shape[0]), slice(0, shape[1])), shape)]
    return patches(padded).reshape(-1, rows.shape[-1])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 60), max_size=3))
def test_rows_that_come_in_portions_have_the_moments_and_the_sample_of_all(ends):
    rows = maps(60).astype(np.float64)
    moments, sample, whole = Moments((4, 5, 3)), Reservoir(30, 1), Reservoir(30, 1)
    for some in filter(len, np.split(rows, sorted(ends))):
        moments.add(some)
        sample.add(len(some) * 20, some.reshape(-1, 3).__getitem__)
    whole.add(60 * 20, rows.reshape(-1, 3).__getitem__)
    cells = rows.reshape(60, 20, 3)
    np.testing.assert_allclose(moments.mean, cells.mean(axis=0), atol=1e-12)
    expected = [np.cov(cells[:, cell].T, bias=True) * 60 for cell in range(20)]
    np.testing.assert_allclose(moments.scatter, expected, atol=1e-9)
    np.testing.assert_array_equal(sample.rows, whole.rows)


def test_the_sample_is_bounded_and_every_row_has_the_same_chance():
    counts = np.zeros(100)
    for seed in range(300):
        sample = Reservoir(10, seed)
        for some in np.split(np.arange(100)[:, np.newaxis], 4):
            sample.add(25, some.__getitem__)
        assert len(sample.rows) == 10
        counts[sample.rows.ravel()] += 1
    # 300 draws of a tenth: 30 each, give or take five deviations.
    assert abs(counts - 30).max() < 5 * np.sqrt(27)


def test_covariances_are_shrunk_as_scikit_learn_does():
    rows = maps(12).astype(np.float64)[:, 0, 0]
    ours = shrink(np.cov(rows.T, bias=True)[np.newaxis], 12)[0]
    np.testing.assert_allclose(ours - LEAST_VARIANCE * np.eye(3), OAS().fit(rows).covariance_)


def test_the_gaussian_is_the_mahalanobis_distance_of_a_cell():
    rows = maps(50)
    model = fit(iter([rows]), (4, 5, 3), 10, 0)
    cell = directions(rows)[:, 2, 3].astype(np.float64) * model.scale
    covariance = shrink(np.cov(cell.T, bias=True)[np.newaxis], 50)[0]
    centred = cell[7] - cell.mean(axis=0)
    expected = np.sqrt(centred @ np.linalg.inv(covariance) @ centred)
    assert model.score(rows[7:8]).gaussian_map[0, 2, 3] == pytest.approx(expected, rel=1e-3)


def test_the_neighbour_is_the_distance_to_the_nearest_patch_that_was_kept():
    rows, others = maps(6), maps(40, seed=1)
    model = fit(iter([rows]), (4, 5, 3), 7, 0)
    seen = every_patch(directions(others) * model.scale)
    distances = np.linalg.norm(seen[:, np.newaxis] - model.coreset, axis=2).min(axis=1)
    found = model.score(others).neighbour_map
    assert model.coreset.shape == (7, 3)
    np.testing.assert_allclose(found.ravel(), distances, atol=1e-3)


def test_only_the_direction_of_a_cell_counts_not_its_length():
    rows = maps(20).astype(np.float32)
    model = fit(iter([rows]), (4, 5, 3), 10, 0)
    np.testing.assert_allclose(model.score(rows * 3).gaussian, model.score(rows).gaussian, 1e-3)


def test_only_the_middle_of_boxes_and_teeth_counts():
    assert middle(16) == slice(3, 13)
    assert middle(1) == slice(0, 1)
    rows, every = maps(20), np.arange(20)
    model = fit(iter([rows]), (4, 5, 3), 10, 0)
    whole, mixed = model.score(rows), model.score(rows, every < 7)
    for of_whole, of_mixed in (
        (whole.gaussian_map, mixed.gaussian_map),
        (whole.neighbour_map, mixed.neighbour_map),
    ):
        np.testing.assert_allclose(of_mixed[:7], of_whole[:7], rtol=1e-5)
        np.testing.assert_allclose(of_mixed[7:, 1:3, 1:4], of_whole[7:, 1:3, 1:4], rtol=1e-5)
        assert of_mixed[7:].sum() == pytest.approx(of_mixed[7:, 1:3, 1:4].sum())
    row, column = mixed.peaks
    assert set(row[7:]) <= {1, 2}
    assert set(column[7:]) <= {1, 2, 3}


def test_the_mean_is_taken_over_the_cells_that_count():
    rows = maps(6)
    whole = np.array([True, False] * 3)
    found = fit(iter([rows]), (4, 5, 3), 10, 0, "mean").score(rows, whole)
    for scores, distances in (
        (found.gaussian, found.gaussian_map),
        (found.neighbour, found.neighbour_map),
    ):
        np.testing.assert_allclose(scores[whole], distances[whole].mean(axis=(1, 2)))
        np.testing.assert_allclose(scores[~whole], distances[~whole, 1:3, 1:4].mean(axis=(1, 2)))


def test_a_vector_is_one_cell():
    rows = maps(30, grid=(1, 1, 12))
    found = fit(iter([rows]), (1, 1, 12), 10, 0, "mean").score(rows, np.zeros(30, bool))
    np.testing.assert_array_equal(found.gaussian, found.gaussian_map[:, 0, 0])
    assert np.ptp(found.gaussian) > 0


def test_of_more_channels_than_there_is_room_for_some_are_drawn(monkeypatch):
    monkeypatch.setattr(fit_novelty, "MOST_VALUES", 4 * 5 * 2**2)
    rows = maps(30)
    model = fit(iter([rows]), (4, 5, 3), 10, 0)
    assert model.channels.tolist() == sorted(set(model.channels.tolist()))
    assert model.whitening.shape == (4, 5, 2, 2)
    few = fit(iter([rows[..., model.channels]]), (4, 5, 2), 10, 0)
    np.testing.assert_array_equal(
        model.score(rows).gaussian, few.score(rows[..., model.channels]).gaussian
    )


def test_patches_of_some_cells_are_those_of_all():
    rows = maps(3).astype(np.float32)
    some = np.array([0, 4, 19, 20, 33, 59])
    np.testing.assert_array_equal(patches_at(rows, some), every_patch(rows)[some])


def test_chosen_patches_are_spread_so_that_none_is_far_from_one():
    line = np.arange(101, dtype=np.float32)[:, np.newaxis]
    assert sorted(spread(line, 3).ravel()) == [0, 50, 100]
    twice = np.repeat(line[:4], 5, axis=0)
    assert sorted(spread(twice, 10).ravel()) == [0, 1, 2, 3]


def test_what_never_varied_in_training_cannot_dominate_later():
    silent = np.zeros((20, 4, 4, 3), np.float16)
    model = fit(iter([silent]), (4, 4, 3), 5, 0)
    found = model.score(silent + 1)
    assert np.isfinite(found.gaussian).all()
    black = maps(40)
    black[:, 0, 0] = 0
    lit = black.copy()
    lit[:, 0, 0] = 1
    model = fit(iter([black]), (4, 5, 3), 5, 0)
    found = model.score(lit).gaussian_map[:, 0, 0]
    longest = np.linalg.norm(directions(lit)[:, 0, 0] * model.scale, axis=-1)
    assert found == pytest.approx(longest / np.sqrt(LEAST_VARIANCE), rel=1e-3)


def test_scores_do_not_depend_on_how_rows_are_cut():
    model = fit(iter([maps(50)]), (4, 5, 3), 10, 0)
    rows = maps(novelty.ROWS + 3, seed=2)
    whole, last = model.score(rows), model.score(rows[-3:])
    np.testing.assert_allclose(whole.gaussian[-3:], last.gaussian, rtol=1e-5)
    assert model.score(rows[:0]).gaussian_map.shape == (0, 4, 5)
