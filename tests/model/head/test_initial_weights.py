"""A head starts from the weights of the network under which its trunk was learned."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline import config
from pipeline.model import network
from pipeline.model.head import initial_weights, learner, networks, train
from pipeline.model.head.rows import HeadData, InMemoryEmbeddings

pytestmark = pytest.mark.slow

ROWS = np.random.default_rng(1).standard_normal((90, 90)).astype(np.float16)
GRID = (6, 5, 3)
SETTINGS = config.Head(units=(3 * 3 * 4, 2 * 2 * 2), epochs=2, batch_size=16)


@pytest.fixture(scope="module")
def above():
    """A network above a trunk, and initial weights that are its own."""
    model = networks.convolutional_network(GRID, SETTINGS, 2)
    random = np.random.default_rng(0)
    # Positive ones too, since the variances of the normalisation are among them.
    weights = [random.uniform(-1, 1, w.shape) + (w.ndim == 1) for w in model.get_weights()]
    model.set_weights(weights)
    # Half of all rows are of either class, and nearly all of them clearly.
    logits = np.log(networks.predict(network.compile_for_inference(model), ROWS))
    weights[-2], weights[-1] = 20 * weights[-2], 20 * (weights[-1] - np.median(logits, axis=0))
    model.set_weights(weights)
    initial = initial_weights.InitialWeights(("healthy", "caries"), tuple(model.get_weights()))
    return network.compile_for_inference(model), initial


def test_initial_weights_are_kept_when_training_improves_nothing(above, monkeypatch):
    model, initial = above
    monkeypatch.setattr(learner, "WARM_START_RATE", 100)  # steps that spoil whatever they change
    before = networks.predict(model, ROWS).argmax(axis=1)
    train_mask = np.arange(90) < 60
    classes = np.where(train_mask, 1 - before, before)
    embeddings = InMemoryEmbeddings(ROWS)
    data = HeadData(embeddings, classes, initial.class_names, train_mask, ~train_mask, GRID)
    trained = train.train(data, SETTINGS, initial)
    assert trained.best_epoch == 0
    assert (networks.predict(trained.model, ROWS).argmax(axis=1) == before).all()
    # A head of other sizes starts from random weights.
    other = SETTINGS.model_copy(update={"units": (36, 4), "epochs": 1})
    assert train.train(replace(data, classes=before), other, initial).best_epoch == 1


def test_an_unknown_class_starts_with_zeros_and_others_keep_their_columns(above):
    *_, kernel, bias = above[1].for_classes(("healthy", "abscess", "caries"))
    *_, old, offsets = above[1].weights
    assert (kernel[:, [0, 2]] == old).all()
    assert (bias[[0, 2]] == offsets).all()
    assert not kernel[:, 1].any()


def test_initial_weights_fit_the_same_shapes_with_any_number_of_classes(above):
    other = networks.convolutional_network(GRID, SETTINGS.model_copy(update={"units": (36, 4)}), 2)
    assert not above[1].fits(other.get_weights())
    assert above[1].fits(networks.convolutional_network(GRID, SETTINGS, 5).get_weights())


def test_initial_weights_survive_serialisation(above):
    found = initial_weights.from_bytes(above[1].to_bytes())
    assert found.class_names == above[1].class_names
    assert all(
        np.array_equal(mine, theirs)
        for mine, theirs in zip(found.weights, above[1].weights, strict=True)
    )
