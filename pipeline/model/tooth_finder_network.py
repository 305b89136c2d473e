"""The tooth finder as a Keras network, for training; `imaging.tooth_finder` computes it with NumPy.

Input is that of `normalise_contrast` there, float32 (N, 128, 256, 1); output one logit per cell of
4 × 4 pixels, (N, 32, 64, 1): whether a tooth has its centre there.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.model.keras_backend import keras

FILTERS = 16  # with 24 it takes twice the time in every scan and finds no more teeth
# A tooth's middle is known to about these shares of its width and height.
BLUR = np.array([0.16, 0.13])
LEAST_BLUR = np.array([0.6, 0.9])  # cells
LEARNING_RATE = 4e-3
WARM_UP = 1 / 12  # of the steps
MEAN_OVER = 0.995  # of each step's weights this share is kept in their running mean
RARE = 1 / 64  # the chance with which learning begins: there are few middles


def network(
    shape: tuple[int, int], kernel: int, stride: int, dilations: Sequence[int], seed: int
) -> keras.Model:
    """The network with random weights for pictures of `shape` (rows, columns)."""
    inputs = keras.Input((*shape, 1))

    def convolution(size: int, number: int, **how) -> keras.layers.Conv2D:
        start = keras.initializers.HeNormal(seed=seed + number)
        return keras.layers.Conv2D(
            FILTERS,
            size,
            padding="same",
            activation="relu",
            kernel_initializer=start,
            data_format="channels_last",
            **how,
        )

    x = convolution(kernel, 0, strides=stride)(inputs)
    for number, dilation in enumerate(dilations, start=1):
        x = x + convolution(3, number, dilation_rate=dilation)(x)
    rare = keras.initializers.Constant(float(np.log(RARE / (1 - RARE))))
    outputs = keras.layers.Conv2D(1, 1, bias_initializer=rare, data_format="channels_last")(x)
    return keras.Model(inputs, outputs, name="finder")


def prepare(model: keras.Model, steps: int) -> None:
    """Make the model ready for so many steps of `train_on_batch`."""
    warm_up = round(WARM_UP * steps)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warm_up, warmup_target=LEARNING_RATE, warmup_steps=warm_up
    )
    model.compile(
        # The running mean of the weights is what `learned` takes.
        optimizer=keras.optimizers.AdamW(
            rate, weight_decay=1e-3, clipnorm=1.0, use_ema=True, ema_momentum=MEAN_OVER
        ),
        loss=focal_loss,
        jit_compile=keras.backend.backend() == "jax",
    )


def learned(model: keras.Model) -> list[np.ndarray]:
    """Kernels (values in, values out), each followed by its biases: what NumPy multiplies with."""
    model.optimizer.finalize_variable_values(model.trainable_variables)
    return [
        np.asarray(weight).reshape(-1, weight.shape[-1]) if weight.ndim > 1 else np.asarray(weight)
        for weight in model.get_weights()
    ]


def target(teeth: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """One hill per tooth, float32 `shape` + (1,): 1 in the cell of its middle, less around.

    `teeth` is (n, 4): x and y of the middle, width and height, in shares of the picture.
    """
    size = np.array(shape[::-1])
    y, x = np.mgrid[: shape[0], : shape[1]]
    hills = np.zeros(shape, np.float32)
    for middle, extent in zip(teeth[:, :2] * size, teeth[:, 2:] * size, strict=True):
        wide, high = np.maximum(BLUR * extent, LEAST_BLUR)
        across, down = (x + 0.5 - middle[0]) / wide, (y + 0.5 - middle[1]) / high
        hills = np.maximum(hills, np.exp(-(across**2 + down**2) / 2))
        column, row = np.floor(middle).astype(int)
        if 0 <= row < shape[0] and 0 <= column < shape[1]:
            hills[row, column] = 1
    return hills[..., np.newaxis]


def focal_loss(hills, logits):
    """Penalty-reduced focal loss per picture: near a middle a wrong answer costs less.

    Source: Zhou, Wang & Krähenbühl, "Objects as Points", arXiv:1904.07850, with its 2 and 4.
    """
    ops = keras.ops
    chance, middle = ops.sigmoid(logits), ops.cast(hills >= 1, "float32")
    found = (1 - chance) ** 2 * ops.softplus(-logits)
    invented = (1 - hills) ** 4 * chance**2 * ops.softplus(logits)
    total = ops.sum(middle * found + (1 - middle) * invented, axis=(1, 2, 3))
    return total / (ops.sum(middle, axis=(1, 2, 3)) + 1)
