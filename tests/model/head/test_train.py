import numpy as np
import pytest

from pipeline import config
from pipeline.errors import ArtifactError, ConfigError, NotEnoughData
from pipeline.model import explain, network
from pipeline.model.fingerprints import head_fingerprint, rows_digest
from pipeline.model.head import dense, learner, networks, train
from pipeline.model.head.rows import HeadData, InMemoryEmbeddings
from pipeline.model.keras_backend import keras
from tests.builders.embeddings import three_classes

pytestmark = pytest.mark.slow

WIDTH = 40
SETTINGS = config.Head(
    units=(16, 8), epochs=25, patience=25, batch_size=32, learning_rate=1e-2, dropout=0.1
)
NAMES = ("healthy", "caries", "abscess")


@pytest.fixture(scope="module")
def toy():
    return three_classes(WIDTH)


@pytest.fixture(scope="module")
def trained(toy):
    return learned(toy)


def learned(toy, settings=SETTINGS, on_epoch=None):
    embeddings, classes, learn, validation = toy
    data = HeadData(InMemoryEmbeddings(embeddings), classes, NAMES, learn, validation)
    return train.train(data, settings, on_epoch=on_epoch)


def test_a_head_learns_classes_in_the_order_of_their_names(toy, trained):
    embeddings, classes, learn, validation = toy
    unseen = ~(learn | validation)
    found = networks.predict(trained.model, embeddings)

    assert trained.class_names == NAMES
    assert found.dtype == np.float32
    assert found.shape == (200, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert np.mean(found[unseen].argmax(axis=1) == classes[unseen]) > 0.9


def test_the_head_is_the_one_of_the_notes():
    found = networks.dense_network(8192, config.Head(), 2).layers[1:]
    assert [layer.name for layer in found] == ["dense1", "dense2", "classes"]
    assert [layer.units for layer in found] == [2048, 1024, 2]
    assert [layer.activation.__name__ for layer in found] == ["relu", "relu", "softmax"]
    assert sum(layer.count_params() for layer in found) == 18_879_490


def test_the_same_seed_gives_the_same_head_and_another_seed_another(toy, trained):
    short = SETTINGS.model_copy(update={"epochs": 3})
    first, again, other = (
        networks.predict(learned(toy, settings).model, toy[0])
        for settings in (short, short, short.model_copy(update={"seed": 1}))
    )
    assert (first == again).all()
    assert (first != other).any()


def test_training_changes_no_global_seed(toy):
    np.random.seed(3)
    expected = np.random.rand()
    np.random.seed(3)
    learned(toy, SETTINGS.model_copy(update={"epochs": 1}))
    assert np.random.rand() == expected


def test_the_weights_of_the_best_epoch_are_kept(toy):
    embeddings, classes, learn, validation = toy
    # A third of the labels is wrong, so a head that goes on learning gets worse.
    wrong = np.where(np.arange(200) % 3, classes, (classes + 1) % 3)
    seen = []

    def on_epoch(number, losses):
        seen.append((number, losses))

    settings = SETTINGS.model_copy(update={"epochs": 60, "patience": 4})
    trained = learned((embeddings, wrong, learn, validation), settings, on_epoch)

    losses = [epoch["validation_loss"] for epoch in trained.epochs]
    assert seen == list(enumerate(trained.epochs, start=1))
    assert trained.best_epoch == int(np.argmin(losses)) + 1
    assert len(losses) == trained.best_epoch + 4 < 60
    found = networks.predict(trained.model, embeddings[validation])
    weights = learner.class_weights(wrong[learn], 3)[wrong[validation]]
    # The reported losses are those after calibration, as the head is stored.
    loss = -np.log(found[np.arange(validation.sum()), wrong[validation]])
    assert np.average(loss, weights=weights) == pytest.approx(min(losses), rel=1e-3)


def test_the_training_loss_is_the_mean_over_the_rows_of_one_epoch(toy):
    embeddings, classes, learn, validation = toy
    data = HeadData(InMemoryEmbeddings(embeddings), classes, NAMES, learn, validation)
    # The rate has decayed to zero after one epoch, so the loss of the next ones is known.
    settings = SETTINGS.model_copy(update={"epochs": 1, "dropout": 0})
    learning = learner.Learner(data, settings)
    first = learning.train_epoch()
    found = learning.predict_proba(learn)[np.arange(learn.sum()), classes[learn]]
    expected = np.mean(-np.log(found) * learning.class_weights[classes[learn]])
    assert learn.sum() % settings.batch_size > 0
    assert first > 1.02 * expected
    for _ in range(2):
        assert learning.train_epoch() == pytest.approx(expected, rel=1e-5)


def test_the_validation_loss_does_not_depend_on_how_sure_a_head_is(toy):
    embeddings, classes, learn, validation = toy
    data = HeadData(InMemoryEmbeddings(embeddings), classes, NAMES, learn, validation)
    learning = learner.Learner(data, SETTINGS)
    learning.train_epoch()
    before = learning.validate()
    *hidden, kernel, bias = learning.model.get_weights()
    learning.model.set_weights([*hidden, 4 * kernel, 4 * bias])
    assert learning.validate()["validation_loss"] == pytest.approx(before["validation_loss"], 1e-3)


def test_a_row_of_a_rare_class_weighs_more_by_the_square_root_of_its_rarity():
    weights = learner.class_weights(np.array([0, 0, 0, 0, 1]), 3)
    assert weights[1] / weights[0] == pytest.approx(2)
    assert weights[2] == 1
    assert weights[[0, 0, 0, 0, 1]].mean() == pytest.approx(1)


def test_a_prediction_does_not_depend_on_its_neighbours(toy, trained):
    embeddings = toy[0]
    together = networks.predict(trained.model, embeddings)
    assert (networks.predict(trained.model, embeddings[:1]) == together[:1]).all()
    assert (networks.predict(trained.model, embeddings[63:130]) == together[63:130]).all()
    assert networks.predict(trained.model, embeddings[:0]).shape == (0, 3)


def test_a_head_survives_the_keras_format(toy, trained):
    data = network.to_bytes(trained.model)
    again = network.from_bytes(data)
    assert (networks.predict(again, toy[0]) == networks.predict(trained.model, toy[0])).all()
    # The weights and little else: an optimizer's state would triple the file.
    assert len(data) < 4 * again.count_params() + 60_000
    assert isinstance(again, keras.Model)


def test_a_trained_head_is_read_without_keras_and_explained_to_the_last_digit(toy, trained):
    embeddings = toy[0]
    plain = dense.from_bytes(network.to_bytes(trained.model))
    found = networks.predict(trained.model, embeddings)
    for row in range(0, 200, 9):
        logits = plain.logits(embeddings[row])
        np.testing.assert_allclose(dense.softmax(logits), found[row], atol=1e-5)
        found_map = explain.explain(plain, embeddings[row], 0, (2, 5, 4))
        expected = logits[found_map.finding] - logits[0]
        assert found_map.cells.sum() + found_map.constant == pytest.approx(expected, abs=1e-10)


def test_embeddings_of_another_width_are_refused(trained):
    with pytest.raises(ArtifactError, match=r"takes embeddings of 40 values.*\(2, 41\).*trunk"):
        networks.predict(trained.model, np.zeros((2, WIDTH + 1), np.float16))


@pytest.mark.parametrize("missing", ["classes", "validation"])
def test_too_few_labels_are_refused_with_counts(toy, missing):
    embeddings, classes, learn, validation = toy
    if missing == "classes":
        classes = np.zeros_like(classes)
    else:
        validation = np.zeros_like(validation)
    with pytest.raises(NotEnoughData, match="Label more"):
        learned((embeddings, classes, learn, validation))


def test_a_diverging_loss_names_the_setting_to_change(toy):
    settings = SETTINGS.model_copy(update={"learning_rate": 1e38})
    with pytest.raises(ConfigError, match=r"Lower `head\.learning_rate`, which is 1e\+38"):
        learned(toy, settings)


def test_the_fingerprint_of_a_head_covers_all_that_it_learns_from():
    rows = {"crop_ids": ["a:whole", "b:whole"], "labels": ["x", "y"], "sides": ["train", "test"]}
    same = {
        "trunk_fingerprint": "t",
        "settings": SETTINGS,
        "class_names": ["x", "y"],
        "normal_class": "x",
        "data": rows_digest(**rows),
        "background": rows_digest([], [], []),
    }
    swapped = {"crop_ids": ["b:whole", "a:whole"], "labels": ["y", "x"], "sides": ["test", "train"]}
    changes = [
        {"trunk_fingerprint": "u"},
        {"settings": SETTINGS.model_copy(update={"seed": 5})},
        {"class_names": ["y", "x"]},
        {"normal_class": "y"},
        {"data": rows_digest(**{**rows, "labels": ["x", "x"]})},
        {"data": rows_digest(**{**rows, "sides": ["train", "train"]})},
        {"data": rows_digest(**swapped)},
        {"background": rows_digest(["c"], ["c"], ["c"])},
    ]
    prints = {head_fingerprint(**{**same, **change}) for change in [{}, *changes]}
    assert len(prints) == 9
    assert head_fingerprint(**same) == head_fingerprint(**same)
    patients = SETTINGS.model_copy(update={"min_patients": 3})
    assert head_fingerprint(**{**same, "settings": patients}) == head_fingerprint(**same)
