"""A head begins with the network under which its trunk was learned."""

import numpy as np
import pytest

from pipeline import config
from pipeline.model import network
from pipeline.model.head import layers, learner, start, train
from pipeline.model.head.rows import InMemoryEmbeddings

ROWS = np.random.default_rng(1).standard_normal((90, 90)).astype(np.float16)
GRID = (6, 5, 3)
SETTINGS = config.Head(units=(3 * 3 * 4, 2 * 2 * 2), epochs=2, batch_size=16, taught=0)


@pytest.fixture(scope="module")
def above():
    """A network above a trunk, and a start that holds its weights."""
    model = layers.convolutional_network(GRID, SETTINGS, 2)
    random = np.random.default_rng(0)
    # Positive ones too, since the variances of the normalisation are among them.
    weights = [random.uniform(-1, 1, w.shape) + (w.ndim == 1) for w in model.get_weights()]
    model.set_weights(weights)
    # Half of all rows are of either class, and nearly all of them clearly.
    said = np.log(layers.predict(network.compile_for_inference(model), ROWS))
    weights[-2], weights[-1] = 20 * weights[-2], 20 * (weights[-1] - np.median(said, axis=0))
    model.set_weights(weights)
    return network.compile_for_inference(model), start.InitialWeights(
        ("healthy", "caries"), tuple(model.get_weights())
    )


def test_it_is_kept_when_learning_makes_nothing_better(above, monkeypatch):
    model, start = above
    monkeypatch.setattr(learner, "CAREFUL", 100)  # steps that spoil whatever they touch
    said = layers.predict(model, ROWS)
    truth, learn = said.argmax(axis=1), np.arange(90) < 60
    truth[learn] = 1 - truth[learn]
    trained = train.train(
        InMemoryEmbeddings(ROWS),
        truth,
        learn,
        ~learn,
        start.class_names,
        SETTINGS,
        GRID,
        start=start,
    )
    assert trained.best_epoch == 0
    found = layers.predict(trained.model, ROWS)
    assert (found.argmax(axis=1) == said.argmax(axis=1)).all()


def test_a_class_it_does_not_know_begins_with_nothing_and_others_keep_their_columns(above):
    *_, kernel, bias = above[1].for_classes(("healthy", "abscess", "caries"))
    *_, old, offsets = above[1].weights
    assert (kernel[:, [0, 2]] == old).all()
    assert (bias[[0, 2]] == offsets).all()
    assert not kernel[:, 1].any()


def test_it_is_left_out_where_it_does_not_fit(above):
    other = layers.convolutional_network(GRID, SETTINGS.model_copy(update={"units": (36, 4)}), 2)
    assert not above[1].fits(other.get_weights())
    assert above[1].fits(layers.convolutional_network(GRID, SETTINGS, 5).get_weights())


def test_it_comes_back_from_its_bytes_as_it_was(above):
    found = start.from_bytes(above[1].to_bytes())
    assert found.class_names == above[1].class_names
    assert all(
        np.array_equal(mine, theirs)
        for mine, theirs in zip(found.weights, above[1].weights, strict=True)
    )
