"""Any Keras 3 image model as trunk: loaded, bound to the side of the crops, and cut at one layer.

The result is a network like that of the notes: float32 crops (N, side, side, channels) from 0 to 1
in, float32 embeddings (N, width) out, a map in (row, column, channel) order or a vector. Scaling to
what the model takes is inside, and so is pooling, so that the stored file suffices to embed.
"""

from pipeline import config
from pipeline.errors import ArtifactError, ConfigError
from pipeline.model.keras_backend import keras
from pipeline.model.network import from_bytes
from pipeline.model.trunk_weights import model_file


def image_network(trunk: config.Trunk, side: int) -> keras.Model:
    """The model that `trunk.model` names, as it was made.

    Raises ConfigError when it is not a file, or not one of a Keras model.
    """
    if trunk.model == "efficientnet-lite0":
        from pipeline.model.imagenet import efficientnet_lite0

        return efficientnet_lite0.build(side)
    try:
        return from_bytes(model_file(trunk).read_bytes())
    except ArtifactError as error:
        raise ConfigError(f"Setting `trunk.model` names {trunk.model}: {error}") from error
