"""The layers of Keras that have a form in ONNX here: those of heads, and of convolutional trunks.

Maps are (N, channel, row, column) in ONNX and (N, row, column, channel) in Keras; vectors are alike
in both. A function gets the graph, the layer and the names of its inputs, and returns the name of
its output, or None when the layer is set in a way that has no form.
"""

from collections.abc import Callable

import numpy as np

from pipeline.model.keras_backend import keras

ACTIVATIONS = {
    "relu": "Relu",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "elu": "Elu",
    "gelu": "Gelu",
    "softmax": "Softmax",
}
POOLS = {"MaxPooling2D": "MaxPool", "AveragePooling2D": "AveragePool"}
GLOBAL_POOLS = {
    "GlobalMaxPooling2D": "GlobalMaxPool",
    "GlobalAveragePooling2D": "GlobalAveragePool",
}
SUMS = {"Add": "Add", "Multiply": "Mul"}


def add_layer(graph, layer: keras.layers.Layer, inputs: list[str]) -> str | None:
    """Add a layer to `graph`; the name of its output, or None when it has no form in ONNX here."""
    kind = type(layer).__name__
    if kind in ("Dropout", "SpatialDropout2D", "ConvertToTensor"):
        return inputs[0]
    if kind in SUMS and len(inputs) == 2:
        return graph.add(SUMS[kind], *inputs)
    found = KINDS.get(kind)
    return found(graph, layer, inputs) if found else None


def activated(graph, x: str, activation: str) -> str | None:
    """Add an activation by its name in Keras."""
    if activation == "linear":
        return x
    if activation == "silu":
        return graph.add("Mul", x, graph.add("Sigmoid", x))
    return graph.add(ACTIVATIONS[activation], x) if activation in ACTIVATIONS else None


def _reshape(graph, layer, inputs) -> str | None:
    # Of grey crops, (N, row, column) to (N, 1, row, column).
    is_grey = len(layer.input.shape) == 3 and tuple(layer.output.shape[1:3]) == (
        *layer.input.shape[1:],
    )
    return graph.add("Unsqueeze", *inputs, graph.constant([1], np.int64)) if is_grey else None


def _rescaling(graph, layer, inputs) -> str:
    x = graph.add("Mul", graph.add("Cast", *inputs, to=1), graph.constant(layer.scale))  # float32
    return graph.add("Add", x, graph.constant(layer.offset)) if np.any(layer.offset) else x


def _convolution(graph, layer, inputs) -> str | None:
    kernel, *bias = layer.get_weights()
    if type(layer).__name__ == "DepthwiseConv2D":
        rows, columns, channels, multiplier = kernel.shape
        kernel, groups = kernel.reshape(rows, columns, 1, channels * multiplier), channels
    else:
        groups = layer.groups
    arrays = map(graph.constant, (kernel.transpose(3, 2, 0, 1), *bias))
    x = graph.add(
        "Conv",
        *inputs,
        *arrays,
        strides=layer.strides,
        dilations=layer.dilation_rate,
        group=groups,
        auto_pad=_padding(layer),
    )
    return activated(graph, x, layer.get_config()["activation"])


def _dense(graph, layer, inputs) -> str | None:
    if len(layer.input.shape) != 2:
        return None
    kernel, *bias = map(graph.constant, layer.get_weights())
    x = graph.add("Gemm", *inputs, kernel, *bias)
    return activated(graph, x, layer.get_config()["activation"])


def _normalisation(graph, layer, inputs) -> str:
    mean, variance = (np.asarray(each) for each in (layer.moving_mean, layer.moving_variance))
    scale = 1 / np.sqrt(variance + layer.epsilon)
    scale = scale * np.asarray(layer.gamma) if layer.scale else scale
    offset = (np.asarray(layer.beta) if layer.center else 0) - mean * scale
    shape = (-1, 1, 1) if len(layer.input.shape) == 4 else (-1,)
    x = graph.add("Mul", *inputs, graph.constant(scale.reshape(shape)))
    return graph.add("Add", x, graph.constant(offset.reshape(shape)))


def _relu(graph, layer, inputs) -> str | None:
    if layer.negative_slope or layer.threshold:
        return None
    if layer.max_value is None:
        return graph.add("Relu", *inputs)
    return graph.add("Clip", *inputs, graph.constant(0), graph.constant(layer.max_value))


def _pooling(graph, layer, inputs) -> str:
    options = {"kernel_shape": layer.pool_size, "strides": layer.strides}
    return graph.add(POOLS[type(layer).__name__], *inputs, **options, auto_pad=_padding(layer))


def _global_pooling(graph, layer, inputs) -> str:
    x = graph.add(GLOBAL_POOLS[type(layer).__name__], *inputs)
    return x if layer.keepdims else graph.add("Flatten", x)


def _adaptive_pooling(graph, layer, inputs) -> str | None:
    window = [size // cells for size, cells in zip(*_cells(layer), strict=True)]
    if any(size % cells for size, cells in zip(*_cells(layer), strict=True)):
        return None
    return graph.add("AveragePool", *inputs, kernel_shape=window, strides=window)


def _cells(layer) -> tuple:
    return layer.input.shape[1:3], layer.output.shape[1:3]


def _padded(graph, layer, inputs) -> str:
    (top, bottom), (left, right) = layer.padding
    pads = [0, 0, top, left, 0, 0, bottom, right]
    return graph.add("Pad", *inputs, graph.constant(pads, np.int64))


def _cropped(graph, layer, inputs) -> str:
    (top, _), (left, _) = layer.cropping
    rows, columns = layer.output.shape[1:3]
    bounds = [top, left], [top + rows, left + columns], [2, 3]
    return graph.add("Slice", *inputs, *(graph.constant(each, np.int64) for each in bounds))


def _concatenated(graph, layer, inputs) -> str | None:
    is_last = layer.axis in (-1, len(layer.output.shape) - 1)
    return graph.add("Concat", *inputs, axis=1) if is_last else None


def _flattened(graph, layer, inputs) -> str:
    [x] = inputs
    if len(layer.input.shape) == 4:
        x = graph.add("Transpose", x, perm=[0, 2, 3, 1])
    return graph.add("Flatten", x)


def _padding(layer) -> str:
    return "SAME_UPPER" if layer.padding == "same" else "VALID"


KINDS: dict[str, Callable] = {
    "Reshape": _reshape,
    "Rescaling": _rescaling,
    "Conv2D": _convolution,
    "DepthwiseConv2D": _convolution,
    "Dense": _dense,
    "BatchNormalization": _normalisation,
    "Activation": lambda graph, layer, inputs: activated(
        graph, *inputs, layer.get_config()["activation"]
    ),
    "ReLU": _relu,
    **dict.fromkeys(POOLS, _pooling),
    **dict.fromkeys(GLOBAL_POOLS, _global_pooling),
    "AdaptiveAveragePooling2D": _adaptive_pooling,
    "ZeroPadding2D": _padded,
    "Cropping2D": _cropped,
    "Concatenate": _concatenated,
    "Flatten": _flattened,
}
