"""From stored crops to a learned trunk, its features and a champion."""

import dataclasses

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipeline import config
from pipeline.errors import NotEnoughData
from pipeline.learn import cross_validate, refit_trunk
from pipeline.learn import learn_trunk as stage
from pipeline.learn.crop_source import CropSource, crop_source
from pipeline.model.scores import splits
from pipeline.report.training_summary import format_learned_trunk
from pipeline.store.features import load_features
from pipeline.store.registry import (
    champion,
    choose_models,
    embedder,
    stored_choice,
    trunk_card,
    trunk_home,
)
from pipeline.upkeep.erase import Traces
from pipeline.upkeep.find_traces import models_of
from tests.builders.scans import labelled_batch, scan
from tests.builders.stores import process_folder, small_store

pytestmark = pytest.mark.slow

LEARN = config.Learn(epochs=2, batch_size=16)
# What two convolutions make of maps of 8 × 8, so that it can begin with the trunk's own network.
HEAD = config.Head(units=(4 * 4 * 32, 2 * 2 * 64), epochs=1, min_patients=2)


def discs(patients=100, labels=True):
    """One scan per patient; a bright disc where it is abnormal."""
    row, column = np.indices((50, 50)) - 25
    for number in range(patients):
        picture = scan(50, 50).clip(0, 180)
        picture[(row**2 + column**2 < 60) & bool(number % 2)] = 255
        yield picture, f"p{number}", ("healthy", "caries")[number % 2] if labels else ""


def filled(root, **given):
    """A store with a batch in it that was processed."""
    store = small_store(root, part_size=40, learn=LEARN)
    process_folder(store, labelled_batch(root / "in", discs(**given)), "night")
    return store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return filled(tmp_path_factory.mktemp("learn"))


@pytest.fixture(scope="module")
def learned(store):
    return stage.learn_trunk(store)


def test_every_stored_crop_is_embedded_with_the_learned_trunk(store, learned):
    facts, embeddings = load_features(store.store, trunk=learned.trunk_id)
    assert len(facts) == 100
    assert embeddings.shape[1] == 8 * 8 * 8
    assert np.isfinite(embeddings).all()
    assert embeddings.std() > 0


def test_a_head_on_it_is_trained_and_compared_with_the_champion(store, learned):
    assert learned.trained.card["trunk"] == learned.trunk_id
    current = champion(store.store)
    assert (current["trunk"] == learned.trunk_id) == learned.trained.promoted


def test_a_card_suffices_to_use_the_trunk(store, learned, monkeypatch):
    card = trunk_card(store.store, learned.trunk_id)
    assert card["weights"] == "learned with labels, seed 0"
    assert card["rows"]["train"] == card["patients"]["train"] >= 64
    promotion = {"number": 9, "recipe": card["recipe_id"], "trunk": learned.trunk_id, "head": "x"}
    monkeypatch.setattr("pipeline.store.registry.champion", lambda _: promotion)
    chosen = choose_models(config.load(store=store.store.root), store.store)
    assert (chosen.trunk_id, chosen.width) == (learned.trunk_id, 512)
    crops, _ = next(crop_source(store.store, chosen, store.settings).validation())
    assert embedder(store.store, chosen).embed(crops).shape == (len(crops), 512)


def test_learning_again_from_the_same_crops_finds_the_trunk(store, learned, monkeypatch):
    monkeypatch.setattr(stage, "fit_trunk", lambda *_: 1 / 0)
    assert stage.learn_trunk(store).trunk_id == learned.trunk_id
    other = store.settings.learn.model_copy(update={"seed": 1})
    settings = store.settings.model_copy(update={"learn": other})
    chosen = choose_models(settings, store.store)
    crops = crop_source(store.store, chosen, settings)
    assert stage.fingerprint(chosen, crops, settings) != learned.trunk_id


def test_no_patient_of_the_test_side_is_learned_from(store):
    crops = crop_source(store.store, choose_models(store.settings, store.store), store.settings)
    sides = set(map(splits.side_of, crops.facts["patient_key"]))
    assert sides == {"train", "validation"}
    read = [classes for _, classes in crops.training(np.random.default_rng(0))]
    assert sorted(np.concatenate(read)) == sorted(crops.classes)
    assert len(read) > 2  # row group by row group, never all at once
    assert crops.class_names == ("healthy", "caries")


def test_a_trunk_lists_the_patients_it_learned_from(store, learned):
    home = trunk_home(learned.trunk_id)
    listed = pq.read_table(store.store.local_path(f"{home}/patients.parquet"))
    keys = {store.private.patient_key(f"p{number}") for number in range(100)}
    tested = {key for key in keys if splits.side_of(key) == "test"}
    assert listed["patient_key"].to_pylist() == sorted(keys - tested)
    assert home in models_of(store, Traces(frozenset(), frozenset(keys - tested)))
    assert home not in models_of(store, Traces(frozenset(), frozenset(tested)))


def test_patients_of_validation_and_background_are_learned_from_too():
    sides = {"patient_key": ["a", "b", "c"], "split": ["train", "validation", "test"]}
    background = pd.DataFrame({"patient_key": ["d"]})
    crops = CropSource(None, 32, pd.DataFrame(sides), ("healthy", "caries"), background)
    assert crops.patients == {"a", "b", "d"}


def with_settings(store, **changes):
    """The same store under other settings."""
    return dataclasses.replace(store, settings=store.settings.model_copy(update=changes))


def test_a_killed_run_resumes_after_its_last_epoch(store, learned, monkeypatch):
    store = with_settings(store, learn=LEARN.model_copy(update={"seed": 1}))
    count_epochs, epochs = stage.count_epochs, []

    def dying(advance, rows):
        def on_epoch(number, measured):
            count_epochs(advance, rows)(number, measured)
            if number == 2:
                raise KeyboardInterrupt

        return on_epoch

    monkeypatch.setattr(stage, "count_epochs", dying)
    with pytest.raises(KeyboardInterrupt):
        stage.learn_trunk(store)
    monkeypatch.setattr(stage, "count_epochs", lambda *_: lambda number, _: epochs.append(number))
    monkeypatch.setattr(stage, "embed_everything", lambda *_: ["enough for this test"])
    found = stage.learn_trunk(store)
    assert epochs == [2]
    assert found.trunk_id != learned.trunk_id
    assert not list(store.store.local_path(".learning").iterdir())


def test_the_list_of_patients_is_stored_before_the_card(store, monkeypatch):
    store = with_settings(store, learn=LEARN.model_copy(update={"epochs": 1, "seed": 2}))
    homes = []

    def killed(_, home, *rest):
        homes.append(home)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stage, "write_model", killed)
        with pytest.raises(KeyboardInterrupt):
            stage.learn_trunk(store)
    [home] = homes
    assert store.store.has(f"{home}/patients.parquet")
    monkeypatch.setattr(stage, "embed_everything", lambda *_: ["enough for this test"])
    assert trunk_home(stage.learn_trunk(store).trunk_id) == home
    assert store.store.has(f"{home}/card.json")


def test_with_too_few_labels_the_trunk_learns_without_and_the_report_says_so(
    store, learned, monkeypatch
):
    monkeypatch.setattr(stage, "embed_everything", lambda *_: [])
    head = store.settings.head.model_copy(update={"min_patients": 1000})
    once = LEARN.model_copy(update={"epochs": 1})
    found = stage.learn_trunk(with_settings(store, head=head, learn=once))
    assert not found.labels
    assert found.trained is None
    text = "\n".join(format_learned_trunk(found, store.settings))
    assert "without their labels" in text
    assert "Too few labels to train a head" in text


def test_too_few_crops_are_refused_with_counts(store, monkeypatch):
    monkeypatch.setattr("pipeline.learn.crop_source.MIN_CROPS", 90)
    with pytest.raises(NotEnoughData, match=r"training side has \d\d crops.*90 are needed"):
        stage.learn_trunk(store)


def test_in_every_fold_a_learned_trunk_is_learned_again_from_that_fold(store, learned, monkeypatch):
    sides, began = [], []
    train_trunk, fit_head = refit_trunk.train_trunk, cross_validate.fit_head

    def watched(crops, *rest):
        sides.append(crops.facts.groupby("split")["patient_key"].agg(set))
        return train_trunk(crops, *rest)

    def watched_head(rows, *rest):
        began.append(rest[-1].class_names)
        return fit_head(rows, *rest)

    monkeypatch.setattr(refit_trunk, "train_trunk", watched)
    monkeypatch.setattr(cross_validate, "fit_head", watched_head)
    chosen = stored_choice(store.store, learned.trunk_id)
    settings = store.settings.model_copy(update={"head": HEAD})
    found = cross_validate.cross_validate(store.store, chosen, settings, 2, lambda _: None)
    assert found.record["trunk_learned_in_folds"]
    assert began == [("healthy", "caries")] * 2
    tested = [fold["test"] for fold in sides]
    assert len(tested[0] | tested[1]) == 100
    for fold in sides:
        assert not fold["test"] & (fold["train"] | fold["validation"])
    assert not list(store.store.local_path(".learning").iterdir())

    # The trunk is not trained again when a fold was killed before its scores were written.
    for name in store.store.names("runs"):
        if "cross-validation" in name and name.endswith(".json"):
            store.store.remove(name)
    again = cross_validate.cross_validate(store.store, chosen, settings, 2, lambda _: None)
    assert again.record["scores"] == found.record["scores"]
    assert len(sides) == 2
