"""Training of a head: a dense network that learns classes from stored embeddings.

Training sees standardised embeddings, because raw ones differ in size from channel to channel. A
network with shared weights is unrolled into dense layers. Standardisation and temperature are
folded in, so the stored network is the one of the notes (dense, dense, softmax) on raw embeddings.
Nothing here changes a global seed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline import config
from pipeline.errors import ConfigError, NotEnoughData
from pipeline.model.head import networks
from pipeline.model.head.abnormal_probability import NAME
from pipeline.model.head.calibration import fit_temperature
from pipeline.model.head.dense import DenseNetwork
from pipeline.model.head.initial_weights import InitialWeights
from pipeline.model.head.learner import Learner
from pipeline.model.head.rows import HeadData
from pipeline.model.keras_backend import keras

OnEpoch = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class TrainedHead:
    """A head and how it was trained."""

    model: keras.Model
    class_names: tuple[str, ...]  # in the order of its probabilities
    epochs: tuple[dict[str, float], ...]  # loss and accuracy of both sides, per epoch
    best_epoch: int  # from 1; the one whose weights were kept; 0 for the initial weights
    temperature: float  # that the last layer was divided by
    shared: bool  # whether weights were shared over the map in training
    background: int  # background rows it learned from; 0 for a head without that class
    free_parameters: int  # that training could change

    @property
    def layers(self) -> DenseNetwork:
        """The layers of the head, as they are stored."""
        return DenseNetwork.of(self.model.get_weights())


def train(
    data: HeadData,
    settings: config.Head,
    start: InitialWeights | None = None,
    on_epoch: OnEpoch | None = None,
) -> TrainedHead:
    """Train a head on labelled embeddings, and on background where there is any.

    With background the network has one class more, the last one; it is validated and calibrated
    without it, since labelled rows are never background. It starts from `start` where that fits.
    `on_epoch(number, losses)` is called after every epoch. The same arguments give the same head on
    the same machine.

    Raises NotEnoughData when the training rows hold fewer than two classes or there are no
    validation rows, ConfigError when the loss diverges.
    """
    require_enough(data)
    learner = Learner(data, settings)
    warm = bool(learner.grid and start and start.fits(learner.model.get_weights()))
    if warm:
        names = (*data.class_names, NAME) if data.background else data.class_names
        learner.warm_start(start.for_classes(names))
    history, best = fit(learner, warm, on_epoch)
    temperature = fit_temperature(*learner.validation_predictions())
    return TrainedHead(
        learner.to_dense(temperature),
        data.class_names,
        tuple(history),
        best,
        temperature,
        shared=learner.grid is not None,
        background=int(data.background.learn.sum()) if data.background else 0,
        free_parameters=networks.free_parameters(learner.model),
    )


def fit(
    learner: Learner, warm: bool, on_epoch: OnEpoch | None
) -> tuple[list[dict[str, float]], int]:
    """Train; return the losses of every epoch, and the epoch whose weights are kept.

    AdamW on class-balanced cross-entropy; stops after `settings.patience` epochs without a lower
    validation loss. After a `warm` start the initial weights are kept unless the loss falls.
    """
    settings, history, best = learner.settings, [], 0
    best_weights = learner.model.get_weights()
    lowest = learner.validate()["validation_loss"] if warm else np.inf
    for number in range(1, settings.epochs + 1):
        losses = {"loss": learner.train_epoch(), **learner.validate()}
        history.append(losses)
        if on_epoch:
            on_epoch(number, losses)
        require_finite(losses, settings)
        if losses["validation_loss"] < lowest:
            best_weights, best = learner.model.get_weights(), number
            lowest = losses["validation_loss"]
        if number - best >= settings.patience:
            break
    learner.model.set_weights(best_weights)
    return history, best


def require_enough(data: HeadData) -> None:
    """Raise NotEnoughData without two classes to learn or without validation rows."""
    kinds = len(np.unique(data.classes[data.train]))
    if kinds < 2 or not data.validation.any():
        raise NotEnoughData(
            f"The training side has labels of {kinds} classes and the validation side "
            f"{data.validation.sum()} labelled crops; at least 2 and 1 are needed. Label more "
            "patients."
        )


def require_finite(losses: dict[str, float], settings: config.Head) -> None:
    """Raise ConfigError when a loss is no finite number."""
    if not np.isfinite(list(losses.values())).all():
        raise ConfigError(
            f"The head's loss is no longer a number ({losses}); a finite loss was expected. Lower "
            f"`head.learning_rate`, which is {settings.learning_rate}."
        )
