"""A head learns to say the mean of itself and of a support-vector machine."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pipeline import config
from pipeline.model import network
from pipeline.model.head import background, layers, teacher, train
from pipeline.model.head.augment import augment
from pipeline.model.head.calibration import fit_temperature
from pipeline.model.head.learner import Learner
from pipeline.model.head.rows import Background, HeadData, InMemoryEmbeddings, Standardisation

pytestmark = pytest.mark.slow

WIDTH = 6
SETTINGS = config.Head(units=(64, 32), epochs=10, batch_size=32, learning_rate=3e-3, dropout=0)
NAMES = ("healthy", "caries", "abscess")


@pytest.fixture(scope="module")
def inside_a_sphere():
    """Rows, classes, masks of both sides, and rows of background, off in one direction."""
    random = np.random.default_rng(0)
    rows = random.standard_normal((400, WIDTH)) * np.linspace(0.5, 2, WIDTH) + 3
    away = ((rows - 3) ** 2 / np.linspace(0.5, 2, WIDTH) ** 2).sum(axis=1)
    classes = np.where(away > np.median(away), 1 + (rows[:, 0] > 3), 0)
    nothing = random.standard_normal((60, WIDTH)) + 3 - 9 * (np.arange(WIDTH) == 5)
    number = np.arange(400)
    judge = (number >= 200) & (number < 300)
    return rows.astype(np.float16), classes, number < 200, judge, nothing.astype(np.float16)


@pytest.fixture(scope="module")
def learner(inside_a_sphere):
    rows, classes, learn, judge, nothing = inside_a_sphere
    beside = Background(InMemoryEmbeddings(nothing), np.ones(60, bool))
    data = HeadData(InMemoryEmbeddings(rows), classes, NAMES, learn, judge, None, beside)
    return Learner(data, SETTINGS)


@pytest.fixture(scope="module")
def taught_by(inside_a_sphere, learner):
    for _ in range(10):
        learner.train_epoch()
    return teacher.teacher_beside(learner.to_dense(1.0), learner)


def test_a_teacher_says_the_mean_of_the_log_odds_of_a_network_and_a_machine(
    inside_a_sphere, taught_by
):
    rows, _, _, judge, _ = inside_a_sphere
    standard = taught_by.standard(rows)
    scores = taught_by.machine.scores(standard) * taught_by.scale + taught_by.offset
    own = log_odds(layers.predict(taught_by.network, rows))
    np.testing.assert_allclose(log_odds(taught_by(standard)), (own + scores) / 2, atol=1e-3)
    # On validation rows the machine is as sure as the network, and as often on either side.
    assert scores[judge].std() == pytest.approx(own[judge].std(), rel=1e-3)
    assert scores[judge].mean() == pytest.approx(own[judge].mean(), abs=1e-3)


def test_a_teacher_leaves_to_the_network_what_only_that_can_tell(inside_a_sphere, taught_by):
    rows, _, _, _, nothing = inside_a_sphere
    every = np.concatenate([rows, nothing])
    own = layers.predict(taught_by.network, every)
    told = taught_by(taught_by.standard(every))
    assert told.shape == own.shape
    assert told.dtype == np.float32
    np.testing.assert_allclose(told.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(told[:, 3], own[:, 3], atol=1e-6)
    ratio, expected = (np.log(each[:400, 2] / each[:400, 1]) for each in (told, own))
    np.testing.assert_allclose(ratio, expected, atol=1e-3)


def test_a_teacher_of_a_network_that_is_sure_gives_probabilities_too(inside_a_sphere, taught_by):
    rows = inside_a_sphere[0]
    *before, kernel, bias = taught_by.network.get_weights()
    sure = layers.dense_network(WIDTH, SETTINGS, 4)
    sure.set_weights([*before, kernel, bias + np.float32([40, 0, 0, 0])])
    told = replace(taught_by, network=network.compile_for_inference(sure))(taught_by.standard(rows))
    np.testing.assert_allclose(told.sum(axis=1), 1, atol=1e-5)


def test_a_taught_network_says_of_unseen_rows_what_its_teacher_says(
    inside_a_sphere, learner, taught_by, monkeypatch
):
    monkeypatch.setattr(teacher, "RATE", 3e-3)  # a small network needs larger steps
    rows = inside_a_sphere[0][300:]
    student = teacher.taught(taught_by, learner, 400, lambda _: None)
    expected = log_odds(taught_by(taught_by.standard(rows)))
    before, after = (log_odds(layers.predict(each, rows)) for each in (taught_by.network, student))
    assert np.abs(after - expected).mean() < np.abs(before - expected).mean() / 2
    assert student.count_params() == taught_by.network.count_params()


def test_training_rows_of_one_kind_teach_no_machine(inside_a_sphere):
    rows, classes, learn, judge, _ = inside_a_sphere
    data = HeadData(InMemoryEmbeddings(rows), classes, NAMES, learn & (classes > 0), judge)
    learner = Learner(data, SETTINGS)
    assert teacher.teacher_beside(learner.to_dense(1.0), learner) is None


def test_more_training_rows_than_a_machine_takes_have_no_teacher(learner, monkeypatch):
    model = learner.to_dense(1.0)
    monkeypatch.setattr(teacher, "MOST_ROWS", 200)
    assert teacher.teacher_beside(model, learner)
    monkeypatch.setattr(teacher, "MOST_ROWS", 199)
    assert teacher.teacher_beside(model, learner) is None


@pytest.mark.parametrize("kept", ["one row", "one kind"])
def test_few_validation_rows_are_enough_for_a_teacher(inside_a_sphere, learner, kept, monkeypatch):
    rows, classes, _, judge, _ = inside_a_sphere
    judge = judge & (classes == 1)
    if kept == "one row":
        judge = np.arange(400) == np.flatnonzero(judge)[0]
    monkeypatch.setattr(learner, "validation", judge)
    guide = teacher.teacher_beside(learner.to_dense(1.0), learner)
    assert np.isfinite(guide(guide.standard(rows))).all()


def test_a_machine_still_tells_maps_apart_that_were_moved():
    """What stands in one place in training comes to stand where nothing ever did."""
    random = np.random.default_rng(0)
    grid = (8, 8, 4)
    maps = random.standard_normal((300, *grid)) * 0.01
    classes = np.arange(300) % 2
    maps[:, 2:5, 2:5, 0] += (1 + 2 * classes[:, np.newaxis, np.newaxis]) * random.random(
        (300, 3, 3)
    )
    rows = (maps + 1).reshape(300, -1).astype(np.float16)
    settings = SETTINGS.model_copy(update={"units": (4 * 4 * 4, 2 * 2 * 8)})
    number = np.arange(300)
    judge = (number >= 150) & (number < 200)
    data = HeadData(InMemoryEmbeddings(rows), classes, NAMES[:2], number < 150, judge, grid)
    learner = Learner(data, settings)
    machine = teacher.teacher_beside(learner.to_dense(1.0), learner).machine
    shifted = augment(learner.standardisation(rows[200:]), grid, random)
    assert roc_auc_score(classes[200:], machine.scores(shifted)) > 0.95


def test_teaching_goes_on_from_what_a_head_says_that_began_with_its_trunks_network(monkeypatch):
    """It sees raw embeddings with shared weights until then, and standardised dense ones after."""
    random = np.random.default_rng(0)
    grid, settings = (8, 8, 4), SETTINGS.model_copy(update={"units": (4 * 4 * 4, 2 * 2 * 8)})
    rows = (random.standard_normal((90, 256)) * np.tile([0.5, 1, 2, 4], 64) + 3).astype(np.float16)
    classes, number = np.arange(90) % 2, np.arange(90)
    embeddings = InMemoryEmbeddings(rows)
    data = HeadData(embeddings, classes, NAMES[:2], number < 60, number >= 60, grid)
    learner = Learner(data, settings)
    weights = [random.uniform(-1, 1, w.shape) + (w.ndim == 1) for w in learner.model.get_weights()]
    weights[-2] /= 10  # else it is sure of every row
    learner.model.set_weights(weights)
    said = layers.predict(network.compile_for_inference(learner.model), rows.astype(np.float32))
    weights[-1] += [
        np.median(teacher.log_odds(said)),
        0,
    ]  # half of the rows are of either class
    learner.warm_start(weights)
    expected = learner.predict_proba(np.ones(90, bool))
    guide = teacher.teacher_beside(learner.to_dense(1.0), learner)
    wanted = teacher.log_odds(guide(guide.standard(rows)))
    monkeypatch.setattr(teacher, "RATE", 0.0)  # so that a step changes nothing
    same = layers.predict(teacher.taught(guide, learner, 1, lambda _: None), rows)
    assert expected[:, 0].std() > 0.03
    np.testing.assert_allclose(same, expected, atol=1e-3)
    monkeypatch.setattr(teacher, "RATE", 1e-3)
    student = teacher.taught(guide, learner, 100, lambda _: None)
    before, after = (
        np.abs(teacher.log_odds(said) - wanted).mean()
        for said in (same, layers.predict(student, rows))
    )
    assert (
        after < 1.5 * before
    )  # labels are noise here, so little is learned; astray it would be 9 times


def test_a_trained_head_says_how_long_it_was_taught_and_is_calibrated_again(inside_a_sphere):
    rows, classes, learn, judge, _ = inside_a_sphere
    steps = []

    @contextmanager
    def teaching(count):
        steps.append(count)
        yield steps.append

    plain, again, taught = (
        train.train(
            HeadData(InMemoryEmbeddings(rows), classes, NAMES, learn, judge),
            SETTINGS.model_copy(update={"epochs": 2, "taught": count}),
            teaching=teaching,
        )
        for count in (0, 3, 3)
    )
    assert (plain.taught, taught.taught) == (0, 3)
    assert steps == [3, 1, 1, 1] * 2
    found = [layers.predict(each.model, rows) for each in (again, taught)]
    assert (found[0] == found[1]).all()
    sure = fit_temperature(found[1][judge], classes[judge])
    assert sure == pytest.approx(1, abs=0.01)


def test_weights_for_standardised_rows_come_back_from_weights_for_raw_ones():
    random = np.random.default_rng(0)
    standard = Standardisation(random.random(5), random.random(5) + 0.5)
    weights = [random.random((5, 3)).astype(np.float32), random.random(3).astype(np.float32)]
    again = standard.folded_out_of(standard.folded_into(weights))
    for one, other in zip(again, weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    rows = random.random((4, 5)).astype(np.float32)
    np.testing.assert_allclose(standard.inverse(standard(rows)), rows, rtol=1e-5)


def log_odds(said):
    return teacher.log_odds(background.split_background(said, 3)[0])
