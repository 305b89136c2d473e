"""A trunk that is not the network of the notes, in training: fine-tuned from its own weights.

Batch normalisation stays as it is, statistics, scale and offset: batches of 32 crops of one kind
would replace what was measured on the images that the weights were learned from.
"""

import numpy as np

from pipeline.model.image_network import FLATTEN
from pipeline.model.keras_backend import keras
from pipeline.model.network_facts import layers_of


class FineTuned:
    """A stored trunk that goes on learning, in small steps. See `train.Trainable`."""

    rate = 0.1  # share of the learning rate, which is that of random weights

    def __init__(self, trunk: keras.Model):
        """Take a trunk as it is stored; training changes its weights."""
        self.trunk = trunk
        for layer in layers_of(trunk):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False
        side, channels = trunk.input_shape[1], trunk.input_shape[-1]
        unflattened = keras.Model(trunk.input, trunk.get_layer(FLATTEN).input)
        grey = keras.Input((side, side, 1))
        x = keras.layers.Concatenate()([grey] * channels) if channels > 1 else grey
        self.model = keras.Model(grey, unflattened(x), name="trainable")

    def plain_weights(self) -> list[np.ndarray]:
        """The weights of the trunk as it is stored."""
        return self.trunk.get_weights()
