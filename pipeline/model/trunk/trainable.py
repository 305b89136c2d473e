"""The trunk's network in training: batch-normalised, computed in blocks; both are folded away.

Input is float32 (N, window, window, 1), output the map before flattening. Grey crops are equal
channels, so one channel is learned and its kernel divided among the channels of the trunk.

Normalisation has no scale of its own, so it never changes a sign and can follow max-pooling, where
a fourth of the values is left. Convolutions of few filters are slow on a CPU: they are computed on
blocks of pixels moved into the channels, where the same sums are one convolution of a wide kernel,
and the maximum is taken inside the block. Measured on two busy cores: 33 ms of processor time per
crop and step instead of 115.
"""

import numpy as np

from pipeline import config
from pipeline.model.keras_backend import keras

WIDE = 64  # channels that a blocked convolution may fill
MONOTONE = ("relu", "linear", "tanh", "sigmoid", "elu")


class FromScratch:
    """The notes' network in training, from random weights. See `train.Trainable`."""

    rate = 1.0

    def __init__(self, trunk: config.Trunk, side: int, seed: int):
        self.trunk = trunk
        self.model = trainable_network(trunk, side, seed)

    def plain_weights(self) -> list[np.ndarray]:
        """The weights of the plain network."""
        return fold_batch_normalisation(self.model, self.trunk)


def trainable_network(trunk: config.Trunk, window: int, seed: int) -> keras.Model:
    """Build the network of `trunk` in its training form, with random weights from the seed."""
    inputs = keras.Input((window, window, 1))
    x = inputs
    for number, layer in enumerate(trunk.layers):
        normalise = keras.layers.BatchNormalization(scale=False, momentum=0.9, name=f"norm{number}")
        activate = keras.layers.Activation(layer.activation)
        blocks = blocks_for(layer, x.shape[1])
        x = BlockedConvolution(layer, blocks, seed + number, name=f"conv{number}")(x)
        if blocks > 1:
            x = activate(normalise(x))
        elif layer.pool == "max" and layer.activation in MONOTONE:
            x = activate(normalise(pooled(x, layer)))
        else:
            x = pooled(activate(normalise(x)), layer)
    return keras.Model(inputs, x, name="trainable")


def fold_batch_normalisation(model: keras.Model, trunk: config.Trunk) -> list[np.ndarray]:
    """Weights of the plain network of `trunk` that is equivalent to the trained `model`."""
    weights = []
    for number, layer in enumerate(trunk.layers):
        norm = model.get_layer(f"norm{number}")
        kernel = np.asarray(model.get_layer(f"conv{number}").kernel)
        mean, variance = np.asarray(norm.moving_mean), np.asarray(norm.moving_variance)
        scale = 1 / np.sqrt(variance + norm.epsilon)
        if number == 0:
            kernel = np.repeat(kernel / trunk.channels, trunk.channels, axis=2)
        assert kernel.shape[-1] == layer.filters
        weights += [kernel * scale, np.asarray(norm.beta) - mean * scale]
    return [np.asarray(array, np.float32) for array in weights]


def pooled(x, layer: config.Layer):
    """Apply the layer's own pooling."""
    pools = {"max": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}
    if layer.pool == "none":
        return x
    return pools[layer.pool](layer.pool_size, data_format="channels_last")(x)


def blocks_for(layer: config.Layer, size: int) -> int:
    """Edge of the blocks that a layer and its pooling are computed in; 1 for single pixels."""
    fits = layer.stride == 1 and layer.padding == "same" and layer.pool == "max"
    if not fits or layer.pool_size != 2 or layer.activation not in MONOTONE:
        return 1
    return max(b for b in (1, 2, 4) if b == 1 or (b * b * layer.filters <= WIDE and not size % b))


class BlockedConvolution(keras.layers.Layer):
    """A convolution without bias; in blocks, followed by the maximum over 2 × 2 pixels."""

    def __init__(self, layer: config.Layer, blocks: int, seed: int, **named):
        super().__init__(**named)
        self.layer, self.blocks, self.seed = layer, blocks, seed

    def build(self, shape):
        """Create the kernel (row, column, channel, filter)."""
        size, filters = self.layer.kernel, self.layer.filters
        self.kernel = self.add_weight(
            name="kernel",
            shape=(size, size, shape[-1], filters),
            initializer=keras.initializers.HeNormal(seed=self.seed),
        )
        if self.blocks > 1:
            self.places = places(size, self.blocks)

    def call(self, x):
        """Convolve (N, rows, columns, channels)."""
        ops, layer, blocks = keras.ops, self.layer, self.blocks
        if blocks == 1:
            return ops.conv(x, self.kernel, layer.stride, layer.padding, "channels_last")
        _, rows, columns, channels = x.shape
        rows, columns, left = rows // blocks, columns // blocks, blocks // 2
        x = ops.reshape(x, (-1, rows, blocks, columns, blocks, channels))
        x = ops.reshape(
            ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, rows, columns, blocks**2 * channels)
        )
        x = ops.conv(x, self.block_kernel(channels), 1, "same", "channels_last")
        # The four pixels of one maximum are adjacent.
        x = ops.reshape(x, (-1, rows, columns * blocks**2, layer.filters))
        x = ops.max_pool(x, (1, 4), (1, 4), data_format="channels_last")
        x = ops.reshape(x, (-1, rows, columns, left, left, layer.filters))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, rows * left, columns * left, layer.filters))

    def block_kernel(self, channels: int):
        """The kernel on blocks that is equivalent to `kernel` on pixels."""
        ops, filters = keras.ops, self.layer.filters
        flat = ops.reshape(self.kernel, (-1, channels * filters))
        flat = ops.concatenate([flat, ops.zeros((1, channels * filters))])
        height, width, inside, outside = self.places.shape
        kernel = ops.take(flat, self.places.reshape(-1), axis=0)
        kernel = ops.reshape(kernel, (height, width, inside, outside, channels, filters))
        kernel = ops.transpose(kernel, (0, 1, 2, 4, 3, 5))
        return ops.reshape(kernel, (height, width, inside * channels, outside * filters))


def places(size: int, blocks: int) -> np.ndarray:
    """Tap of a size × size kernel that connects pixels of an input block and an output block.

    Integers (block row, block column, input pixel, output pixel), size² where no tap does. Output
    pixels are in the order (pooled row, pooled column, row, column).
    """
    before = (size - 1) // 2
    reach = -(-max(before, size // 2) // blocks)  # blocks on either side
    edge = (2 * reach + 1) * blocks
    along = np.arange(edge)[:, np.newaxis] - reach * blocks - np.arange(blocks) + before
    row, column = along[:, np.newaxis, :, np.newaxis], along[np.newaxis, :, np.newaxis, :]
    inside = (row >= 0) & (row < size) & (column >= 0) & (column < size)
    taps = np.where(inside, row * size + column, size * size)  # input (row, column), output (…)
    count, left = edge // blocks, blocks // 2
    taps = taps.reshape(count, blocks, count, blocks, left, 2, left, 2)
    return taps.transpose(0, 2, 1, 3, 4, 6, 5, 7).reshape(count, count, blocks**2, blocks**2)
