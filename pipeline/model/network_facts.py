"""What a trunk that is not the network of the notes consists of, and what it costs.

Convolutions (also depthwise and separable), pooling, dense layers and what computes value by value
are described by the arithmetic of `architecture.py`. Of any other layer the multiply-adds and the
receptive field are not known: None, also for the receptive field of what follows it.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from pipeline import config
from pipeline.errors import ConfigError
from pipeline.model import network
from pipeline.model.architecture import LayerFacts
from pipeline.model.image_network import output_of
from pipeline.model.keras_backend import keras
from pipeline.model.trunk.golden_vector import golden_crop

CONVOLUTIONS = {"Conv2D", "DepthwiseConv2D", "SeparableConv2D"}
POOLINGS = {"MaxPooling2D", "AveragePooling2D"}
WHOLE = {"GlobalAveragePooling2D", "GlobalMaxPooling2D"}  # poolings whose window is the map
# Layers without multiply-adds that keep the receptive field.
PLAIN = {
    *("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax", "Dropout", "SpatialDropout2D"),
    *("GaussianNoise", "BatchNormalization", "LayerNormalization", "Rescaling", "Normalization"),
    *("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Flatten"),
    *("Reshape", "ZeroPadding2D", "Cropping2D", "InputLayer", "ConvertToTensor"),
}
FREE = PLAIN | POOLINGS | WHOLE | {"AdaptiveAveragePooling2D"}

Field = tuple[int, int] | None  # receptive field and step of values, in pixels of the crop's edge


def describe(model: keras.Model) -> list[LayerFacts]:
    """Describe every layer of a trunk made by `image_network`, in order."""
    return _describe(model, (1, 1))[0]


def _describe(model: keras.Model, start: Field) -> tuple[list[LayerFacts], Field]:
    """The layers of `model`, also of models inside it, and the field of its last layer's values."""
    rows, found, fields = [], start, {id(model.input): start}
    of_model = start  # of the values of the one model inside, which follows the layer before it
    for layer in model.operations:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        if isinstance(layer, keras.Model):
            inside, of_model = _describe(layer, found)
            rows += inside
            continue
        sources = layer.input if isinstance(layer.input, list | tuple) else [layer.input]
        before = [fields.get(id(each), of_model) for each in sources]
        found = fields[id(layer.output)] = _field(layer, before)
        rows.append(_facts(layer, found))
    return rows, found


def _facts(layer: keras.Operation, field: Field) -> LayerFacts:
    shape = tuple(layer.output.shape[1:])
    parameters = layer.count_params() if isinstance(layer, keras.layers.Layer) else 0
    return LayerFacts(layer.name, shape, parameters, multiply_adds(layer), field and field[0])


def multiply_adds(layer: keras.Operation) -> int | None:
    """Multiply-adds of a layer for one crop; None when its arithmetic is not known."""
    kind = type(layer).__name__
    if kind in FREE:
        return 0
    if kind not in CONVOLUTIONS | {"Dense"}:
        return None
    kernels = [weight for weight in layer.weights if "kernel" in weight.name]
    places = int(np.prod(layer.output.shape[1:-1]))
    return places * sum(int(np.prod(kernel.shape)) for kernel in kernels)


def unknown_layers(model: keras.Model) -> list[str]:
    """The kinds of layers whose arithmetic is not known, sorted."""
    unknown = [layer for layer in layers_of(model) if multiply_adds(layer) is None]
    return sorted({type(layer).__name__ for layer in unknown})


def layers_of(model: keras.Model) -> Iterator[keras.Operation]:
    """Every layer of a trunk, in order, also of the model inside it."""
    for layer in model.operations:
        if isinstance(layer, keras.Model):
            yield from layers_of(layer)
        else:
            yield layer


@dataclass(frozen=True)
class Cost:
    """What one crop costs on the machine at hand."""

    multiply_adds: int  # of the layers whose arithmetic is known
    milliseconds: float
    bytes: int  # of a stored embedding, before compression


def cost_of(model: keras.Model) -> Cost:
    """The cost of a trunk; its time is measured on one batch."""
    embedder = network.Embedder(model)
    crops = np.repeat(golden_crop(embedder.side)[np.newaxis], network.BATCH, axis=0)
    embedder.embed(crops)  # traces
    started = time.perf_counter()
    embedder.embed(crops)
    milliseconds = (time.perf_counter() - started) * 1000 / len(crops)
    adds = sum(multiply_adds(layer) or 0 for layer in layers_of(model))
    return Cost(adds, round(milliseconds, 2), 2 * embedder.width)


def costs(model: keras.Model) -> dict[str, Cost]:
    """The costs of a trunk and of the notes' network for the same crops, on the same machine."""
    side = int(model.input_shape[1])
    try:
        notes = network.build(config.Trunk(weights="random"), side)
    except ConfigError:  # crops too small for its poolings
        return {"this": cost_of(model)}
    return {"this": cost_of(model), "notes": cost_of(notes)}


def card_facts(model: keras.Model) -> dict:
    """What the card of a trunk has about its network."""
    return {
        "architecture": format_model(model),
        "parameters": model.count_params(),
        "output": list(output_of(model)),
        "cost": {name: asdict(cost) for name, cost in costs(model).items()},
    }


def format_model(model: keras.Model) -> str:
    """Format a trunk as a line, `224×224×3 → 150 layers → 7×7×320 → mean+max+middle → 960`."""
    inside = model.get_layer("model")
    shapes = [model.input_shape[1:], inside.output_shape[1:], output_of(model)]
    start, cut, end = ("×".join(map(str, shape)) for shape in shapes)
    steps = [start, f"{len(inside.layers) - 1} layers", cut]
    if end != cut:
        steps += ["averages" if len(shapes[2]) == 3 else "mean+max+middle", end]
    width = str(model.output_shape[1])
    return " → ".join([*steps, *([width] if end != width else [])])


def _field(layer: keras.Operation, before: list[Field]) -> Field:
    """The field of a layer's values, from those of its inputs."""
    if None in before or multiply_adds(layer) is None:
        return None
    kind = type(layer).__name__
    field, step = (max(values) for values in zip(*before, strict=True))
    window, stride = 1, 1
    if kind in CONVOLUTIONS:
        window = (layer.kernel_size[0] - 1) * _first(layer.dilation_rate) + 1
        stride = _first(layer.strides)
    elif kind in POOLINGS:
        window, stride = layer.pool_size[0], _first(layer.strides)
    elif kind in WHOLE:
        window = layer.input.shape[1]
    elif kind == "AdaptiveAveragePooling2D":
        window = stride = -(-layer.input.shape[1] // layer.output.shape[1])
    return field + (window - 1) * step, step * stride


def _first(sizes: int | tuple[int, ...]) -> int:
    return sizes if isinstance(sizes, int) else sizes[0]
