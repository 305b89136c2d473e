import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import OAS

from pipeline import config
from pipeline.errors import NotEnoughData
from pipeline.learn import learn_novelty
from pipeline.learn.learn_novelty import fit_and_score
from pipeline.model import novelty
from pipeline.model.novelty import (
    LEAST_VARIANCE,
    Moments,
    Reservoir,
    directions,
    fit,
    middle,
    patches,
    shrink,
    spread,
)
from pipeline.model.scores import splits
from pipeline.stages.score_novelty import current_novelty, novelty_home, score_missing
from pipeline.store import catalog
from pipeline.store.registry import choose_models
from pipeline.upkeep.erase import Traces
from pipeline.upkeep.find_traces import models_of
from tests.builders.stores import GRID, small_store
from tests.builders.tables import write_embeddings

NORMAL, BROKEN = "healthy", "caries"


def maps(count, seed=0, grid=(4, 5, 3)):
    """Maps whose channels hang together, with another mean in every cell."""
    random = np.random.default_rng(seed)
    mixed = random.normal(size=(count, *grid)) @ random.normal(size=(grid[2], grid[2]))
    return (mixed + np.random.default_rng(9).normal(size=grid) * 5).astype(np.float16)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 60), max_size=3))
def test_rows_that_come_in_portions_have_the_moments_and_the_sample_of_all(ends):
    rows = maps(60).astype(np.float64)
    moments, sample, whole = Moments((4, 5, 3)), Reservoir(30, 1), Reservoir(30, 1)
    for some in filter(len, np.split(rows, sorted(ends))):
        moments.add(some)
        sample.add(some.reshape(-1, 3))
    whole.add(rows.reshape(-1, 3))
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
            sample.add(some)
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
    apart = cell[7] - cell.mean(axis=0)
    expected = np.sqrt(apart @ np.linalg.inv(covariance) @ apart)
    assert model.score(rows[7:8]).gaussian_map[0, 2, 3] == pytest.approx(expected, rel=1e-3)


def test_the_neighbour_is_the_distance_to_the_nearest_patch_that_was_kept():
    rows, others = maps(6), maps(40, seed=1)
    model = fit(iter([rows]), (4, 5, 3), 7, 0)
    seen = patches(directions(others) * model.scale).reshape(-1, 3)
    apart = np.linalg.norm(seen[:, np.newaxis] - model.coreset, axis=2).min(axis=1)
    found = model.score(others).neighbour_map
    assert model.coreset.shape == (7, 3)
    np.testing.assert_allclose(found.ravel(), apart, atol=1e-3)


def test_only_the_direction_of_a_cell_counts_not_its_length():
    rows = maps(20).astype(np.float32)
    model = fit(iter([rows]), (4, 5, 3), 10, 0)
    np.testing.assert_allclose(model.score(rows * 3).gaussian, model.score(rows).gaussian, 1e-3)


def test_of_boxes_and_teeth_the_middle_counts():
    assert np.argwhere(middle(16, 16)).min() == 3
    assert middle(16, 16).sum() == 100
    rows = maps(20)
    found = fit(iter([rows]), (4, 5, 3), 10, 0).score(rows).only(middle(4, 5))
    row, column = found.peaks
    assert set(row) <= {1, 2}
    assert set(column) <= {1, 2, 3}


def test_chosen_patches_are_spread_so_that_none_is_far_from_one():
    line = np.arange(101, dtype=np.float32)[:, np.newaxis]
    assert sorted(spread(line, 3).ravel()) == [0, 50, 100]
    twice = np.repeat(line[:4], 5, axis=0)
    assert sorted(spread(twice, 10).ravel()) == [0, 1, 2, 3]


def test_what_never_varied_in_training_cannot_shout_later():
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


def of_sixty(root):
    """A store of 60 rows of 60 patients: 15 broken in one cell, the others alike."""
    small = small_store(root, novelty=config.Novelty(coreset=40))
    random = np.random.default_rng(0)
    rows = random.normal(1, 0.1, (60, *GRID))
    broken = np.arange(60) % 4 == 0
    rows[broken, 5, 2, :3] += 3
    labels = np.where(broken, BROKEN, NORMAL).tolist()
    patients = [f"p{row}" for row in range(60)]
    for number, half in enumerate((slice(0, 30), slice(30, 60))):
        write_embeddings(
            small, rows[half].reshape(-1, 512), labels[half], patients[half], number=number
        )
    return small


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    return of_sixty(tmp_path_factory.mktemp("novelty"))


def everything(store):
    names = [*store.names("models"), *store.names("novelty")]
    return {name: store.read_bytes(name) for name in names}


def scores(store):
    with catalog.open_store(store) as con:
        broken = [name for name, _ in catalog.check(con) if "novelty" in name]
        return catalog.query(con, "novel", limit=1000), broken


def test_labels_choose_the_rows_and_the_ranking_needs_none_of_them(night):
    fitted, failures = fit_and_score(night, choose_models(night.settings, night.store))
    card = json.loads(night.store.read_bytes(f"{novelty_home(fitted.novelty_id)}/card.json"))
    found, broken_checks = scores(night.store)

    assert (failures, broken_checks) == ([], [])
    assert card["basis"] == "normal"
    assert card["rows"] == sum(splits.side_of(f"p{row}") == "train" for row in range(60) if row % 4)
    assert card["scores"]["gaussian"]["value"] == card["scores"]["neighbour"]["value"] == 1
    unseen = found[~found["learned"]].sort_values("gaussian", ascending=False)
    first = unseen.head((found["label"] == BROKEN).sum())
    assert set(first["label"]) == {BROKEN}
    assert set(zip(first["peak_row"], first["peak_column"], strict=True)) == {(5, 2)}
    assert not found[found["label"] == BROKEN]["learned"].any()


def test_a_model_is_named_for_the_scans_that_it_learned_from_and_for_no_others(night):
    fitted, _ = fit_and_score(night, choose_models(night.settings, night.store))
    found, _ = scores(night.store)
    for row in found.itertuples():
        named = list(models_of(night, Traces(frozenset([row.crop_id[:32]]))))
        assert named == [novelty_home(fitted.novelty_id)] * row.learned


def test_a_model_is_measured_on_its_own_trunks_crops_though_another_is_the_champion(tmp_path):
    small = of_sixty(tmp_path)
    promotion = {"recipe": "r", "trunk": "another", "head": "h1"}
    small.store.write_bytes("models/promotions/00001.json", json.dumps(promotion).encode())
    fitted, _ = fit_and_score(small, choose_models(small.settings, small.store))
    card = json.loads(small.store.read_bytes(f"{novelty_home(fitted.novelty_id)}/card.json"))
    assert card["scores"]["gaussian"]["value"] == 1


def test_fitting_again_on_the_same_rows_changes_nothing(night):
    chosen = choose_models(night.settings, night.store)
    fit_and_score(night, chosen)
    before = everything(night.store)
    fit_and_score(night, chosen)
    assert everything(night.store) == before


def test_a_store_without_labels_gets_a_ranking_and_the_card_says_why(tmp_path):
    small = small_store(tmp_path, novelty=config.Novelty(coreset=40))
    rows = np.random.default_rng(0).normal(1, 0.1, (40, *GRID))
    rows[7, 3, 3, :3] += 3
    ids = write_embeddings(
        small, rows.reshape(-1, 512), [None] * 40, [f"p{row}" for row in range(40)]
    )
    fitted, _ = fit_and_score(small, choose_models(small.settings, small.store))
    found, _ = scores(small.store)
    words = " ".join(learn_novelty.novelty_notes(fitted))

    assert found["crop_id"][0] == ids[7]
    assert "they come from 0 patients, 10 are needed. So it learned from every crop" in words
    assert "AUROC" not in words


def test_too_few_patients_are_told_in_numbers_and_leave_nothing(tmp_path):
    small = small_store(tmp_path)
    write_embeddings(small, np.ones((3, 512)), [NORMAL] * 3, ["a", "b", "c"])
    with pytest.raises(NotEnoughData, match=r"on the training side, 10 are needed"):
        fit_and_score(small, choose_models(small.settings, small.store))
    assert not small.store.names("models/novelty")


def test_a_model_is_in_force_only_when_everything_was_scored(night, tmp_path, monkeypatch):
    small = small_store(tmp_path, novelty=config.Novelty(coreset=40))
    rows = np.random.default_rng(0).normal(1, 0.1, (40, 512))
    write_embeddings(small, rows, [None] * 40, [f"p{row}" for row in range(40)])
    chosen = choose_models(small.settings, small.store)

    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(learn_novelty, "score_missing", killed)
        with pytest.raises(Killed):
            fit_and_score(small, chosen)
    assert current_novelty(small.store, chosen.trunk_id) is None
    fitted, _ = fit_and_score(small, chosen)
    assert current_novelty(small.store, chosen.trunk_id).novelty_id == fitted.novelty_id
    # A batch that comes later is scored by the model in force.
    write_embeddings(small, rows[:5], [None] * 5, list("abcde"), batch="later")
    assert score_missing(small, chosen, fitted) == []
    found, broken_checks = scores(small.store)
    assert (len(found), broken_checks) == (45, [])


def test_scores_do_not_depend_on_how_rows_are_cut(night):
    model = fit(iter([maps(50)]), (4, 5, 3), 10, 0)
    rows = maps(novelty.ROWS + 3, seed=2)
    whole, last = model.score(rows), model.score(rows[-3:])
    np.testing.assert_allclose(whole.gaussian[-3:], last.gaussian, rtol=1e-5)
    assert model.score(rows[:0]).gaussian_map.shape == (0, 4, 5)
