"""A trunk and a head as one network, for programs without this package.

Grey crops in, uint8 (N, side, side), brighter meaning denser. Three outputs by name, float32:

    probabilities      (N, classes)  of each class, given that there is a tooth; rows sum to 1
    p_abnormal_box     (N,)          of any class but the normal one, where there is a tooth
    p_abnormal_found   (N,)          the same times the probability of a tooth, for found places

The division by 255 and the temperature are inside. Embeddings stay float32 here; stored ones went
through float16, so stored predictions differ by up to 1e-3.
"""

from pathlib import Path

import numpy as np

from pipeline.errors import ConfigError
from pipeline.model.keras_backend import keras, quietly
from pipeline.model.network import embed_grey, to_bytes

INPUT = "crops"
OUTPUTS = ("probabilities", "p_abnormal_box", "p_abnormal_found")


def join(trunk: keras.Model, head: keras.Model, class_count: int, normal: int) -> keras.Model:
    """Join a trunk and a head on its embeddings; `normal` is the number of the normal class.

    The outputs are those of `abnormal_probability.to_predictions`.
    """
    side = int(trunk.input_shape[1])
    inputs = keras.Input((side, side), dtype="uint8", name=INPUT)
    x = embed_grey(trunk, keras.layers.Reshape((side, side, 1))(inputs))
    for layer in head.layers[1:]:
        x = layer(x)
    probabilities, tooth = _given_a_tooth(x, class_count)
    at_box = 1 - probabilities[:, normal]
    outputs = dict(zip(OUTPUTS, (probabilities, at_box, at_box * tooth), strict=True))
    return keras.Model(inputs, outputs, name="dental_head")


def _given_a_tooth(outputs: keras.KerasTensor, class_count: int) -> tuple:
    """Probabilities (N, class_count) given a tooth, and that of a tooth: a number or (N,).

    As `abnormal_probability.split_background`, in operations of Keras.
    """
    if outputs.shape[1] == class_count:
        return outputs, 1
    classes = outputs[:, :class_count]
    share = keras.ops.sum(classes, axis=1, keepdims=True)
    nothing = share < float(np.finfo(np.float32).tiny)
    divided = classes / keras.ops.where(nothing, 1.0, share)
    return keras.ops.where(nothing, 1 / class_count, divided), 1 - outputs[:, class_count]


def write_keras(model: keras.Model, path: Path) -> None:
    """Write a .keras file."""
    path.write_bytes(to_bytes(model))


def write_saved_model(model: keras.Model, path: Path) -> None:
    """Write a folder in TensorFlow's format SavedModel; its function is `serve`."""
    if keras.backend.backend() != "tensorflow":
        raise ConfigError(
            f"A SavedModel is made by TensorFlow, but KERAS_BACKEND is {keras.backend.backend()}. "
            "Unset it, or export another format."
        )
    with quietly():
        model.export(path, format="tf_saved_model", verbose=False)
