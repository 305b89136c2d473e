"""A Keras model from a file as trunk: from embeddings to a head, its heat maps and its export."""

import dataclasses
import json
from contextlib import contextmanager

import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline import config
from pipeline.api.predict_files import FilePredictor
from pipeline.cli.__main__ import commands
from pipeline.errors import ConfigError
from pipeline.learn import learn_trunk as stage
from pipeline.learn.train_head import fit_head, shared_map
from pipeline.learn.training_rows import labelled_rows
from pipeline.model.drift import describe
from pipeline.model.fit_novelty import fit
from pipeline.model.keras_backend import keras
from pipeline.model.network import to_bytes
from pipeline.model.scores.label_errors import mean_probabilities
from pipeline.report.explain_crop import Explainer, explain_crop
from pipeline.review.evidence import Evidence
from pipeline.stages.embed import embed_part
from pipeline.store.features import load_crops, load_features, load_predictions
from pipeline.store.neighbours import Neighbours
from pipeline.store.registry import (
    champion,
    choose_models,
    cost_line,
    embedder,
    read_model,
    stored_choice,
    trunk_card,
    trunk_home,
)
from tests.builders.scans import labelled_batch, scan
from tests.builders.stores import process_folder, small_store
from tests.learn.test_learn_trunk import discs

pytestmark = pytest.mark.slow

LEARN = config.Learn(epochs=1, batch_size=16)


def write_model(path):
    """A small network of the kinds of layers that mobile networks have, with random weights."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = keras.Input((None, None, 3))
    x = layers.Rescaling(1 / 127, offset=-1)(inputs)
    x = layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False)(x)
    before = layers.ReLU(6)(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(before)
    x = layers.Add(name="sum")([layers.BatchNormalization()(x), before])
    x = layers.AveragePooling2D(2, name="last_map")(layers.SeparableConv2D(8, 3, padding="same")(x))
    x = layers.Dense(5, name="dense1")(layers.GlobalAveragePooling2D()(x))
    path.write_bytes(to_bytes(keras.Model(inputs, x)))
    return path


class Filled:
    """A store in which a batch was embedded, predicted and trained on; the file is gone."""

    def __init__(self, root):
        model, self.folder = write_model(root / "secret.keras"), root / "in"
        trunk = config.Trunk(model=model)
        self.opened = small_store(root, part_size=60, trunk=trunk, learn=LEARN)
        labelled_batch(self.folder, discs(60))
        self.summary = process_folder(self.opened, self.folder, "night")
        self.store, self.chosen = (
            self.opened.store,
            choose_models(self.opened.settings, self.opened.store),
        )
        self.model, self.aside = model, model.rename(root / "aside.keras")
        self.later = config.load(store=self.store.root, workers=2)
        self.crop_id = load_features(self.store)[0]["crop_id"][0]

    def dental(self, *command):
        answer = CliRunner().invoke(commands, list(command), env={"DENTAL_STORE": self.store.root})
        assert answer.exit_code == 0, answer
        return answer.stdout

    @contextmanager
    def with_file(self):
        """The file is where the settings name it."""
        self.aside.rename(self.model)
        try:
            yield
        finally:
            self.model.rename(self.aside)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    return Filled(tmp_path_factory.mktemp("map"))


def test_a_batch_gets_features_novelty_a_head_and_predictions(filled):
    assert not filled.summary.failures
    assert load_features(filled.store)[1].shape == (60, 8 * 8 * 8)
    assert len(load_predictions(filled.store)) == 60
    assert champion(filled.store)["trunk"] == filled.chosen.trunk_id
    assert filled.store.names("novelty")


def test_without_the_model_file_scans_are_predicted_by_the_stored_trunk(filled):
    rows = FilePredictor(filled.later).predict(scan(50, 50, seed=8))
    assert rows["p_abnormal"].between(0, 1).all()
    assert rows["novelty_gaussian"].notna().all()
    assert len(Neighbours(filled.store).of(filled.crop_id, 3)) == 3
    assert choose_models(filled.later, filled.store) == filled.chosen
    with pytest.raises(ConfigError, match=r"secret\.keras, which is not a file.*champion's trunk"):
        choose_models(filled.opened.settings, filled.store)


def test_a_heat_map_adds_up_to_the_log_odds(filled):
    found = explain_crop(filled.later, filled.crop_id).explanation
    assert found.cells.shape == (8, 8)
    row = load_predictions(filled.store).set_index("crop_id").loc[filled.crop_id]
    odds = np.log(row["p_caries"] / row["p_healthy"])
    assert found.difference == pytest.approx(odds, abs=1e-3)


def test_nothing_but_the_private_folder_has_the_path_or_name_of_the_file(filled):
    card = trunk_card(filled.store, filled.chosen.trunk_id)
    assert card["settings"]["model"] == "model.keras"
    assert card["output"] == [8, 8, 8]
    assert card["cost"]["this"]["bytes"] == 2 * card["width"] == 1024
    assert "1.02 kB stored" in cost_line(filled.store, filled.chosen)
    for name in filled.store.everything():
        assert b"secret" not in filled.store.read_bytes(name), name


def test_the_exported_network_gives_the_stored_predictions(filled, tmp_path):
    out = tmp_path / "out"
    filled.dental("models", "export", champion(filled.store)["head"], str(out), "--keras")
    described = json.loads((out / "model.json").read_text())
    assert described["architecture"]["trunk"].endswith(" layers → 8×8×8 → 512")
    facts, crops = load_crops(filled.store)
    outputs = keras.models.load_model(out / "model.keras").predict(crops, verbose=0)
    rows = load_predictions(filled.store).set_index("crop_id").loc[facts["crop_id"]]
    assert np.abs(outputs["p_abnormal_box"] - rows["p_abnormal"]).max() < 2e-3


def test_learning_fine_tunes_the_network_and_keeps_its_batch_statistics(filled, monkeypatch):
    monkeypatch.setattr(stage, "embed_everything", lambda *_: ["enough for this test"])
    monkeypatch.setattr("pipeline.learn.crop_source.MIN_CROPS", 20)
    with filled.with_file():
        learned = stage.learn_trunk(filled.opened)
    assert learned.card["learned_from"] == filled.chosen.trunk_id != learned.trunk_id
    assert stored_choice(filled.store, learned.trunk_id).map == (8, 8, 8)
    first, second = (
        read_model(filled.store, trunk_home(each))
        for each in (filled.chosen.trunk_id, learned.trunk_id)
    )
    for one, other in zip(first.weights, second.weights, strict=True):
        same = (np.asarray(one) == np.asarray(other)).all()
        assert same == ("batch_normalization" in one.path), one.path


def test_vectors_get_a_dense_head_and_have_no_heat_map(filled):
    trunk = filled.opened.settings.trunk.model_copy(update={"pool": "mean+max+middle"})
    settings = filled.opened.settings.model_copy(update={"trunk": trunk})
    with filled.with_file():
        chosen = choose_models(settings, filled.store)
        embed = embedder(filled.store, chosen).embed
    assert (chosen.map, chosen.grid, chosen.width) == (None, (1, 1, 24), 24)
    embed_part(filled.store, "night", 0, chosen, embed, lambda _: None)
    rows = labelled_rows(filled.store, chosen, settings)
    assert len(rows.truth) == 60
    assert not fit_head(rows, rows.sides, chosen, settings).shared
    few = dataclasses.replace(chosen, output=(2, 2, 6))
    assert shared_map(few) is None
    assert shared_map(filled.chosen) == (8, 8, 8)
    explainer = dataclasses.replace(Explainer.of(filled.later), chosen=chosen)
    with pytest.raises(ConfigError, match=r"stores vectors, which have no map.*`trunk\.pool`"):
        explainer.explain(np.zeros(24, np.float16))
    evidence = Evidence(filled.later)
    evidence._explainer = explainer
    assert evidence.heat_map({"trunk": explainer.champion["trunk"]}) is None


def test_drift_novelty_and_label_errors_take_vectors_as_maps_of_one_cell():
    vectors = np.random.default_rng(0).normal(size=(20, 1, 1, 24)).astype(np.float16)
    facts = describe(vectors)
    assert facts["channels"].shape == (20, 48)
    assert np.isfinite(facts["embeddings"]).all()
    assert mean_probabilities(vectors).shape == (20, 24)
    found = fit(iter([vectors]), (1, 1, 24), 10, 0).score(vectors)
    assert found.gaussian_map.shape == (20, 1, 1)
    assert np.isfinite(found.gaussian_map).all()
