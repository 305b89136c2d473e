"""A Keras model from a file as trunk: from embeddings to a head, its heat maps and its export."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline import config
from pipeline.api.predict_files import FilePredictor
from pipeline.cli.__main__ import commands
from pipeline.errors import ConfigError
from pipeline.learn import learn_trunk as stage
from pipeline.model.keras_backend import keras
from pipeline.model.network import to_bytes
from pipeline.report.explain_crop import explain_crop
from pipeline.review.evidence import Evidence
from pipeline.store.features import load_crops, load_features, load_predictions
from pipeline.store.neighbours import Neighbours
from pipeline.store.open_store import open_for_writing
from pipeline.store.registry import champion, choose_models, trunk_card
from tests.builders.scans import labelled_batch, scan
from tests.builders.stores import failed_checks, process_folder, small_store
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

    def __init__(self, root, **cut):
        model = write_model(root / "secret.keras")
        trunk = config.Trunk(model=model, **cut)
        self.opened = small_store(root, part_size=40, trunk=trunk, learn=LEARN)
        self.summary = process_folder(self.opened, labelled_batch(root / "in", discs()), "night")
        self.store, self.model = self.opened.store, model
        self.trunk_id = choose_models(self.opened.settings, self.store).trunk_id
        self.aside = model.rename(root / "aside.keras")
        self.later = config.load(store=self.store.root, workers=2)
        self.crop_id = load_features(self.store)[0]["crop_id"][0]

    def dental(self, *command):
        environment = {"DENTAL_STORE": self.store.root}
        return CliRunner().invoke(commands, list(command), env=environment)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    return Filled(tmp_path_factory.mktemp("map"))


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    return Filled(tmp_path_factory.mktemp("vector"), pool="mean+max+middle")


@pytest.mark.parametrize("kind", ["filled", "vectors"])
def test_a_batch_gets_features_predictions_novelty_and_a_head_that_shares_weights_over_maps(
    kind, request
):
    found = request.getfixturevalue(kind)
    assert not found.summary.failures
    assert not failed_checks(found.store)
    assert load_features(found.store)[1].shape == (100, 8 * 8 * 8 if kind == "filled" else 3 * 8)
    assert len(load_predictions(found.store)) == 100
    assert champion(found.store)["trunk"] == found.trunk_id
    assert found.store.names("novelty")
    assert found.store.names("drift") or found.summary.notes


@pytest.mark.parametrize("kind", ["filled", "vectors"])
def test_without_the_file_new_scans_are_processed_predicted_and_evaluated(kind, request, tmp_path):
    found = request.getfixturevalue(kind)
    opened = open_for_writing(found.later)
    more = [(scan(50, 50, seed=7), "new", "healthy")]
    summary = process_folder(opened, labelled_batch(tmp_path / "in", more), f"later-{kind}")
    assert not summary.failures
    rows = FilePredictor(found.later).predict(scan(50, 50, seed=8))
    assert rows["p_abnormal"].between(0, 1).all()
    assert rows["novelty_gaussian"].notna().all()
    assert len(Neighbours(found.store).of(found.crop_id, 3)) == 3
    assert found.dental("evaluate").exit_code == 0
    with pytest.raises(ConfigError, match=r"secret\.keras, which is not a file.*champion's trunk"):
        choose_models(found.opened.settings, found.store)


def test_a_heat_map_of_a_map_adds_up_to_the_logits(filled):
    found = explain_crop(filled.later, filled.crop_id)
    assert found.explanation.cells.shape == (8, 8)
    probabilities = load_predictions(filled.store).set_index("crop_id").loc[filled.crop_id]
    odds = np.log(probabilities["p_caries"] / probabilities["p_healthy"])
    assert found.explanation.difference == pytest.approx(odds, abs=1e-3)


def test_there_is_no_heat_map_of_vectors_and_the_error_says_what_to_set(vectors):
    with pytest.raises(ConfigError, match=r"stores vectors, which have no map.*`trunk\.pool`"):
        explain_crop(vectors.later, vectors.crop_id)
    row = {"trunk": vectors.trunk_id}
    assert Evidence(vectors.later).heat_map(row) is None


def test_cards_and_reports_have_neither_the_path_nor_the_name_of_the_file(filled):
    card = trunk_card(filled.store, filled.trunk_id)
    assert card["settings"]["model"] == "model.keras"
    assert card["output"] == [8, 8, 8]
    assert card["cost"]["this"]["bytes"] == 2 * 512 == 2 * card["width"]
    for name in filled.store.everything():
        if not name.endswith(".parquet"):
            assert b"secret" not in filled.store.read_bytes(name), name


@pytest.mark.parametrize("kind", ["filled", "vectors"])
def test_the_exported_network_gives_the_stored_predictions(kind, request, tmp_path):
    found = request.getfixturevalue(kind)
    head, out = champion(found.store)["head"], tmp_path / "out"
    answer = found.dental("models", "export", head, str(out), "--keras")
    assert answer.exit_code == 0, answer
    assert "→ 8×8×8" in json.loads((out / "model.json").read_text())["architecture"]["trunk"]
    facts, crops = load_crops(found.store, batch="night")
    outputs = keras.models.load_model(out / "model.keras").predict(crops, verbose=0)
    rows = load_predictions(found.store).set_index("crop_id").loc[facts["crop_id"]]
    assert np.abs(outputs["p_abnormal_box"] - rows["p_abnormal"]).max() < 2e-3


def test_learning_fine_tunes_the_network_and_leaves_its_batch_statistics(filled, monkeypatch):
    filled.aside.rename(filled.model)
    monkeypatch.setattr(stage, "embed_everything", lambda *_: ["enough for this test"])
    learned = stage.learn_trunk(filled.opened)
    assert learned.card["learned_from"] == filled.trunk_id != learned.trunk_id
    filled.model.rename(filled.aside)
    first, second = (
        keras.models.load_model(filled.store.local_path(f"models/trunks/{each}/model.keras"))
        for each in (filled.trunk_id, learned.trunk_id)
    )
    for one, other in zip(first.weights, second.weights, strict=True):
        same = (np.asarray(one) == np.asarray(other)).all()
        assert same == ("batch_normalization" in one.path), one.path
