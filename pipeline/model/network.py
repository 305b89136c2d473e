"""The trunk as a Keras network, and the fast form of it that embeds grey crops.

The network is the one of the notes: float32 crops (N, side, side, channels) from 0 to 1 in, float32
embeddings (N, width) in (row, column, channel) order out. The fast form takes uint8 grey crops
(N, side, side) and gives float16 embeddings, the type in which they are stored.
"""

import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline import config
from pipeline.errors import ArtifactError, ConfigError
from pipeline.model import architecture
from pipeline.model.keras_backend import keras
from pipeline.model.trunk_weights import initial_weights, weights_file
from pipeline.model.wide_convolutions import with_wide_convolutions

# Fixed, so that there is one trace and a row's result cannot depend on its neighbours.
BATCH = 64
POOLS = {"max": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}
LARGEST = float(np.finfo(np.float16).max)
# What Keras raises for bytes that are not a model, are truncated, or hold code.
UNREADABLE = (ValueError, TypeError, KeyError, OSError, AttributeError, zipfile.BadZipFile)


def build(trunk: config.Trunk, side: int) -> keras.Model:
    """Build the network of `trunk` for crops of `side` pixels, with its weights.

    Raises ConfigError when a layer's output would be empty, when `trunk.weights` names no file, or
    when that file does not hold a network of this architecture.
    """
    architecture.describe(trunk, side)  # its error is readable, that of Keras is a traceback
    inputs = keras.Input((side, side, trunk.channels), name="crop")
    x = inputs
    for number, layer in enumerate(trunk.layers, start=1):
        x = keras.layers.Conv2D(
            layer.filters,
            layer.kernel,
            strides=layer.stride,
            padding=layer.padding,
            activation=layer.activation,
            data_format="channels_last",
            name=f"conv{number}",
        )(x)
        if layer.pool != "none":
            pool = POOLS[layer.pool]
            x = pool(layer.pool_size, data_format="channels_last", name=f"pool{number}")(x)
    outputs = keras.layers.Flatten(data_format="channels_last", name="flatten")(x)
    model = keras.Model(inputs, outputs, name="trunk")
    model.set_weights(weights_of(trunk, model))
    return model


def weights_of(trunk: config.Trunk, model: keras.Model) -> list[np.ndarray]:
    """Read or draw the weights that the settings name, in the shapes of `model`."""
    if trunk.weights == "random":
        return initial_weights(trunk, trunk.seed)
    try:
        weights = from_bytes(weights_file(trunk).read_bytes()).get_weights()
    except ArtifactError as error:
        raise ConfigError(f"Setting `trunk.weights` names {trunk.weights}: {error}") from error
    found = [array.shape for array in weights]
    expected = [array.shape for array in model.get_weights()]
    if found != expected:
        raise ConfigError(
            f"{trunk.weights} holds weights of the shapes {found}; `trunk.layers` and "
            f"`trunk.channels` need {expected}. Describe the architecture of that file in the "
            "settings, or name a file of this architecture."
        )
    # Refused here, because TensorFlow's pooling and ReLU turn NaN into zero.
    if not all(np.isfinite(array).all() for array in weights):
        raise ConfigError(
            f"{trunk.weights} holds weights that are not finite; finite ones were expected. "
            "Its training diverged: train it again, or name another file."
        )
    return weights


def compile_for_inference(model: keras.Model) -> keras.Model:
    """Prepare `model` for traced calls, and return it.

    XLA is off except for JAX, which has nothing else: on a CPU it made the trunk 5 times slower.
    """
    model.compile(optimizer=None, jit_compile=keras.backend.backend() == "jax")
    return model


def in_batches(model: keras.Model, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the outputs of a compiled `model` for `rows`, batch by batch, padding the last one."""
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        padding = [(0, BATCH - len(batch))] + [(0, 0)] * (rows.ndim - 1)
        # Padding by zero rows would still copy every row.
        full = np.pad(batch, padding) if len(batch) < BATCH else batch
        yield np.asarray(model.predict_on_batch(full))[: len(batch)]


def embed_grey(model: keras.Model, crops: keras.KerasTensor) -> keras.KerasTensor:
    """Apply the layers of a trunk to grey crops, uint8 (N, side, side, 1): float32 (N, width).

    Grey crops are equal channels, so the first kernel of the notes' network is summed over its
    input channels: the same sums in another order (difference 2e-7) for 0.55 of the work. Other
    networks get the crops repeated, since little of their work is in their first layer.
    """
    _, first, *others = model.layers
    x = keras.layers.Rescaling(1 / 255)(crops)
    if not isinstance(first, keras.layers.Conv2D):
        channels = model.input_shape[-1]
        # The same layers as a model that is not compiled, which `to_bytes` could not copy.
        inside = keras.Model(model.input, model.output, name="trunk")
        return inside(keras.layers.Concatenate()([x] * channels) if channels > 1 else x)
    folded = keras.layers.Conv2D.from_config(first.get_config())
    x = folded(x)
    kernel, bias = first.get_weights()
    folded.set_weights([kernel.sum(axis=2, keepdims=True), bias])
    for layer in others:
        x = layer(x)
    return x


def in_bfloat16(model: keras.Model) -> keras.Model:
    """A copy of an uncompiled model that computes in bfloat16; its weights stay float32."""

    def copied(layer: keras.Layer) -> keras.Layer:
        settings = layer.get_config()
        # Pixels are scaled in float32, without which the cosine falls from 0.99994 to 0.99991.
        if not isinstance(layer, keras.layers.InputLayer | keras.layers.Rescaling):
            settings["dtype"] = "mixed_bfloat16"
        return type(layer).from_config(settings)

    copy = keras.models.clone_model(model, clone_function=copied)
    copy.set_weights(model.get_weights())
    return copy


class Embedder:
    """Embeds grey crops: 1,500 a second on 2 cores with the default trunk."""

    def __init__(self, model: keras.Model, precision: str = "float32"):
        """Take a trunk as it is stored; `model` itself is not changed."""
        self.side = int(model.input_shape[1])
        self.width = int(model.output_shape[-1])
        inputs = keras.Input((self.side, self.side, 1), dtype="uint8")
        wide = with_wide_convolutions(keras.Model(inputs, embed_grey(model, inputs)))
        inputs, x = wide.input, wide.output
        if precision == "bfloat16":
            x = keras.ops.cast(in_bfloat16(wide)(inputs), "float32")
        self.model = compile_for_inference(keras.Model(inputs, x))
        # Casting to float16 inside the network uses all cores, in NumPy one. Benchmarks use
        # `model`, which has no cast.
        self.float16_model = compile_for_inference(
            keras.Model(inputs, keras.ops.cast(x, "float16"))
        )

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """Embed uint8 crops (N, side, side) as float16 (N, width), row for row.

        Raises ArtifactError for crops of another shape or type, and for values that are not finite
        or too large for float16.
        """
        if crops.dtype != np.uint8 or crops.shape[1:] != (self.side, self.side):
            raise ArtifactError(
                f"Crops are {crops.dtype} of shape {crops.shape}; this trunk takes uint8 of shape "
                f"(N, {self.side}, {self.side}). Cut them again with the trunk's recipe."
            )
        embeddings = np.empty((len(crops), self.width), np.float16)
        start = 0
        for batch in in_batches(self.float16_model, crops[..., np.newaxis]):
            refuse_unstorable(batch)
            embeddings[start : start + len(batch)] = batch
            start += len(batch)
        return embeddings


def refuse_unstorable(batch: np.ndarray) -> None:
    """Raise ArtifactError unless all values of `batch`, float16, are finite."""
    if not np.isfinite(batch).all():
        raise ArtifactError(
            "The trunk gave an embedding with values that float16 cannot hold; finite values up to "
            f"{LARGEST:.0f} were expected. Its weights are damaged or too large: use other "
            "`trunk.weights`, or another `trunk.seed`; of another `trunk.model`, store another "
            "`trunk.layer`, such as one after a normalisation, or check `trunk.scale`."
        )


def to_bytes(model: keras.Model) -> bytes:
    """Serialise `model`, made of layers of Keras alone, as a .keras file.

    The copy is not compiled: `keras.models.load_model` fails on the state of a model that was
    compiled without an optimizer (Keras 3.15).
    """
    plain = copy_of(model)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.keras"
        save(plain, file)
        return file.read_bytes()


def copy_of(model: keras.Model) -> keras.Model:
    """A copy that is not compiled, whose layers belong to no other model: each has one output."""
    copy = keras.Model.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    return copy


def save(model: keras.Model, file: Path) -> None:
    """Save a model that is not compiled as a .keras file."""
    with warnings.catch_warnings():
        # Keras 3.15 converts its variables in a way that NumPy 2 deprecates.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        model.save(file)


def from_bytes(data: bytes) -> keras.Model:
    """Read a .keras file, compiled for traced calls; ArtifactError when it is not one."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.keras"
        file.write_bytes(data)
        try:
            return compile_for_inference(keras.saving.load_model(file, compile=False))
        except UNREADABLE as error:
            raise ArtifactError(
                f"{len(data)} bytes are not a readable Keras model ({type(error).__name__}); a "
                ".keras file as Keras 3 writes it was expected. Restore the file, or make it again."
            ) from error
