"""The dense network that learns classes from stored embeddings.

Training sees standardised features, because raw ones differ in size from channel to channel.
Afterwards shared weights are unrolled, and standardisation and temperature folded in, so the
stored network is the one of the notes (dense, dense, softmax) on raw embeddings. Nothing here
changes a global seed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline import config
from pipeline.errors import ArtifactError, ConfigError, NotEnoughData
from pipeline.model import head_layers
from pipeline.model.backend import keras
from pipeline.model.background import NAME, apart
from pipeline.model.calibration import temperature_of
from pipeline.model.head_augment import moved
from pipeline.model.head_layers import Grid
from pipeline.model.head_rows import (
    Background,
    Embeddings,
    Joined,
    Standardisation,
    over_rows,
    shuffled,
)
from pipeline.model.head_start import Start
from pipeline.model.network import in_batches, ready

CAREFUL = 0.03  # of the learning rate, for weights that were learned already
SMALLEST = 1e-7  # probability whose logarithm is taken instead of that of zero


@dataclass(frozen=True)
class TrainedHead:
    """A head and how it was learned."""

    model: keras.Model
    class_names: tuple[str, ...]  # in the order of its probabilities
    epochs: tuple[dict[str, float], ...]  # loss and accuracy of both sides, per epoch
    best_epoch: int  # from 1; the one whose weights were kept; 0 for those it began with
    temperature: float  # that the last layer was divided by
    shared: bool  # whether weights were shared over the map while learning
    background: int  # rows it learned from as what is no finding; 0 for a head without that class
    free_parameters: int  # that learning could change


def train(
    source: Embeddings,
    classes: np.ndarray,
    train_mask: np.ndarray,
    validation_mask: np.ndarray,
    class_names: Sequence[str],
    settings: config.Head,
    grid: Grid | None = None,
    on_epoch: Callable[[int, dict[str, float]], None] | None = None,
    start: Start | None = None,
    background: Background | None = None,
) -> TrainedHead:
    """Learn `classes` (N,), numbers into `class_names`, from the N embeddings of `source`.

    With a `background` the network has one class more, the last one; it is judged and calibrated
    as if it had not, since validation rows are known to be none.

    AdamW on class-balanced cross-entropy; stops after `settings.patience` epochs without a lower
    validation loss and keeps the best weights. With the `grid` of an embedding, weights are shared
    over the map when `settings.units` allow it, and begin from `start` when they fit it; they then
    stay as they were unless the validation loss falls. `on_epoch(number, losses)` is called after
    every epoch. The same arguments give the same head on the same machine. Raises NotEnoughData
    when the training rows hold fewer than two classes or there are no validation rows, ConfigError
    when the loss diverges.
    """
    require_enough(classes[train_mask], validation_mask)
    tied = bool(settings.shared and grid and head_layers.filters_of(grid, settings.units))
    names = tuple(class_names)
    learner = Learner(
        source, classes, train_mask, len(names), settings, grid if tied else None, background
    )
    begun = bool(tied and start and start.fits(learner.model.get_weights()))
    if begun:
        learned_names = (*names, NAME) if background else names
        learner.begin(start.for_classes(learned_names), validation_mask)
    history, best = learned(learner, validation_mask, begun, on_epoch)
    temperature = temperature_of(learner.probabilities(validation_mask), classes[validation_mask])
    model = learner.as_dense(temperature)
    free = head_layers.free_parameters(learner.model)
    rows = int(background.learn.sum()) if background else 0
    return TrainedHead(model, names, tuple(history), best, temperature, tied, rows, free)


def learned(
    learner: "Learner",
    judge: np.ndarray,
    begun: bool,
    on_epoch: Callable[[int, dict[str, float]], None] | None,
) -> tuple[list[dict[str, float]], int]:
    """Losses of every epoch, and the one whose weights the learner has at the end."""
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


class Learner:
    """A network on its way: in the shape in which it learns, on standardised features."""

    def __init__(
        self,
        source: Embeddings,
        classes: np.ndarray,
        learn: np.ndarray,
        class_count: int,
        settings: config.Head,
        grid: Grid | None,
        background: Background | None = None,
    ):
        """Measure the training rows and build the network; `grid` asks for shared weights."""
        self.settings, self.grid, self.class_count = settings, grid, class_count
        self.outputs = class_count + bool(background)
        if background:
            source = Joined(source, len(classes), background.embeddings)
            classes = np.append(classes, np.full(len(background.learn), class_count))
            learn = np.append(learn, background.learn)
        self.source, self.classes, self.learn = source, classes, learn
        self.standardised = Standardisation.of(source, learn, grid[-1] if grid else None)
        self.weights = balanced(classes[learn], self.outputs)
        self.random = np.random.default_rng(settings.seed)
        if grid:
            self.model = head_layers.shared(grid, settings, self.outputs)
        else:
            self.model = head_layers.dense(source.width, settings, self.outputs, settings.dropout)
        self.steps = settings.epochs * -(-int(learn.sum()) // settings.batch_size)
        compiled_to_learn(self.model, settings, self.steps)

    def begin(self, weights: list[np.ndarray], judge: np.ndarray) -> None:
        """Begin with weights that were learned on raw embeddings, and go on in small steps."""
        width = self.source.width
        self.standardised = Standardisation(np.zeros(width), np.ones(width))
        self.model.set_weights(weights)
        # Calibrated first: else any step that only makes it surer or less sure lowers the loss.
        temperature = temperature_of(self.probabilities(judge), self.truth_of(judge))
        *before, kernel, bias = weights
        self.model.set_weights([*before, kernel / temperature, bias / temperature])
        rate = self.settings.learning_rate * CAREFUL
        settings = self.settings.model_copy(update={"learning_rate": rate})
        compiled_to_learn(self.model, settings, self.steps)

    def epoch(self) -> float:
        """Learn from every training row once; returns the mean loss."""
        size, total, count = self.settings.batch_size, 0.0, 0
        for numbers, rows in shuffled(self.source, self.learn, size, self.random):
            batch = self.standardised(rows)
            if self.grid:
                batch = moved(batch, self.grid, self.settings, self.random)
            truth = self.classes[numbers]
            # A short batch would be a second trace: rows that count nothing fill it up.
            counts = np.pad(self.weights[truth], (0, size - len(truth)))
            batch, truth = np.resize(batch, (size, batch.shape[1])), np.resize(truth, size)
            # Keras 3.15 forgets the batches before in `train_on_batch`, so the mean is taken here.
            total += float(self.model.train_on_batch(batch, truth, sample_weight=counts)) * size
            count += len(numbers)
        return total / count

    def judged(self, judge: np.ndarray) -> dict[str, float]:
        """Class-balanced loss and plain accuracy on the validation rows."""
        found, truth = self.probabilities(judge), self.truth_of(judge)
        loss = -np.log(np.maximum(found[np.arange(len(truth)), truth], SMALLEST))
        return {
            "validation_loss": float(np.average(loss, weights=self.weights[truth])),
            "validation_accuracy": float(np.mean(found.argmax(axis=1) == truth)),
        }

    def probabilities(self, wanted: np.ndarray) -> np.ndarray:
        """Of the rows of the mask `wanted` (N,), in their order, before any temperature."""
        every = np.pad(wanted, (0, len(self.classes) - len(wanted)))
        found = over_rows(
            self.source, every, lambda rows: predict(self.model, self.standardised(rows))
        )
        return apart(found, self.class_count)[0]

    def truth_of(self, wanted: np.ndarray) -> np.ndarray:
        """Classes of the rows of the mask `wanted` (N,)."""
        return self.classes[: len(wanted)][wanted]

    def as_dense(self, temperature: float) -> keras.Model:
        """The head as it is stored: dense layers on raw embeddings, calibrated."""
        weights = self.model.get_weights()
        if self.grid:
            weights = head_layers.unrolled(weights, self.grid)
        *before, kernel, bias = self.standardised.folded_into(weights)
        model = head_layers.dense(self.source.width, self.settings, self.outputs)
        model.set_weights([*before, kernel / temperature, bias / temperature])
        return ready(model)


def predict(model: keras.Model, embeddings: np.ndarray) -> np.ndarray:
    """What a network says, float32 (N, outputs), of embeddings (N, width), row for row.

    A background, where it was learned, is the last column. Raises ArtifactError when the
    embeddings are not as wide as the head expects.
    """
    if embeddings.shape[1:] != model.input_shape[1:]:
        raise ArtifactError(
            f"The head takes embeddings of {model.input_shape[1]} values, these have the shape "
            f"{embeddings.shape}. Use the trunk that the head's card names, or train a head on "
            "these embeddings."
        )
    found = np.empty((len(embeddings), model.output_shape[-1]), np.float32)
    start = 0
    for batch in in_batches(model, embeddings):
        found[start : start + len(batch)] = batch
        start += len(batch)
    return found


def compiled_to_learn(model: keras.Model, settings: config.Head, steps: int) -> None:
    """Prepare `model` for `train_on_batch`; XLA as in `network.ready`."""
    optimizer = keras.optimizers.AdamW(
        keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps),
        weight_decay=settings.weight_decay,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(),
        jit_compile=keras.backend.backend() == "jax",
    )


def balanced(classes: np.ndarray, class_count: int) -> np.ndarray:
    """A weight per class, larger for rarer ones; their mean row has 1.

    The square root of full balancing: with classes of a handful of rows among 444, full balancing
    lets them rule the loss. Over four grouped splits of 601 real crops the root gave a higher test
    AUROC in all (mean at the best epoch by validation AUROC 0.79 against 0.76).
    """
    counts = np.bincount(classes, minlength=class_count)
    present = counts > 0
    # A class without a training row keeps the mean weight: it may still stand in validation.
    weights = np.ones(class_count, np.float32)
    weights[present] = np.sqrt(len(classes) / counts[present])
    weights[present] *= len(classes) / (weights * counts)[present].sum()
    return weights


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
