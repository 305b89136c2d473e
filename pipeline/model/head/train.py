"""The dense network that learns classes from stored embeddings.

Training sees standardised features, because raw ones differ in size from channel to channel. What
was learned from labels with shared weights is unrolled into dense layers, and these are taught by
themselves and a machine. Standardisation and temperature are folded in, so the stored network is
the one of the notes (dense, dense, softmax) on raw embeddings. Nothing here changes a global seed.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np

from pipeline import config
from pipeline.errors import ConfigError, NotEnoughData
from pipeline.model.backend import keras
from pipeline.model.head import layers
from pipeline.model.head.background import NAME, split_background
from pipeline.model.head.calibration import fit_temperature
from pipeline.model.head.layers import Grid, predict
from pipeline.model.head.learner import Learner
from pipeline.model.head.rows import Background, Embeddings
from pipeline.model.head.start import InitialWeights
from pipeline.model.head.teacher import taught, teacher_beside


def silence(_: int) -> AbstractContextManager[Callable[[int], None]]:
    """Nobody is told how far teaching has come."""
    return nullcontext(lambda _: None)


@dataclass(frozen=True)
class TrainedHead:
    """A head and how it was learned."""

    model: keras.Model
    class_names: tuple[str, ...]  # in the order of its probabilities
    epochs: tuple[dict[str, float], ...]  # loss and accuracy of both sides, per epoch
    best_epoch: int  # from 1; the one whose weights were kept; 0 for those it began with
    temperature: float  # that the last layer was divided by
    shared: bool  # whether weights were shared over the map while learning from labels
    taught: int  # steps in which it then learned from itself and a machine, every weight its own
    background: int  # rows it learned from as what is no finding; 0 for a head without that class
    free_parameters: int  # that learning from labels could change


def train(
    source: Embeddings,
    classes: np.ndarray,
    train_mask: np.ndarray,
    validation_mask: np.ndarray,
    class_names: Sequence[str],
    settings: config.Head,
    grid: Grid | None = None,
    on_epoch: Callable[[int, dict[str, float]], None] | None = None,
    start: InitialWeights | None = None,
    background: Background | None = None,
    teaching: Callable[[int], AbstractContextManager] = silence,
) -> TrainedHead:
    """Learn `classes` (N,), numbers into `class_names`, from the N embeddings of `source`.

    Class 0 is the normal one. With a `background` the network has one class more, the last one; it
    is judged and calibrated as if it had not, since validation rows are known to be none.

    `labels_learned` and `teach` say how. `on_epoch(number, losses)` is called after every epoch;
    `teaching(steps)` gives what is called with 1 after every step. The same arguments give the same
    head on the same machine. Raises NotEnoughData when the training rows hold fewer than two
    classes or there are no validation rows, ConfigError when the loss diverges.
    """
    require_enough(classes[train_mask], validation_mask)
    tied = bool(settings.shared and grid and layers.filters_of(grid, settings.units))
    names = tuple(class_names)
    learner = Learner(
        source, classes, train_mask, len(names), settings, grid if tied else None, background
    )
    begun = bool(tied and start and start.fits(learner.model.get_weights()))
    if begun:
        learned_names = (*names, NAME) if background else names
        learner.begin(start.for_classes(learned_names), validation_mask)
    history, best = labels_learned(learner, validation_mask, begun, on_epoch)
    model, temperature, steps = teach(learner, validation_mask, teaching)
    free = layers.free_parameters(learner.model)
    rows = int(background.learn.sum()) if background else 0
    return TrainedHead(model, names, tuple(history), best, temperature, tied, steps, rows, free)


def labels_learned(
    learner: Learner,
    judge: np.ndarray,
    begun: bool,
    on_epoch: Callable[[int, dict[str, float]], None] | None,
) -> tuple[list[dict[str, float]], int]:
    """Losses of every epoch, and the one whose weights the learner has at the end.

    AdamW on class-balanced cross-entropy; stops after `settings.patience` epochs without a lower
    validation loss. A learner that has `begun` with learned weights keeps them unless it falls.
    """
    settings, history, best = learner.settings, [], 0
    kept = learner.model.get_weights()
    least = learner.judged(judge)["validation_loss"] if begun else np.inf
    for number in range(1, settings.epochs + 1):
        losses = {"loss": learner.epoch(), **learner.judged(judge)}
        history.append(losses)
        if on_epoch:
            on_epoch(number, losses)
        require_finite(losses, settings)
        if losses["validation_loss"] < least:
            kept, best, least = learner.model.get_weights(), number, losses["validation_loss"]
        if number - best >= settings.patience:
            break
    learner.model.set_weights(kept)
    return history, best


def teach(
    learner: Learner, judge: np.ndarray, teaching: Callable[[int], AbstractContextManager]
) -> tuple[keras.Model, float, int]:
    """The dense head, calibrated, its temperature, and the steps in which it was taught.

    What was learned from labels is unrolled, then taught as `head_teacher` says; every weight is
    free there. No step is taken when the settings ask for none or there is no teacher.
    """
    temperature = fit_temperature(learner.probabilities(judge), learner.truth_of(judge))
    model, steps = learner.as_dense(temperature), learner.settings.taught
    teacher = teacher_beside(model, learner, judge) if steps else None
    if teacher is None:
        return model, temperature, 0
    with teaching(steps) as on_step:
        model = taught(teacher, learner, steps, on_step)
    said = learner.over(judge, lambda rows: predict(model, rows))
    temperature = fit_temperature(
        split_background(said, learner.class_count)[0], learner.truth_of(judge)
    )
    layers.divide_logits(model, temperature)
    return model, temperature, steps


def require_enough(learned: np.ndarray, judge: np.ndarray) -> None:
    """Raise NotEnoughData when there is nothing to tell apart or nothing to judge by."""
    kinds = len(np.unique(learned))
    if kinds < 2 or not judge.any():
        raise NotEnoughData(
            f"The training side has labels of {kinds} classes and the validation side "
            f"{judge.sum()} labelled crops; at least 2 and 1 are needed. Label more patients."
        )


def require_finite(losses: dict[str, float], settings: config.Head) -> None:
    """Raise ConfigError when learning has left the numbers."""
    if not np.isfinite(list(losses.values())).all():
        raise ConfigError(
            f"The head's loss is no longer a number ({losses}); a finite loss was expected. Lower "
            f"`head.learning_rate`, which is {settings.learning_rate}."
        )
