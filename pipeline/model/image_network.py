"""Any Keras 3 image model as trunk: loaded, cut after one layer, and pooled.

The result is a network like that of the notes: float32 crops (N, side, side, channels) from 0 to 1
in, float32 embeddings (N, width) out, a map in (row, column, channel) order or a vector. Scaling to
the range that the model takes is inside, so the stored file suffices to embed.
"""

import re
import tempfile
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from pipeline import config
from pipeline.errors import ConfigError
from pipeline.model.keras_backend import keras
from pipeline.model.network import UNREADABLE, copy_of
from pipeline.model.trunk_weights import model_file, require_model_settings

# Factor and offset from 0..1 to what a model takes.
SCALES = {"0..255": (255.0, 0.0), "0..1": (1.0, 0.0), "-1..1": (2.0, -1.0)}
FLATTEN = "flatten"  # the last layer of every trunk
NAMES = 5  # that are suggested for an unknown layer


def image_network(trunk: config.Trunk, side: int) -> keras.Model:
    """The model that `trunk.model` names, as it was made.

    Raises ConfigError when it is no file of a Keras model, or needs code that Keras does not have.
    """
    if trunk.model == "efficientnet-lite0":
        from pipeline.model.imagenet import efficientnet_lite0

        return efficientnet_lite0.build(side)
    data = model_file(trunk).read_bytes()
    # Keras wants the suffix .keras, and a file of our own cannot change meanwhile.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.keras"
        file.write_bytes(data)
        try:
            return keras.saving.load_model(file, compile=False, safe_mode=True)
        except UNREADABLE as error:
            raise ConfigError(_unreadable(trunk, str(error))) from error


def build(trunk: config.Trunk, side: int) -> keras.Model:
    """Build the trunk for crops of `side` pixels from the model that `trunk.model` names.

    Raises ConfigError when that is no image model, takes crops of another side, lacks the layer
    `trunk.layer`, or when there is no map for `trunk.pool`.
    """
    require_model_settings(trunk)
    model = bind(image_network(trunk, side), side)
    chosen = layer_of(model, trunk.layer)
    cut = keras.Model(model.input, chosen.output, name="model")
    factor, offset = SCALES[trunk.scale]
    inputs = keras.Input(model.input_shape[1:], name="crop")
    # As a model inside the trunk, so that names of its layers cannot be those of others.
    x = cut(keras.layers.Rescaling(factor, offset, name="scale")(inputs))
    x = pooled(x, trunk, chosen.name)
    outputs = keras.layers.Flatten(data_format="channels_last", name=FLATTEN, dtype="float32")(x)
    return copy_of(keras.Model(inputs, outputs, name="network"))


def output_of(model: keras.Model) -> tuple[int, ...]:
    """Shape of what a trunk made by `build` flattens: (row, column, channel), or (width,)."""
    return tuple(int(size) for size in model.get_layer(FLATTEN).input.shape[1:])


def bind(model: keras.Model, side: int) -> keras.Model:
    """The same model for crops of `side` pixels, with the layers of models inside it as its own.

    Raises ConfigError for a model that does not take one square image of 1 or 3 channels.
    """
    _require_image_model(model, side)
    inputs = keras.Input((side, side, model.inputs[0].shape[-1]), name="crop")
    try:
        flat = keras.models.clone_model(
            keras.Model(model.inputs[0], model.outputs),
            input_tensors=inputs,
            clone_function=lambda layer: layer,
            call_function=_call_inlined,
        )
        flat = copy_of(flat)
    except ValueError as error:
        raise ConfigError(
            f"The model of `trunk.model` cannot take crops of {side} × {side} pixels: "
            f"{str(error).splitlines()[0]} Set another `recipe.side`, or name another model."
        ) from error
    return bind(flat, side) if any(map(_has_graph, flat.layers)) else flat


def layer_of(model: keras.Model, name: str | None) -> keras.Operation:
    """The layer of a bound model that is called `name`; by default the one of its last map.

    That is the last map of more than one cell; without one, the last layer.
    """
    layers = [each for each in model.operations if not isinstance(each, keras.layers.InputLayer)]
    if name is None:
        maps = [each for each in layers if len(_shape(each)) == 3 and np.prod(_shape(each)[:2]) > 1]
        return (maps or layers)[-1]
    names = [each.name for each in layers]
    if name not in names:
        near = get_close_matches(name, names, n=NAMES) or names[-NAMES:]
        raise ConfigError(
            f"Setting `trunk.layer` is {name}, which is none of the model's {len(names)} layers. "
            f"Did you mean one of: {', '.join(near)}? All of them: dental trunk describe, without "
            "`trunk.layer`."
        )
    return layers[names.index(name)]


def pooled(x: keras.KerasTensor, trunk: config.Trunk, name: str) -> keras.KerasTensor:
    """The output `x` of the layer `name`, pooled as `trunk.pool` asks."""
    shape = tuple(getattr(x, "shape", ()))[1:]
    if len(shape) not in (1, 3) or None in shape:
        raise ConfigError(
            f"Layer {name} gives values of the shape {shape}; a map (row, column, channel) or a "
            "vector was expected. Set `trunk.layer` to another layer: dental trunk describe"
        )
    if trunk.pool == "none":
        return x
    if len(shape) == 1:
        raise ConfigError(
            f"Layer {name} gives a vector of {shape[0]} values, and `trunk.pool` is {trunk.pool}, "
            "which needs a map. Remove `trunk.pool`, or set `trunk.layer` to a layer before it."
        )
    if trunk.pool == "mean+max+middle":
        return mean_max_middle(x)
    if trunk.pool > min(shape[:2]):
        raise ConfigError(
            f"`trunk.pool` is {trunk.pool}, and the map of layer {name} has {shape[0]} × "
            f"{shape[1]} cells. Set it to at most {min(shape[:2])}, or `trunk.layer` to a layer "
            "with a larger map."
        )
    return keras.layers.AdaptiveAveragePooling2D(trunk.pool, name="pool")(x)


def mean_max_middle(x: keras.KerasTensor) -> keras.KerasTensor:
    """Mean, maximum and mean of the middle half of a map, (N, 3 · channels).

    A quarter of the rows and of the columns is left out at every edge, rounded down.
    """
    layers, (rows, columns) = keras.layers, x.shape[1:3]
    middle = layers.Cropping2D((rows // 4, columns // 4), name="middle")(x)
    return layers.Concatenate(name="pool")(
        [
            layers.GlobalAveragePooling2D(name="mean")(x),
            layers.GlobalMaxPooling2D(name="max")(x),
            layers.GlobalAveragePooling2D(name="middle_mean")(middle),
        ]
    )


def _unreadable(trunk: config.Trunk, reason: str) -> str:
    named = f"Setting `trunk.model` names {trunk.model}, "
    if "lambda" in reason.lower():
        return (
            f"{named}which has a Lambda layer: code in a file is never run. Replace the Lambda by "
            "layers of Keras, such as Rescaling, and save the model again."
        )
    if missing := re.search(r"Could not locate \w+ '([^']+)'", reason):
        return (
            f"{named}which needs `{missing[1]}`, code that Keras does not have and that is not in "
            "the file. Save a model made of layers of Keras alone."
        )
    return (
        f"{named}which is not a readable Keras model; a .keras file as Keras 3 writes it was "
        "expected. Save it again with `model.save('model.keras')`, or name another file."
    )


def _require_image_model(model: keras.Model, side: int) -> None:
    try:
        inputs = list(model.inputs)
    except (AttributeError, ValueError, TypeError):
        inputs = []
    if not inputs or not model.outputs:
        raise ConfigError(
            "The model of `trunk.model` has no graph of layers, because it is a class of its own "
            "or was never built. Save a functional or a Sequential model with an Input."
        )
    if len(inputs) > 1:
        raise ConfigError(
            f"The model of `trunk.model` has {len(inputs)} inputs, expected one: the image. Save "
            "the part of it that takes the image alone."
        )
    shape = tuple(inputs[0].shape)[1:]
    if len(shape) != 3 or shape[2] not in (1, 3) or (None not in shape and shape[0] != shape[1]):
        raise ConfigError(
            f"The model of `trunk.model` takes the shape {shape}; a square image (side, side, 1) "
            "or (side, side, 3) was expected. Name an image model with its channels last."
        )
    if not all(np.isfinite(array).all() for array in model.get_weights()):
        raise ConfigError(
            "The model of `trunk.model` has weights that are not finite; finite ones were "
            "expected. Its training diverged: train it again, or name another file."
        )
    if fixed := [size for size in shape[:2] if size not in (None, side)]:
        raise ConfigError(
            f"The model of `trunk.model` takes crops of {fixed[0]} × {fixed[0]} pixels, and "
            f"`recipe.side` is {side}. Set `recipe.side = {fixed[0]}`, or save the model for any "
            "size, with an Input of (None, None, channels)."
        )


def _call_inlined(layer: keras.Operation, *inputs, **options):
    # Called without its wrapper, a model gives its layers to the graph instead of itself.
    return layer.call(*inputs, **options) if _has_graph(layer) else layer(*inputs, **options)


def _has_graph(layer: keras.Operation) -> bool:
    """Whether it is a model made of layers that can be taken out of it."""
    return isinstance(layer, keras.Sequential) or (
        isinstance(layer, keras.Model) and hasattr(layer, "operations")
    )


def _shape(layer: keras.Operation) -> tuple:
    return tuple(getattr(layer.output, "shape", ()))[1:]
