"""Training of a trunk on crops, end to end under a disposable network, cut at the flatten layer.

Crops are streamed: at most POOL of them are in memory, from which batches are drawn at random. An
epoch depends on the seed and on its number alone, so a run that was killed resumes after its last
epoch and ends with the same trunk. Keras 3 calls only.
"""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pipeline import config
from pipeline.errors import ConfigError
from pipeline.model.keras_backend import keras
from pipeline.model.network import in_batches
from pipeline.model.scores.resampling import ranking
from pipeline.model.trunk.augment import plain
from pipeline.model.trunk.objectives import Labelled, Unlabelled

POOL = 2048  # crops: 134 MB at 256 × 256
WARM_UP = 0.1  # of the steps
AVERAGED = 5  # epochs over which the validation AUROC is averaged


class Trainable(Protocol):
    """A trunk in its training form, from grey crops 0..1 to a map or a vector."""

    model: keras.Model
    rate: float  # share of the setting's learning rate

    def plain_weights(self) -> list[np.ndarray]:
        """The weights of the trunk as it is stored."""


Pieces = Iterator[tuple[np.ndarray, np.ndarray]]


class Source(Protocol):
    """Crops to train on, in portions: uint8 (n, side, side) and class numbers (n,).

    Class 0 is normal. With `background` the last class is background, which validation has none
    of. Without labels every class is 0, and validation may be empty.
    """

    classes: np.ndarray  # of an epoch's training rows, in any order
    class_count: int
    background: bool

    def training(self, random: np.random.Generator) -> Pieces: ...

    def validation(self) -> Pieces: ...


class Checkpoint(Protocol):
    """Storage of the state after the last epoch; bytes appear whole or not at all."""

    def load(self) -> bytes | None: ...

    def save(self, state: bytes) -> None: ...


class NoCheckpoint:
    """No storage: a run starts from the beginning."""

    def load(self) -> bytes | None:
        return None

    def save(self, state: bytes) -> None:
        """Store nothing."""


@dataclass(frozen=True)
class LearnedTrunk:
    """The weights of a trunk and how they were learned."""

    weights: list[np.ndarray]  # of the network as it is stored
    above: list[np.ndarray]  # of the classifying network above it; empty without labels
    epochs: tuple[dict[str, float], ...]  # loss, and AUROC of the validation side with labels
    best_epoch: int  # from 1; the one whose weights were kept

    def to_bytes(self) -> bytes:
        """Serialise as an .npz file."""
        data, facts = io.BytesIO(), {"epochs": self.epochs, "best_epoch": self.best_epoch}
        named = {f"weight{n:02d}": array for n, array in enumerate(self.weights)}
        named |= {f"above{n:02d}": array for n, array in enumerate(self.above)}
        # Stored as `said` in every version.
        np.savez(data, said=json.dumps(facts), **named)
        return data.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "LearnedTrunk":
        """Read what `to_bytes` made."""
        with np.load(io.BytesIO(data)) as file:
            facts = json.loads(str(file["said"]))
            weights, above = (_numbered(file, kind) for kind in ("weight", "above"))
        return cls(weights, above, tuple(facts["epochs"]), facts["best_epoch"])


def _numbered(file: np.lib.npyio.NpzFile, kind: str) -> list[np.ndarray]:
    """The arrays of an archive whose names are `kind` and a number, by their numbers."""
    names = [name for name in file.files if name.startswith(kind)]
    return [file[name] for name in sorted(names, key=lambda name: int(name.removeprefix(kind)))]


def train_trunk(
    source: Source,
    trunk: Trainable,
    settings: config.Learn,
    on_epoch: Callable[[int, dict[str, float]], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> LearnedTrunk:
    """Train the trunk; with labels, keep the epoch with the highest validation AUROC.

    Raises ConfigError when the loss diverges.
    """
    checkpoint = checkpoint or NoCheckpoint()
    run = TrunkTraining(source, trunk, settings)
    run.restore(checkpoint.load())
    while not run.finished:
        scores = run.train_epoch()
        if on_epoch:
            on_epoch(len(run.history), scores)
        checkpoint.save(run.state())
    return LearnedTrunk(run.best_weights, run.above, tuple(run.history), run.best_epoch)


class TrunkTraining:
    """A trunk in training, epoch by epoch."""

    def __init__(self, source: Source, trunk: Trainable, settings: config.Learn):
        self.source, self.trunk, self.settings = source, trunk, settings
        self.objective = (
            Labelled(
                balanced_sample(source.classes, source.class_count), settings, source.background
            )
            if settings.labels
            else Unlabelled(settings)
        )
        self.model = self.objective.network(self.trunk.model)
        steps = settings.epochs * -(-len(source.classes) // settings.batch_size)
        self.model.compile(
            optimizer=optimizer(settings, trunk.rate, steps, self.model),
            loss=self.objective.loss,
            jit_compile=keras.backend.backend() == "jax",
        )
        self.history: list[dict[str, float]] = []
        self._keep_weights()

    def _keep_weights(self) -> None:
        self.best_weights = self.trunk.plain_weights()
        count = len(self.trunk.model.weights)
        self.above = self.model.get_weights()[count:] if self.settings.labels else []

    @property
    def best_epoch(self) -> int:
        """From 1, 0 before the first; without labels the last one.

        By the mean AUROC of the last AVERAGED epochs. With a hundred validation crops, the highest
        of all epochs is mostly chance: in one fold of 601 crops it came early, with a test AUROC of
        0.86 where later epochs have 0.92.
        """
        if not self.settings.labels:
            return len(self.history)
        scores = np.array([epoch["validation_auroc"] for epoch in self.history])
        if len(scores) < AVERAGED:
            return len(scores)
        means = np.convolve(scores, np.full(AVERAGED, 1 / AVERAGED), "valid")
        return AVERAGED + int(np.argmax(means))

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or `patience` epochs brought nothing better."""
        done = len(self.history)
        return done >= self.settings.epochs or done - self.best_epoch >= self.settings.patience

    def train_epoch(self) -> dict[str, float]:
        """Learn from every training crop once, and validate."""
        random = np.random.default_rng([self.settings.seed, len(self.history)])
        losses = []
        pieces = self.source.training(random)
        for crops, classes in shuffled(pieces, self.settings.batch_size, random):
            views, targets = self.objective.batch(crops, classes, random)
            losses.append(self.model.train_on_batch(views, targets))
        scores = {"loss": float(np.mean(losses))}
        if not np.isfinite(scores["loss"]):
            raise ConfigError(
                f"The trunk's loss is no longer a number ({scores['loss']}); a finite loss was "
                f"expected. Lower `learn.learning_rate`, which is {self.settings.learning_rate}."
            )
        if self.settings.labels:
            scores |= self.validate()
        self.history.append(scores)
        if self.best_epoch == len(self.history):
            self._keep_weights()
        return scores

    def validate(self) -> dict[str, float]:
        """AUROC of abnormal against normal on the validation side."""
        scores, abnormal = [], []
        for crops, classes in self.source.validation():
            for logits in in_batches(self.model, plain(crops)):
                known = logits[:, : self.source.class_count - self.source.background]
                scores.append(np.logaddexp.reduce(known[:, 1:], axis=1) - known[:, 0])
            abnormal.append(classes > 0)
        abnormal, scores = np.concatenate(abnormal), np.concatenate(scores)
        once = np.ones((1, len(scores)))
        return {"validation_auroc": float(ranking(abnormal, scores, once)["auroc"][0])}

    def variables(self) -> list:
        """Everything that training changes."""
        return [*self.model.variables, *self.model.optimizer.variables]

    def state(self) -> bytes:
        """Serialise all that is needed to resume."""
        data = io.BytesIO()
        np.savez(
            data,
            history=json.dumps(self.history),
            **{
                f"kept{number}": array
                for number, array in enumerate([*self.best_weights, *self.above])
            },
            **{f"now{number}": np.asarray(v) for number, v in enumerate(self.variables())},
        )
        return data.getvalue()

    def restore(self, state: bytes | None) -> None:
        """Resume from what `state` returned."""
        if state is None:
            return
        with np.load(io.BytesIO(state)) as file:
            self.history = json.loads(str(file["history"]))
            count = len(self.best_weights)
            kept = [file[f"kept{number}"] for number in range(count + len(self.above))]
            self.best_weights, self.above = kept[:count], kept[count:]
            for number, variable in enumerate(self.variables()):
                variable.assign(file[f"now{number}"])


def optimizer(settings: config.Learn, share: float, steps: int, model: keras.Model):
    """AdamW with a linear warm-up to a share of the learning rate, and cosine decay to zero."""
    rate = keras.optimizers.schedules.CosineDecay(
        0.0,
        steps - int(WARM_UP * steps),
        warmup_target=settings.learning_rate * share,
        warmup_steps=int(WARM_UP * steps),
    )
    adam = keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay, clipnorm=1.0)
    adam.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    adam.build(model.trainable_variables)
    return adam


def shuffled(pieces: Pieces, batch_size: int, random: np.random.Generator) -> Pieces:
    """Yield batches drawn at random from a pool of the last POOL rows.

    All batches have the same size, or the network would be traced twice: the last one is filled
    up from its own rows.
    """
    pool: list[tuple[np.ndarray, int]] = []

    def draw() -> tuple[np.ndarray, np.ndarray]:
        # A drawn row is swapped with the last one, so that removing it moves no others.
        batch = []
        for _ in range(min(batch_size, len(pool))):
            place = random.integers(len(pool))
            pool[place], pool[-1] = pool[-1], pool[place]
            batch.append(pool.pop())
        rows = np.resize(np.arange(len(batch)), batch_size)
        crops, classes = zip(*batch, strict=True)
        return np.stack(crops)[rows], np.array(classes)[rows]

    for crops, classes in pieces:
        # Copies, because a view would keep its whole piece in memory.
        pool += [(crop.copy(), int(number)) for crop, number in zip(crops, classes, strict=True)]
        while len(pool) >= POOL + batch_size:
            yield draw()
    while pool:
        yield draw()


def balanced_sample(classes: np.ndarray, class_count: int) -> np.ndarray:
    """Return a weight per class, the square root of full balancing; the mean over rows is 1."""
    counts = np.bincount(classes, minlength=class_count)
    weights = 1 / np.sqrt(np.maximum(counts, 1))
    return weights * len(classes) / (weights * counts).sum()
