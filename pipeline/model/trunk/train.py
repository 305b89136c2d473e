"""Learn a trunk from crops, end to end under a disposable network, and cut it at the flatten layer.

Crops stream by: at most HELD of them are in memory, from which batches are drawn at random. What
an epoch does depends on the seed and on its number alone, so a run that was killed goes on from
its last epoch and ends with the same trunk. Keras 3 calls only.
"""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pipeline import config
from pipeline.errors import ConfigError
from pipeline.model.backend import keras
from pipeline.model.network import in_batches
from pipeline.model.scores.resampling import ranking
from pipeline.model.trunk.augment import plain
from pipeline.model.trunk.objectives import Labelled, Unlabelled
from pipeline.model.trunk.trainable import fold_batch_normalisation, trainable_network

HELD = 2048  # crops: 134 MB at 256 × 256
WARM_UP = 0.1  # of the steps
SMOOTHED = 5  # epochs over which the validation AUROC is averaged

Pieces = Iterator[tuple[np.ndarray, np.ndarray]]


class Source(Protocol):
    """Crops to learn from, some at a time: uint8 (n, side, side) and class numbers (n,).

    Class 0 is normal. With `background` the last class is what is no finding; validation has none
    of it. Without labels every class is 0, and there need be no validation.
    """

    classes: np.ndarray  # of an epoch's training rows, in any order
    class_count: int
    background: bool

    def training(self, random: np.random.Generator) -> Pieces: ...

    def validation(self) -> Pieces: ...


class Checkpoint(Protocol):
    """Where a run remembers its last epoch; bytes appear whole or not at all."""

    def load(self) -> bytes | None: ...

    def save(self, state: bytes) -> None: ...


class NoCheckpoint:
    """A run that starts from the beginning."""

    def load(self) -> bytes | None:
        return None

    def save(self, state: bytes) -> None:
        """Remember nothing."""


@dataclass(frozen=True)
class LearnedTrunk:
    """A trunk's weights and how they were learned."""

    weights: list[np.ndarray]  # of the plain network, kernel and bias per convolution
    above: list[np.ndarray]  # of the network above it that told classes apart; empty without labels
    epochs: tuple[dict[str, float], ...]  # loss, and AUROC of the validation side with labels
    best_epoch: int  # from 1; the one whose weights were kept

    def to_bytes(self) -> bytes:
        """As an .npz file."""
        data, said = io.BytesIO(), {"epochs": self.epochs, "best_epoch": self.best_epoch}
        named = {f"weight{n:02d}": array for n, array in enumerate(self.weights)}
        named |= {f"above{n:02d}": array for n, array in enumerate(self.above)}
        np.savez(data, said=json.dumps(said), **named)
        return data.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "LearnedTrunk":
        """What `to_bytes` made."""
        with np.load(io.BytesIO(data)) as found:
            said = json.loads(str(found["said"]))
            weights, above = (
                [found[name] for name in sorted(found.files) if name.startswith(kind)]
                for kind in ("weight", "above")
            )
        return cls(weights, above, tuple(said["epochs"]), said["best_epoch"])


def train_trunk(
    source: Source,
    trunk: config.Trunk,
    side: int,
    settings: config.Learn,
    on_epoch: Callable[[int, dict[str, float]], None] | None = None,
    memory: Checkpoint | None = None,
) -> LearnedTrunk:
    """Learn the trunk; with labels, keep the epoch where the validation AUROC was highest.

    Raises ConfigError when the loss diverges.
    """
    memory = memory or NoCheckpoint()
    run = TrunkTraining(source, trunk, side, settings)
    run.restore(memory.load())
    while not run.over:
        measured = run.epoch()
        if on_epoch:
            on_epoch(len(run.history), measured)
        memory.save(run.state())
    return LearnedTrunk(run.kept, run.above, tuple(run.history), run.best_epoch)


class TrunkTraining:
    """A trunk that learns, epoch by epoch."""

    def __init__(self, source: Source, trunk: config.Trunk, side: int, settings: config.Learn):
        self.source, self.shape, self.settings = source, trunk, settings
        self.trunk = trainable_network(trunk, side, settings.seed)
        self.objective = (
            Labelled(
                balanced_sample(source.classes, source.class_count), settings, source.background
            )
            if settings.labels
            else Unlabelled(settings)
        )
        self.model = self.objective.network(self.trunk)
        steps = settings.epochs * -(-len(source.classes) // settings.batch_size)
        self.model.compile(
            optimizer=optimizer(settings, steps, self.model),
            loss=self.objective.loss,
            jit_compile=keras.backend.backend() == "jax",
        )
        self.history: list[dict[str, float]] = []
        self._keep()

    def _keep(self) -> None:
        self.kept = fold_batch_normalisation(self.trunk, self.shape)
        count = len(self.trunk.weights)
        self.above = self.model.get_weights()[count:] if self.settings.labels else []

    @property
    def best_epoch(self) -> int:
        """From 1, 0 before the first; without labels the last one.

        By the mean AUROC of the last SMOOTHED epochs. With a hundred crops to judge by, the
        highest of all epochs is mostly luck: in one fold of 601 crops it came early, with a test
        AUROC of 0.86 where later epochs have 0.92.
        """
        if not self.settings.labels:
            return len(self.history)
        scores = np.array([epoch["validation_auroc"] for epoch in self.history])
        if len(scores) < SMOOTHED:
            return len(scores)
        means = np.convolve(scores, np.full(SMOOTHED, 1 / SMOOTHED), "valid")
        return SMOOTHED + int(np.argmax(means))

    @property
    def over(self) -> bool:
        """Whether all epochs are done, or none was better for long enough."""
        done = len(self.history)
        return done >= self.settings.epochs or done - self.best_epoch >= self.settings.patience

    def epoch(self) -> dict[str, float]:
        """Learn from every training crop once, and judge."""
        random = np.random.default_rng([self.settings.seed, len(self.history)])
        losses = []
        pieces = self.source.training(random)
        for crops, classes in shuffled(pieces, self.settings.batch_size, random):
            views, truth = self.objective.batch(crops, classes, random)
            losses.append(self.model.train_on_batch(views, truth))
        measured = {"loss": float(np.mean(losses))}
        if not np.isfinite(measured["loss"]):
            raise ConfigError(
                f"The trunk's loss is no longer a number ({measured['loss']}); a finite loss was "
                f"expected. Lower `learn.learning_rate`, which is {self.settings.learning_rate}."
            )
        if self.settings.labels:
            measured |= self.judged()
        self.history.append(measured)
        if self.best_epoch == len(self.history):
            self._keep()
        return measured

    def judged(self) -> dict[str, float]:
        """AUROC of normal against abnormal on the validation side."""
        scores, abnormal = [], []
        for crops, classes in self.source.validation():
            for logits in in_batches(self.model, plain(crops)):
                known = logits[:, : self.source.class_count - self.source.background]
                scores.append(np.logaddexp.reduce(known[:, 1:], axis=1) - known[:, 0])
            abnormal.append(classes > 0)
        abnormal, scores = np.concatenate(abnormal), np.concatenate(scores)
        return {
            "validation_auroc": float(
                ranking(abnormal, scores, np.ones((1, len(scores))))["auroc"][0]
            )
        }

    def variables(self) -> list:
        """Everything that learning changes."""
        return [*self.model.variables, *self.model.optimizer.variables]

    def state(self) -> bytes:
        """All that is needed to go on from here."""
        data = io.BytesIO()
        np.savez(
            data,
            history=json.dumps(self.history),
            **{f"kept{number}": array for number, array in enumerate([*self.kept, *self.above])},
            **{f"now{number}": np.asarray(v) for number, v in enumerate(self.variables())},
        )
        return data.getvalue()

    def restore(self, state: bytes | None) -> None:
        """Go on from where `state` was taken."""
        if state is None:
            return
        with np.load(io.BytesIO(state)) as found:
            self.history = json.loads(str(found["history"]))
            count = len(self.kept)
            kept = [found[f"kept{number}"] for number in range(count + len(self.above))]
            self.kept, self.above = kept[:count], kept[count:]
            for number, variable in enumerate(self.variables()):
                variable.assign(found[f"now{number}"])


def optimizer(settings: config.Learn, steps: int, model: keras.Model):
    """AdamW whose rate rises, then falls to nothing along a cosine."""
    rate = keras.optimizers.schedules.CosineDecay(
        0.0,
        steps - int(WARM_UP * steps),
        warmup_target=settings.learning_rate,
        warmup_steps=int(WARM_UP * steps),
    )
    chosen = keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay, clipnorm=1.0)
    chosen.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    chosen.build(model.trainable_variables)
    return chosen


def shuffled(pieces: Pieces, batch_size: int, random: np.random.Generator) -> Pieces:
    """Batches drawn at random from the HELD rows that came last.

    All batches have the same size, or the network would be traced twice: the last one is filled
    up from its own rows.
    """
    held: list[tuple[np.ndarray, int]] = []

    def drawn() -> tuple[np.ndarray, np.ndarray]:
        # The drawn rows change places with the last ones: no row moves twice.
        chosen = []
        for _ in range(min(batch_size, len(held))):
            place = random.integers(len(held))
            held[place], held[-1] = held[-1], held[place]
            chosen.append(held.pop())
        rows = np.resize(np.arange(len(chosen)), batch_size)
        crops, classes = zip(*chosen, strict=True)
        return np.stack(crops)[rows], np.array(classes)[rows]

    for crops, classes in pieces:
        # Copies, because a view would keep its whole piece in memory.
        held += [(crop.copy(), int(number)) for crop, number in zip(crops, classes, strict=True)]
        while len(held) >= HELD + batch_size:
            yield drawn()
    while held:
        yield drawn()


def balanced_sample(classes: np.ndarray, class_count: int) -> np.ndarray:
    """A weight per class, the square root of full balancing; their mean row has 1."""
    counts = np.bincount(classes, minlength=class_count)
    weights = 1 / np.sqrt(np.maximum(counts, 1))
    return weights * len(classes) / (weights * counts).sum()
