"""Learning a trunk on pictures whose classes a small network can see."""

from dataclasses import dataclass

import numpy as np
import pytest

from pipeline import config
from pipeline.errors import ConfigError
from pipeline.model import network
from pipeline.model.trunk import augment, train, trainable
from pipeline.model.trunk.objectives import Labelled

pytestmark = pytest.mark.slow

SIDE = 32
TRUNK = config.Trunk(
    weights="random",
    layers=(config.Layer(filters=4, kernel=5), config.Layer(filters=8, kernel=3)),
)
SETTINGS = config.Learn(epochs=3, batch_size=16, learning_rate=1e-2)


@dataclass(frozen=True)
class Arrays:
    """A source that is in memory: uint8 (N, side, side), class numbers (N,), boolean masks (N,)."""

    crops: np.ndarray
    truth: np.ndarray
    learn: np.ndarray
    validate: np.ndarray
    class_count: int
    background: bool = False

    @property
    def classes(self) -> np.ndarray:
        return self.truth[self.learn]

    def training(self, random: np.random.Generator) -> train.Pieces:
        yield self.crops[self.learn], self.classes

    def validation(self) -> train.Pieces:
        yield self.crops[self.validate], self.truth[self.validate]


def discs(count, seed=0):
    """Noise, uint8 (count, 32, 32), with a bright disc in the middle where the class is 1."""
    random = np.random.default_rng(seed)
    pictures = random.integers(40, 120, (count, SIDE, SIDE))
    classes = np.arange(count) % 2
    row, column = np.indices((SIDE, SIDE)) - SIDE // 2
    pictures[classes == 1] += 60 * (row**2 + column**2 < 25)
    return pictures.astype(np.uint8), classes


def new_trunk():
    return trainable.FromScratch(TRUNK, SIDE, SETTINGS.seed)


@pytest.fixture(scope="module")
def source():
    crops, classes = discs(96)
    learn = np.arange(96) < 64
    return Arrays(crops, classes, learn, ~learn, class_count=2)


@pytest.fixture(scope="module")
def learned(source):
    return train.train_trunk(source, new_trunk(), SETTINGS)


LAYERS = {
    "in blocks of 4 and 2": [{"filters": 4, "kernel": 9}, {"filters": 8, "kernel": 5}],
    "even kernels": [{"filters": 4, "kernel": 4}, {"filters": 16, "kernel": 2}],
    "average and gelu": [
        {"filters": 4, "kernel": 3, "pool": "average"},
        {"filters": 8, "kernel": 3, "activation": "gelu"},
    ],
    "stride, valid, no pooling": [
        {"filters": 4, "kernel": 3, "stride": 2},
        {"filters": 8, "kernel": 3, "padding": "valid", "pool": "none"},
    ],
}


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_folding_gives_the_plain_network_that_computes_the_same(layers):
    trunk = config.Trunk(weights="random", layers=[config.Layer(**layer) for layer in layers])
    model, random = trainable.trainable_network(trunk, SIDE, seed=0), np.random.default_rng(0)
    for number in range(len(layers)):
        norm = model.get_layer(f"norm{number}")
        norm.beta.assign(random.normal(0, 0.3, norm.beta.shape))
        norm.moving_mean.assign(random.normal(0, 0.3, norm.beta.shape))
        norm.moving_variance.assign(random.uniform(0.3, 3, norm.beta.shape))
    plain = network.build(trunk, SIDE)
    plain.set_weights(trainable.fold_batch_normalisation(model, trunk))
    grey = augment.plain(discs(4)[0])

    expected = np.asarray(model(grey)).reshape(4, -1)

    found = np.asarray(plain(grey.repeat(3, axis=-1)))
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_trunk_of_the_notes_is_learned_in_blocks_and_keeps_its_parameters():
    model = trainable.trainable_network(config.Trunk(), 160, seed=0)
    assert [model.get_layer(f"conv{number}").blocks for number in range(4)] == [4, 2, 2, 1]
    assert (
        sum(array.size for array in trainable.fold_batch_normalisation(model, config.Trunk()))
        == 9640
    )


def test_classes_that_can_be_seen_are_learned(learned):
    aurocs = [epoch["validation_auroc"] for epoch in learned.epochs]
    assert learned.best_epoch == len(aurocs) == 3  # too few to average
    assert aurocs[-1] > 0.9


class Notebook:
    """A checkpoint in memory; the process is killed after the given number of saves."""

    def __init__(self, dies_after=None):
        self.state, self.saved, self.dies_after = None, 0, dies_after

    def load(self):
        return self.state

    def save(self, state):
        self.state, self.saved = state, self.saved + 1
        if self.saved == self.dies_after:
            raise KeyboardInterrupt


def test_a_killed_run_resumes_after_its_last_epoch_and_gives_the_same_trunk(source, learned):
    notebook, epochs = Notebook(dies_after=1), []
    with pytest.raises(KeyboardInterrupt):
        train.train_trunk(source, new_trunk(), SETTINGS, checkpoint=notebook)

    resumed = train.train_trunk(
        source, new_trunk(), SETTINGS, lambda number, _: epochs.append(number), notebook
    )

    assert epochs == [2, 3]
    for mine, theirs in zip(resumed.weights, learned.weights, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
    assert resumed.best_epoch == learned.best_epoch


def test_training_stops_without_improvement_and_reports_when_it_diverges(source):
    settings = SETTINGS.model_copy(update={"epochs": 9, "patience": 2})
    run = train.TrunkTraining(source, new_trunk(), settings)
    # The mean of five is highest at the sixth, though the second alone was.
    scores = [{"validation_auroc": value} for value in (0.6, 0.9, 0.6, 0.7, 0.8, 0.8, 0.8, 0.5)]
    run.history = scores[:7]
    assert (run.best_epoch, run.finished) == (6, False)
    run.history = scores
    assert (run.best_epoch, run.finished) == (6, True)

    run.model.set_weights([array * np.nan for array in run.model.get_weights()])
    with pytest.raises(ConfigError, match=r"no longer a number.*Lower `learn.learning_rate`"):
        run.train_epoch()


def test_batches_hold_every_row_once_whatever_the_pieces_and_memory_stays_bounded(monkeypatch):
    monkeypatch.setattr(train, "POOL", 20)
    crops = np.arange(100, dtype=np.uint8)[:, np.newaxis, np.newaxis]
    most = 0

    def pieces():
        for start in range(0, 100, 7):
            yield crops[start : start + 7], np.arange(start, min(start + 7, 100))

    seen = []
    for batch, classes in train.shuffled(pieces(), 8, np.random.default_rng(0)):
        assert (batch[:, 0, 0] == classes).all()
        assert len(batch) == 8
        seen.append(classes)
        most = max(most, max(classes) - len(np.concatenate(seen)))
    assert set(np.concatenate(seen)) == set(range(100))
    assert len(seen) == 13
    assert (np.diff(np.concatenate(seen)) < 0).sum() > 20  # in no order
    assert most < 30  # what was read ahead


def test_views_differ_keep_their_size_and_depend_on_the_seed_alone():
    crops = discs(4)[0]
    one, again, other = (augment.augment(crops, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.shape == (4, SIDE, SIDE, 1)
    assert one.dtype == np.float32
    assert (one == again).all()
    assert np.abs(one - other).mean() > 0.01
    # Another exposure of the same picture, not another picture.
    assert np.abs(one.mean(axis=(1, 2)) - augment.plain(crops).mean(axis=(1, 2))).max() < 0.3


def test_what_moves_into_a_view_is_not_darker_than_the_picture():
    # Black corners would reveal which crops had been moved.
    bright = np.full((16, SIDE, SIDE), 200, np.uint8)
    assert augment.augment(bright, np.random.default_rng(0)).min() > 0.25


def test_background_is_not_counted_as_abnormal():
    objective = Labelled(np.ones(3), SETTINGS, background=True)
    taken_for_background = np.array([[0, 0, 8]], np.float32)
    as_abnormal = np.array([[0, 8, 0]], np.float32)
    normal = np.array([0])
    by_class = 8  # what both lose by naming the wrong class
    assert float(objective.loss(normal, taken_for_background)[0]) < by_class + 1
    assert float(objective.loss(normal, as_abnormal)[0]) > by_class + 6


def test_half_of_the_views_are_mirrored_about_the_middle():
    moves = augment.affine_transforms(400, 33, np.random.default_rng(0))
    mirrored = moves[:, 0] < 0
    assert 150 < mirrored.sum() < 250
    # The middle pixel comes from near the middle, mirrored or not.
    came_from = moves[:, 0] * 16 + moves[:, 1] * 16 + moves[:, 2]
    assert np.abs(came_from - 16).max() <= augment.SHIFT * 33


def test_a_learned_trunk_of_more_than_a_hundred_arrays_is_read_back_in_its_order():
    weights = [np.full(1 + number % 7, number, np.float32) for number in range(245)]
    learned = train.LearnedTrunk(weights, weights[:3], ({"loss": 1.0},), 1)
    read = train.LearnedTrunk.from_bytes(learned.to_bytes())
    assert [array.tolist() for array in read.weights] == [array.tolist() for array in weights]
    assert len(read.above) == 3
