"""EfficientNet-lite0 with weights learned on ImageNet, for pictures of any size.

Input: float32 pixels (N, side, side, 3) from 0 to 255, which the first layer scales. A layer named
`block1` to `block16` has the output of the whole block; `top` is the last map, (N, side/32,
side/32, 1280), which the classifier, left out here, averages.

Source: Tan & Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
arXiv:1905.11946; the lite form has no squeeze-and-excitation, and ReLU6 for swish.
"""

from typing import NamedTuple

import numpy as np

from pipeline.model.imagenet.weights import read_weights
from pipeline.model.keras_backend import keras

EPSILON = 1e-3
CHANNELS_LAST = {"data_format": "channels_last"}


class Stage(NamedTuple):
    """Blocks in a row; the first has the stride, and widens the map from the stage before."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


def build(side: int) -> keras.Model:
    """Build the network from pixels (N, side, side, 3) to the map of `top`.

    Raises ConfigError when the package with the weights is not installed, and ArtifactError when
    its file has other contents.
    """
    return _Builder(read_weights()).trunk(side)


class _Builder:
    """Builds layers with their weights. `source` is the name of a layer's tensors in the file."""

    def __init__(self, tensors: dict[str, np.ndarray]):
        self.tensors = tensors

    def trunk(self, side: int) -> keras.Model:
        inputs = keras.Input((side, side, 3), name="crop")
        x = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="scale")(inputs)
        x = self._normalise(self._convolve(x, "stem", "_conv_stem", 2), "stem_bn", "_bn0")
        x, number = _relu6(x, "stem_relu"), 0
        for stage in STAGES:
            for repeat in range(stage.blocks):
                x = self._block(x, number, stage if repeat == 0 else stage._replace(stride=1))
                number += 1
        x = self._normalise(self._convolve(x, "top_conv", "_conv_head"), "top_bn", "_bn1")
        return keras.Model(inputs, _relu6(x, "top"), name="efficientnet-lite0")

    def _block(self, x: keras.KerasTensor, index: int, stage: Stage) -> keras.KerasTensor:
        """Widen the channels, filter each of them, and project them to fewer."""
        name, source, shortcut = f"block{index + 1}", f"_blocks.{index}.", x
        if stage.expansion > 1:
            x = self._convolve(x, f"{name}_expand", f"{source}_expand_conv")
            x = self._normalise(x, f"{name}_expand_bn", f"{source}_bn0")
            x = _relu6(x, f"{name}_expand_relu")
        x = self._filter_each(x, f"{name}_depthwise", f"{source}_depthwise_conv", stage.stride)
        x = self._normalise(x, f"{name}_depthwise_bn", f"{source}_bn1")
        x = _relu6(x, f"{name}_depthwise_relu")
        x = self._convolve(x, f"{name}_project", f"{source}_project_conv")
        if x.shape != shortcut.shape:
            return self._normalise(x, name, f"{source}_bn2")
        x = self._normalise(x, f"{name}_project_bn", f"{source}_bn2")
        return keras.layers.Add(name=name)([shortcut, x])

    def _convolve(
        self, x: keras.KerasTensor, name: str, source: str, stride: int = 1
    ) -> keras.KerasTensor:
        kernel = self.tensors[f"{source}.weight"].transpose(2, 3, 1, 0)
        shape = {"filters": kernel.shape[-1], "kernel_size": len(kernel), "strides": stride}
        options = {"padding": "same", "use_bias": False, "name": name, **CHANNELS_LAST}
        return _with_weights(keras.layers.Conv2D(**shape, **options), x, [kernel])

    def _filter_each(
        self, x: keras.KerasTensor, name: str, source: str, stride: int
    ) -> keras.KerasTensor:
        kernel = self.tensors[f"{source}.weight"].transpose(2, 3, 0, 1)
        options = {"padding": "same", "use_bias": False, "name": name, **CHANNELS_LAST}
        layer = keras.layers.DepthwiseConv2D(len(kernel), strides=stride, **options)
        return _with_weights(layer, x, [kernel])

    def _normalise(self, x: keras.KerasTensor, name: str, source: str) -> keras.KerasTensor:
        names = ("weight", "bias", "running_mean", "running_var")
        layer = keras.layers.BatchNormalization(epsilon=EPSILON, name=name)
        return _with_weights(layer, x, [self.tensors[f"{source}.{each}"] for each in names])


def _relu6(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return keras.layers.ReLU(max_value=6, name=name)(x)


def _with_weights(
    layer: keras.Layer, x: keras.KerasTensor, weights: list[np.ndarray]
) -> keras.KerasTensor:
    output = layer(x)  # which makes its variables
    layer.set_weights(weights)
    return output
