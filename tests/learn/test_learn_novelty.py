"""A novelty model fitted to a store's rows, its card, and the ranking it gives."""

import json

import numpy as np
import pytest

from pipeline.errors import NotEnoughData
from pipeline.learn import learn_novelty
from pipeline.learn.learn_novelty import fit_and_score
from pipeline.model.scores import splits
from pipeline.stages.score_novelty import current_novelty, novelty_home, score_missing
from pipeline.store import catalog
from pipeline.store.registry import choose_models
from pipeline.upkeep.erase import Traces
from pipeline.upkeep.find_traces import models_of
from tests.builders.stores import GRID, small_store
from tests.builders.tables import write_embeddings

NORMAL, BROKEN = "healthy", "caries"


@pytest.fixture(autouse=True)
def few_patches(monkeypatch):
    """A coreset in proportion to the few rows of these stores."""
    monkeypatch.setattr(learn_novelty, "CORESET", 40)


def of_sixty(root):
    """A store of 60 rows of 60 patients: 15 broken in one cell, the others alike."""
    small = small_store(root)
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


def test_labels_choose_the_training_rows_and_the_ranking_needs_no_labels(night):
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
    small = small_store(tmp_path)
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


def test_too_few_patients_are_refused_with_counts_and_nothing_is_stored(tmp_path):
    small = small_store(tmp_path)
    write_embeddings(small, np.ones((3, 512)), [NORMAL] * 3, ["a", "b", "c"])
    with pytest.raises(NotEnoughData, match=r"on the training side, 10 are needed"):
        fit_and_score(small, choose_models(small.settings, small.store))
    assert not small.store.names("models/novelty")


def test_a_model_is_in_force_only_when_everything_was_scored(night, tmp_path, monkeypatch):
    small = small_store(tmp_path)
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
