"""The dense network that learns classes from stored embeddings.

Embeddings are float16 (N, width) and stay so; one batch at a time becomes float32. Training sees
standardised features, because raw ones differ in size from channel to channel. Afterwards the
standardisation is folded into the first layer, so the stored network is the one of the notes
(dense, dense, softmax) on raw embeddings. Nothing here changes a global seed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline import config
from pipeline.errors import ArtifactError, ConfigError, NotEnoughData
from pipeline.model.backend import keras
from pipeline.model.network import BATCH, in_batches, ready

# A feature that hardly varied in training must not shout when it does later: deviations below
# this share of the mean deviation count as that share.
LEAST_DEVIATION = 0.1


@dataclass(frozen=True)
class TrainedHead:
    """A head and how it was learned."""

    model: keras.Model
    class_names: tuple[str, ...]  # in the order of its probabilities
    epochs: tuple[dict[str, float], ...]  # loss and accuracy of both sides, per epoch
    best_epoch: int  # from 1; the one whose weights were kept


def build(width: int, units: Sequence[int], class_count: int, seed: int) -> keras.Model:
    """A head for embeddings of `width` values: dense layers with ReLU, then softmax."""
    inputs = keras.Input((width,), name="embedding")
    x = inputs
    for number, size in enumerate(units, start=1):
        start = keras.initializers.HeNormal(seed=seed + number)
        layer = keras.layers.Dense(
            size, activation="relu", kernel_initializer=start, name=f"dense{number}"
        )
        x = layer(x)
    # Zeros: every class starts out equally likely. With random numbers here, 400 crops of real
    # panoramics were overfitted within two epochs, and the best class-balanced validation loss of
    # two splits was 2.1 and 2.4 instead of 1.5 and 1.6; ln 6 = 1.8 is that of a guess.
    last = keras.layers.Dense(
        class_count, activation="softmax", kernel_initializer="zeros", name="classes"
    )
    return keras.Model(inputs, last(x), name="head")


def train(
    embeddings: np.ndarray,
    classes: np.ndarray,
    train_mask: np.ndarray,
    validation_mask: np.ndarray,
    class_names: Sequence[str],
    settings: config.Head,
    on_epoch: Callable[[int, dict[str, float]], None] | None = None,
) -> TrainedHead:
    """Learn `classes` (N,), numbers into `class_names`, from embeddings (N, width).

    Adam on class-balanced cross-entropy; stops after `settings.patience` epochs without a lower
    validation loss and keeps the best weights. `on_epoch(number, losses)` is called after every
    epoch. The same arguments give the same head on the same machine. Raises NotEnoughData when the
    training rows hold fewer than two classes or there are no validation rows, ConfigError when the
    loss diverges.
    """
    learn, judge = np.flatnonzero(train_mask), np.flatnonzero(validation_mask)
    require_enough(classes[learn], judge)
    features = Standardised.of(embeddings, learn)
    model = build(embeddings.shape[1], settings.units, len(class_names), settings.seed)
    compiled_to_learn(model, settings.learning_rate)
    weights = balanced(classes[learn], len(class_names))
    shuffle = np.random.default_rng(settings.seed)
    kept, history, best, least = model.get_weights(), [], 0, np.inf
    for number in range(1, settings.epochs + 1):
        order = filled(shuffle.permutation(learn), settings.batch_size)
        loss = learn_once(model, features, classes, weights, order)
        losses = {"loss": loss, **judged(model, features, classes, weights, judge)}
        history.append(losses)
        if on_epoch:
            on_epoch(number, losses)
        require_finite(losses, settings)
        if losses["validation_loss"] < least:
            kept, best, least = model.get_weights(), number, losses["validation_loss"]
        if number - best >= settings.patience:
            break
    model.set_weights(features.folded_into(kept))
    return TrainedHead(ready(model), tuple(class_names), tuple(history), best)


def predict(model: keras.Model, embeddings: np.ndarray) -> np.ndarray:
    """Class probabilities, float32 (N, classes), of embeddings (N, width), row for row.

    Raises ArtifactError when the embeddings are not as wide as the head expects.
    """
    if embeddings.shape[1:] != model.input_shape[1:]:
        raise ArtifactError(
            f"The head takes embeddings of {model.input_shape[1]} values, these have the shape "
            f"{embeddings.shape}. Use the trunk that the head's card names, or train a head on "
            "these embeddings."
        )
    probabilities = np.empty((len(embeddings), model.output_shape[-1]), np.float32)
    start = 0
    for batch in in_batches(model, embeddings):
        probabilities[start : start + len(batch)] = batch
        start += len(batch)
    return probabilities


@dataclass(frozen=True)
class Standardised:
    """Embeddings seen with mean 0 and deviation 1 over the training rows, batch by batch."""

    embeddings: np.ndarray  # (N, width) float16
    mean: np.ndarray  # (width,) float64
    scale: np.ndarray  # (width,) float64, one over the deviation

    @classmethod
    def of(cls, embeddings: np.ndarray, learn: np.ndarray) -> "Standardised":
        """Measure the mean and deviation of the rows numbered `learn`."""
        total, squares = np.zeros((2, embeddings.shape[1]))
        for start in range(0, len(learn), BATCH):
            batch = embeddings[learn[start : start + BATCH]].astype(np.float64)
            total += batch.sum(axis=0)
            squares += (batch**2).sum(axis=0)
        mean = total / len(learn)
        deviation = np.sqrt(np.maximum(squares / len(learn) - mean**2, 0))
        least = LEAST_DEVIATION * deviation.mean()
        return cls(embeddings, mean, 1 / np.maximum(deviation, least or 1))

    def batch(self, rows: np.ndarray) -> np.ndarray:
        """The rows with these numbers, float32."""
        return ((self.embeddings[rows] - self.mean) * self.scale).astype(np.float32)

    def folded_into(self, weights: list[np.ndarray]) -> list[np.ndarray]:
        """Weights that do to raw embeddings what `weights` did to standardised ones.

        ((x - m)·s)·W + b = x·(s·W) + (b - (m·s)·W), with s along the rows of W.
        """
        kernel, bias, *others = weights
        kernel = kernel * self.scale[:, np.newaxis]
        return [kernel.astype(np.float32), (bias - self.mean @ kernel).astype(np.float32), *others]


def compiled_to_learn(model: keras.Model, learning_rate: float) -> None:
    """Prepare `model` for `learn_once`; XLA as in `network.ready`."""
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        jit_compile=keras.backend.backend() == "jax",
    )


def learn_once(model, features: Standardised, classes, weights, order: np.ndarray) -> float:
    """One epoch over `order`, row numbers (batches, batch size); returns its mean loss."""
    losses = []
    for rows in order:
        truth = classes[rows]
        batch, counts = features.batch(rows), weights[truth]
        # Keras 3.15 forgets the batches before in `train_on_batch`, so the mean is taken here.
        losses.append(model.train_on_batch(batch, truth, sample_weight=counts))
    return float(np.mean(losses))


def judged(model, features: Standardised, classes, weights, judge: np.ndarray) -> dict[str, float]:
    """Class-balanced loss and plain accuracy on the validation rows."""
    parts = (judge[start : start + BATCH] for start in range(0, len(judge), BATCH))
    found = np.concatenate([next(in_batches(model, features.batch(rows))) for rows in parts])
    truth = classes[judge]
    loss = -np.log(np.maximum(found[np.arange(len(judge)), truth], 1e-7))
    return {
        "validation_loss": float(np.average(loss, weights=weights[truth])),
        "validation_accuracy": float(np.mean(found.argmax(axis=1) == truth)),
    }


def filled(order: np.ndarray, batch_size: int) -> np.ndarray:
    """`order` as (batches, batch size); the last batch is filled up from the start of `order`.

    A short batch would be a second trace, and its rows would count for more than the others.
    """
    batches = -(-len(order) // batch_size)
    return np.resize(order, (batches, batch_size))


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
    if kinds < 2 or not len(judge):
        raise NotEnoughData(
            f"The training side has labels of {kinds} classes and the validation side {len(judge)} "
            "labelled crops; at least 2 and 1 are needed. Label more patients."
        )


def require_finite(losses: dict[str, float], settings: config.Head) -> None:
    """Raise ConfigError when learning has left the numbers."""
    if not np.isfinite(list(losses.values())).all():
        raise ConfigError(
            f"The head's loss is no longer a number ({losses}); a finite loss was expected. Lower "
            f"`head.learning_rate`, which is {settings.learning_rate}."
        )
