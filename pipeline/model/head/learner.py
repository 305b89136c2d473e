"""A head on its way: the network in the shape in which it learns, and one epoch after the other."""

from collections.abc import Callable

import numpy as np

from pipeline import config
from pipeline.model.backend import keras
from pipeline.model.head import layers
from pipeline.model.head.augment import augment
from pipeline.model.head.background import split_background
from pipeline.model.head.calibration import fit_temperature
from pipeline.model.head.layers import Grid, predict
from pipeline.model.head.rows import (
    Background,
    ConcatenatedEmbeddings,
    Embeddings,
    Standardisation,
    over_rows,
    shuffled_batches,
)
from pipeline.model.network import compile_for_inference

CAREFUL = 0.03  # of the learning rate, for weights that were learned already
SMALLEST = 1e-7  # probability whose logarithm is taken instead of that of zero


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
            source = ConcatenatedEmbeddings(source, len(classes), background.embeddings)
            classes = np.append(classes, np.full(len(background.learn), class_count))
            learn = np.append(learn, background.learn)
        self.source, self.classes, self.learn = source, classes, learn
        self.measured = Standardisation.of(source, learn, grid[-1] if grid else None)
        self.standardised = self.measured
        self.weights = class_weights(classes[learn], self.outputs)
        self.random = np.random.default_rng(settings.seed)
        if grid:
            self.model = layers.convolutional_network(grid, settings, self.outputs)
        else:
            self.model = layers.dense_network(
                source.width, settings, self.outputs, settings.dropout
            )
        self.steps = settings.epochs * -(-int(learn.sum()) // settings.batch_size)
        compile_for_training(self.model, settings, self.steps)

    def begin(self, weights: list[np.ndarray], judge: np.ndarray) -> None:
        """Begin with weights that were learned on raw embeddings, and go on in small steps."""
        width = self.source.width
        self.standardised = Standardisation(np.zeros(width), np.ones(width))
        self.model.set_weights(weights)
        # Calibrated first: else any step that only makes it surer or less sure lowers the loss.
        temperature = fit_temperature(self.probabilities(judge), self.truth_of(judge))
        layers.divide_logits(self.model, temperature)
        rate = self.settings.learning_rate * CAREFUL
        settings = self.settings.model_copy(update={"learning_rate": rate})
        compile_for_training(self.model, settings, self.steps)

    def epoch(self) -> float:
        """Learn from every training row once; returns the mean loss."""
        size, total, count = self.settings.batch_size, 0.0, 0
        for numbers, rows in shuffled_batches(self.source, self.learn, size, self.random):
            batch = self.standardised(rows)
            if self.grid:
                batch = augment(batch, self.grid, self.settings, self.random)
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
        found = self.over(wanted, lambda rows: predict(self.model, self.standardised(rows)))
        return split_background(found, self.class_count)[0]

    def over(self, wanted: np.ndarray, work: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """What `work` makes of the labelled rows of the mask `wanted` (N,), in their order."""
        every = np.pad(wanted, (0, len(self.classes) - len(wanted)))
        return over_rows(self.source, every, work)

    def truth_of(self, wanted: np.ndarray) -> np.ndarray:
        """Classes of the rows of the mask `wanted` (N,)."""
        return self.classes[: len(wanted)][wanted]

    def as_dense(self, temperature: float) -> keras.Model:
        """The head as it is stored: dense layers on raw embeddings, calibrated."""
        weights = self.model.get_weights()
        if self.grid:
            weights = layers.unroll(weights, self.grid)
        model = layers.dense_network(self.source.width, self.settings, self.outputs)
        model.set_weights(self.standardised.folded_into(weights))
        layers.divide_logits(model, temperature)
        return compile_for_inference(model)


def compile_for_training(
    model: keras.Model, settings: config.Head, steps: int, loss: keras.losses.Loss | None = None
) -> None:
    """Prepare `model` for `train_on_batch` with class numbers, or what `loss` takes.

    XLA as in `network.ready`.
    """
    optimizer = keras.optimizers.AdamW(
        keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps),
        weight_decay=settings.weight_decay,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(
        optimizer=optimizer,
        loss=loss or keras.losses.SparseCategoricalCrossentropy(),
        jit_compile=keras.backend.backend() == "jax",
    )


def class_weights(classes: np.ndarray, class_count: int) -> np.ndarray:
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
