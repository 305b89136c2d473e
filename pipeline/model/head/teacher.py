"""What a head is taught after it has learned from labels: the mean of itself and a machine.

A support-vector machine on the same embeddings errs on other crops than the network does, so the
mean of their log-odds is surer to be as good as the better of them. What is stored has to be dense
layers, so the network is taught to say that mean. Source: Hinton, Vinyals & Dean, "Distilling the
knowledge in a neural network", arXiv:1503.02531. Over five grouped folds of 601 crops, on a trunk
learned with labels in each, the network's AUROC was 0.907 before and 0.908 after; it was ahead of
a machine by 0.021 (-0.001 to 0.042) before and by 0.022 (0.005 to 0.040) after.

A teacher needs no labels, so it is asked about mixtures of two training rows too: a few hundred
rows alone do not tell a function. Source: Beyer et al., "Knowledge distillation: a good teacher is
patient and consistent", arXiv:2106.05237.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, count, islice

import numpy as np

from pipeline.model.backend import keras
from pipeline.model.head.augment import augment
from pipeline.model.head.background import split_background
from pipeline.model.head.layers import dense_network, predict
from pipeline.model.head.learner import Learner, compile_for_training
from pipeline.model.head.rows import Standardisation, shuffled_batches
from pipeline.model.network import compile_for_inference
from pipeline.model.scores import svm
from pipeline.model.scores.svm import MOST_ROWS, Svm

ROWS = 128  # of a step; fewer take as long, since most of it is changing 18.9 million weights
RATE = 1e-4  # of learning, at the start
SMALLEST = 1e-7  # probability whose log-odds are taken instead of those of zero or one
LEAST_SPREAD = 1e-3  # of a machine's scores, about 1 as a rule: with less it tells nothing apart


@dataclass(frozen=True)
class Teacher:
    """The mean of a network and a machine, for standardised embeddings."""

    network: keras.Model  # on raw embeddings, calibrated
    standard: Standardisation
    machine: Svm  # on standardised ones
    # What makes a score of the machine like the network's log-odds.
    scale: float
    offset: float
    class_count: int

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Probabilities of standardised rows (n, width), float32 (n, outputs).

        How likely a row is abnormal comes from both. How likely it is background, and which
        finding it shows if it is abnormal, the network alone can tell.
        """
        said = predict(self.network, self.standard.inverse(rows))
        known, nothing = split_background(said.astype(np.float64), self.class_count)
        scores = self.machine.scores(rows) * self.scale + self.offset
        abnormal = 1 / (1 + np.exp(-(log_odds(known) + scores) / 2))[:, np.newaxis]
        findings = known[:, 1:] + SMALLEST
        findings *= abnormal / findings.sum(axis=1, keepdims=True)
        nothing = nothing[:, np.newaxis]
        every = np.hstack([np.hstack([1 - abnormal, findings]) * (1 - nothing), nothing])
        return every[:, : said.shape[1]].astype(np.float32)


def teacher_beside(network: keras.Model, learner: Learner) -> Teacher | None:
    """The calibrated `network` and a machine, which is chosen on the validation rows (N,).

    The machine learns from the learner's training rows with a label. Its scores get the mean and
    the spread of the network's log-odds. None when those rows are of one kind, or more than a
    machine can take: it would have learned from less than the network.

    Features are standardised as for the network, channel by channel: were it cell by cell, a map
    that is moved would have values where training rows hardly vary, and lie far from all of them.
    """
    judge = learner.validation
    learn, abnormal = learner.learn[: len(judge)], learner.classes[: len(judge)] > 0
    if len(np.unique(abnormal[learn])) < 2 or learn.sum() > MOST_ROWS:
        return None
    rows, judged = (learner.map_rows(mask, learner.standardisation) for mask in (learn, judge))
    machine = svm.fit_svm(rows, abnormal[learn], judged, abnormal[judge])
    scores = machine.scores(judged)
    if len(scores) > 1 and scores.std() < LEAST_SPREAD:
        return None
    said = learner.map_rows(judge, lambda raw: predict(network, raw))
    said = log_odds(split_background(said, learner.class_count)[0])
    scale = float(said.std() / max(scores.std(), LEAST_SPREAD))
    offset = float(said.mean() - scores.mean() * scale)
    return Teacher(network, learner.standardisation, machine, scale, offset, learner.class_count)


def taught(
    teacher: Teacher, learner: Learner, steps: int, on_step: Callable[[int], None]
) -> keras.Model:
    """The teacher's network, as it says after `steps` what the teacher says."""
    settings, standard = learner.settings, teacher.standard
    student = dense_network(learner.source.width, settings, learner.outputs)
    student.set_weights(standard.folded_out_of(teacher.network.get_weights()))
    settings = settings.model_copy(update={"learning_rate": RATE})
    compile_for_training(student, settings, steps, keras.losses.CategoricalCrossentropy())
    for rows in islice(mixtures(learner), steps):
        student.train_on_batch(rows, teacher(rows))
        on_step(1)
    student.set_weights(standard.folded_into(student.get_weights()))
    return compile_for_inference(student)


def mixtures(learner: Learner) -> Iterator[np.ndarray]:
    """Without end: standardised training rows, float32 (ROWS, width), moved, mixed in pairs.

    Shares are a sine and a cosine, since their squares add up to one: mixtures are as far from the
    mean as rows are.
    """
    random, grid = learner.random, learner.grid
    epochs = (shuffled_batches(learner.source, learner.learn, ROWS, random) for _ in count())
    for _, rows in chain.from_iterable(epochs):
        # Few rows come again within a step, so that all steps are of one size.
        rows = np.resize(learner.standardisation(rows), (ROWS, rows.shape[1]))
        if grid:
            rows = augment(rows, grid, random)
        angle = random.uniform(0, np.pi / 2, (ROWS, 1)).astype(np.float32)
        yield np.cos(angle) * rows + np.sin(angle) * rows[random.permutation(ROWS)]


def log_odds(known: np.ndarray) -> np.ndarray:
    """Of abnormal against normal, float64 (n,); class 0 of probabilities (n, classes) is normal."""
    normal = np.clip(known[:, 0].astype(np.float64), SMALLEST, 1 - SMALLEST)
    return np.log(1 - normal) - np.log(normal)
