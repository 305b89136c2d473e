"""Convolutions unroll into dense layers: a head is trained in one shape and stored in the other."""

import numpy as np
import pytest

from pipeline import config
from pipeline.errors import NotEnoughData
from pipeline.model import network
from pipeline.model.head import learner, networks, train
from pipeline.model.head.dense import DenseNetwork
from pipeline.model.head.rows import HeadData, InMemoryEmbeddings

pytestmark = pytest.mark.slow

GRID = (6, 5, 3)  # odd and even sides: padding differs
SETTINGS = config.Head(units=(3 * 3 * 4, 2 * 2 * 2), epochs=8, batch_size=16, learning_rate=1e-2)


def test_the_head_of_the_notes_is_two_convolutions_and_a_mean():
    model = networks.convolutional_network((16, 16, 32), config.Head(), 2)
    expected = 9 * 32 * 32 + 2 * 32 + 9 * 32 * 64 + 2 * 64 + 16 + (64 + 1) * 2
    assert networks.free_parameters(model) == expected == 27_986


def test_unrolled_convolutions_give_the_same_output():
    random = np.random.default_rng(0)
    model = networks.convolutional_network(GRID, SETTINGS, 3)
    # Positive ones too, since the variances of the normalisation are among them.
    model.set_weights([random.uniform(-1, 1, w.shape) + (w.ndim == 1) for w in model.get_weights()])
    rows = random.standard_normal((20, 90)).astype(np.float32)
    dense = networks.dense_network(90, SETTINGS, 3)
    dense.set_weights(networks.unroll(model.get_weights(), GRID))
    assert [layer.units for layer in dense.layers[1:]] == [36, 8, 3]
    np.testing.assert_allclose(
        np.asarray(dense(rows)),
        networks.predict(network.compile_for_inference(model), rows),
        atol=1e-5,
    )


@pytest.fixture(scope="module")
def maps():
    """Two classes that differ by a spot anywhere on the map, on uneven shifted channels."""
    random = np.random.default_rng(1)
    classes = np.arange(120) % 2
    rows = random.standard_normal((120, *GRID))
    for number in np.flatnonzero(classes):
        rows[number, random.integers(6), random.integers(5)] += 6
    rows = (rows * [0.1, 1, 5] + 3).reshape(120, -1).astype(np.float16)
    side = np.arange(120)
    embeddings, validation = InMemoryEmbeddings(rows), (side >= 80) & (side < 100)
    return HeadData(embeddings, classes, ("a", "b"), side < 80, validation, GRID)


def test_a_head_trained_with_shared_weights_is_stored_dense_on_raw_rows(maps):
    learning = learner.Learner(maps, SETTINGS)
    for _ in range(3):
        learning.train_epoch()
    expected = learning.predict_proba(np.ones(120, bool))
    stored = learning.to_dense(1.0)
    assert [type(layer).__name__ for layer in stored.layers] == ["InputLayer"] + ["Dense"] * 3
    found = networks.predict(stored, maps.embeddings.array)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_stored_head_predicts_with_the_convolutions_that_it_was_trained_as(maps):
    learning = learner.Learner(maps, SETTINGS)
    learning.train_epoch()
    dense, rows = learning.to_dense(1.0), maps.embeddings.array
    stored = networks.for_predictions(DenseNetwork.of(dense.get_weights()), GRID)
    kinds = [type(layer).__name__ for layer in stored.layers]
    assert kinds.count("Conv2D") == 2
    assert stored.count_params() < dense.count_params()
    expected = networks.predict(dense, rows)
    np.testing.assert_allclose(networks.predict(stored, rows), expected, atol=1e-6)


def test_a_head_that_was_trained_dense_predicts_as_dense_layers():
    settings = SETTINGS.model_copy(update={"seed": 3})
    dense = network.compile_for_inference(networks.dense_network(90, settings, 3))
    random = np.random.default_rng(0)
    dense.set_weights([random.uniform(-0.1, 0.1, w.shape) for w in dense.get_weights()])
    rows = random.standard_normal((20, 90)).astype(np.float16)
    stored = networks.for_predictions(DenseNetwork.of(dense.get_weights()), GRID)
    assert "Conv2D" not in {type(layer).__name__ for layer in stored.layers}
    assert (networks.predict(stored, rows) == networks.predict(dense, rows)).all()


def test_a_training_step_is_traced_once(maps, monkeypatch):
    original, traced = networks.keras.Model.train_step, []

    def counted(self, data):
        traced.append(1)
        return original(self, data)

    monkeypatch.setattr(networks.keras.Model, "train_step", counted)
    learner.Learner(maps, SETTINGS).train_epoch()
    assert len(traced) == 1


def test_the_temperature_is_folded_into_the_last_layer(maps):
    rows, learning = maps.embeddings.array, learner.Learner(maps, SETTINGS)
    learning.train_epoch()
    sharp, soft = (networks.predict(learning.to_dense(each), rows) for each in (1.0, 2.0))
    expected = np.sqrt(sharp) / np.sqrt(sharp).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(soft, expected, atol=1e-5)


def test_shared_weights_find_a_spot_wherever_it_is(maps):
    settings = SETTINGS.model_copy(update={"epochs": 40, "patience": 40, "dropout": 0.0})
    trained = train.train(maps, settings)
    unseen = ~(maps.train | maps.validation)
    assert trained.shared
    assert trained.free_parameters < 300 < trained.model.count_params()
    found = networks.predict(trained.model, maps.embeddings.array[unseen]).argmax(axis=1)
    assert np.mean(found == maps.classes[unseen]) >= 0.8


def test_a_head_of_other_sizes_is_trained_dense(maps):
    settings = SETTINGS.model_copy(update={"units": (10,), "epochs": 1})
    trained = train.train(maps, settings)
    assert not trained.shared
    assert trained.free_parameters == trained.model.count_params()


def test_without_validation_rows_nothing_is_trained(maps):
    nothing = np.zeros(120, bool)
    data = HeadData(maps.embeddings, maps.classes, ("a", "b"), maps.train, nothing, GRID)
    with pytest.raises(NotEnoughData):
        train.train(data, SETTINGS)
