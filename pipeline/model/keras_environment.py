"""What Keras reads before it is imported: the backend of the environment, and no file of its own.

`~/.keras/keras.json` is one for all programs of a user. Its precision and image format would change
results, so `keras_backend.py` imports Keras without it.
"""

import os
from importlib.util import find_spec

from pipeline.errors import ConfigError

VARIABLE = "KERAS_BACKEND"
BACKENDS = ("tensorflow", "jax", "torch")


def require_backend() -> None:
    """Choose TensorFlow unless KERAS_BACKEND names another; ConfigError if that cannot be used."""
    backend = os.environ.get(VARIABLE) or BACKENDS[0]
    if backend not in BACKENDS:
        raise ConfigError(
            f"{VARIABLE} is {backend!r}, expected {', '.join(BACKENDS)}. Unset it to use "
            f"{BACKENDS[0]}."
        )
    if find_spec(backend) is None:
        raise ConfigError(
            f"{VARIABLE} is {backend!r}, which is not installed here. Install it, or unset the "
            f"variable to use {BACKENDS[0]}."
        )
    os.environ[VARIABLE] = backend
