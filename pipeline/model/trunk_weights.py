"""Weights and fingerprint of a trunk, without Keras.

Weights are float32 arrays in Keras' order, per convolution a kernel (row, column, input channel,
filter) and a bias (filter,). Random ones come from NumPy alone, so every backend and every version
of Keras gets the same trunk for the same seed.
"""

import hashlib
from pathlib import Path

import numpy as np

from pipeline import config
from pipeline.errors import ConfigError
from pipeline.model.fingerprints import architecture_settings, fingerprint

# Raise when the same weights and the same crop would give another embedding.
TRUNK_FORM = 1
# The same for networks other than the notes'.
MODEL_FORM = "model 1"
# Settings of the notes' network, and those of any other.
OF_NOTES = "weights", "seed", "channels", "precision", "layers"
OF_MODELS = "layer", "pool", "scale"
# Learned from phantoms alone, by `make phantom-trunk`.
PHANTOMS = Path(__file__).with_name("phantoms.keras")


def initial_weights(trunk: config.Trunk, seed: int) -> list[np.ndarray]:
    """Draw kernels from a normal distribution of variance 2 / fan-in; biases are zero.

    Source: He et al., "Delving Deep into Rectifiers", arXiv:1502.01852; it keeps the variance of
    the values through layers of ReLU.
    """
    numbers = np.random.default_rng(seed)
    weights, channels = [], trunk.channels
    for layer in trunk.layers:
        shape = (layer.kernel, layer.kernel, channels, layer.filters)
        spread = np.sqrt(2 / (layer.kernel**2 * channels))
        weights.append((numbers.standard_normal(shape) * spread).astype(np.float32))
        weights.append(np.zeros(layer.filters, np.float32))
        channels = layer.filters
    return weights


def trunk_fingerprint(trunk: config.Trunk, side: int, recipe_fingerprint: str) -> str:
    """Fingerprint of a trunk: architecture, weights, and the recipe of its crops.

    The bytes of the weights count, not the seed or the path that they came from: should a version
    of NumPy draw other numbers for a seed, that is another trunk. Raises ConfigError when
    `trunk.weights` is not a file, or does not fit the architecture.
    """
    require_model_settings(trunk)
    if not trunk.is_notes:
        return fingerprint(
            {
                "form": MODEL_FORM,
                "cut": trunk.model_dump(mode="json", include=set(OF_MODELS)),
                "side": side,
                "recipe": recipe_fingerprint,
                "model": file_digest(model_file(trunk)),
            }
        )
    return fingerprint(
        {
            "form": TRUNK_FORM,
            "architecture": architecture_settings(trunk),
            "side": side,
            "recipe": recipe_fingerprint,
            "weights": weights_digest(trunk),
        }
    )


def weights_digest(trunk: config.Trunk) -> str:
    """SHA-256 of the file of weights, or of the weights that the seed gives."""
    if trunk.weights == "random":
        digest = hashlib.sha256()
        for array in initial_weights(trunk, trunk.seed):
            digest.update(array.astype("<f4").tobytes())
        return digest.hexdigest()
    return file_digest(weights_file(trunk))


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_file(trunk: config.Trunk) -> Path:
    """The .keras file that `trunk.weights` names.

    Raises ConfigError when it does not exist, or when the architecture is not that of the weights
    that come with the package.
    """
    if trunk.weights == "phantoms":
        notes = config.Trunk()
        if (trunk.layers, trunk.channels) != (notes.layers, notes.channels):
            raise ConfigError(
                "The weights learned from phantoms fit the default `trunk.layers` and "
                "`trunk.channels`, and yours are others. Set `trunk.weights` to random, or to a "
                ".keras file of your architecture."
            )
        return PHANTOMS
    if not trunk.weights.is_file():
        raise ConfigError(
            f"Setting `trunk.weights` names {trunk.weights}, which is not a file; phantoms, random "
            "or a .keras file was expected. Correct the path, or remove the setting."
        )
    return trunk.weights


def require_model_settings(trunk: config.Trunk) -> None:
    """Raise ConfigError for a setting that belongs to another network than `trunk.model`."""
    defaults, is_named = config.Trunk(), trunk.model == "efficientnet-lite0"
    others = OF_MODELS if trunk.is_notes else (*OF_NOTES, *(["scale"] if is_named else []))
    for name in others:
        if getattr(trunk, name) != getattr(defaults, name):
            kind = "a model from a file" if trunk.is_notes or is_named else "the network of `notes`"
            raise ConfigError(
                f"Setting `trunk.{name}` belongs to {kind}, and `trunk.model` is {trunk.model}. "
                f"Remove `trunk.{name}`, or set another `trunk.model`."
            )


def model_file(trunk: config.Trunk) -> Path:
    """The file that `trunk.model` names, or that the named model's weights are in.

    Raises ConfigError when it does not exist.
    """
    if trunk.model == "efficientnet-lite0":
        from pipeline.model.imagenet.weights import weights_file

        return weights_file()
    if not trunk.model.is_file():
        raise ConfigError(
            f"Setting `trunk.model` names {trunk.model}, which is not a file; notes, "
            "efficientnet-lite0 or a .keras file was expected. Correct the path, or remove the "
            "setting to use the champion's trunk, which is in the store."
        )
    return trunk.model


def describe_weights(trunk: config.Trunk) -> str:
    """Origin of the weights, for a card; a path would reveal something about this machine."""
    if not trunk.is_notes:
        return "ImageNet" if trunk.model == "efficientnet-lite0" else "file"
    if trunk.weights == "random":
        return f"random, seed {trunk.seed}"
    return "learned from phantoms" if trunk.weights == "phantoms" else "file"


def card_settings(trunk: config.Trunk) -> dict:
    """Settings of a trunk for its card, without paths, which would reveal this machine."""
    if trunk.is_notes:
        return {"seed": trunk.seed, **architecture_settings(trunk)}
    settings = trunk.model_dump(mode="json", include={"model", *OF_MODELS})
    # A file is the one that is stored with the card.
    return settings | ({"model": "model.keras"} if isinstance(trunk.model, Path) else {})
