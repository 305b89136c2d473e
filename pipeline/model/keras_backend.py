"""Keras, imported the same way everywhere: without log noise, and exact to float32.

Importing this module imports the backend, which takes 5 to 15 seconds with TensorFlow.
"""

import contextlib
import functools
import os
import re
import sys
import tempfile
import threading
import typing
from collections.abc import Iterator

from pipeline.model.keras_environment import require_backend

# Printed while TensorFlow is imported, whatever its log level: its logging is not set up yet
# (tensorflow issue 100442, seen with 2.21).
LOG_NOISE = re.compile(rb"^(WARNING: All log messages before absl|[IWE]\d{4} \d\d:\d\d:\d\d)")

# What Keras takes along for its wrappers and galleries, which nothing here uses. Without them its
# import takes 3.7 s of CPU instead of 5.3 (TensorFlow 2.21, Keras 3.15).
OPTIONAL = ("matplotlib", "sklearn")


@contextlib.contextmanager
def without_optional_packages() -> Iterator[None]:
    """Make the packages that Keras can do without unavailable to the imports of this thread."""
    finder = _NotFound(threading.get_ident())
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _NotFound:
    """A finder by which one thread does not find the optional packages; others do."""

    def __init__(self, thread: int):
        self._thread = thread

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name in OPTIONAL and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@contextlib.contextmanager
def annotations_compiled_once() -> Iterator[None]:
    """Compile equal annotations once, where Python's typing compiles each: 164 instead of 18,152.

    TensorFlow's operations name their types as text. A tenth of the time of importing Keras.
    """
    vars(typing)["compile"] = functools.cache(compile)  # found before the built-in function
    try:
        yield
    finally:
        del vars(typing)["compile"]


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Filter the known log noise out of what is written to standard error."""
    standard_error = sys.__stderr__.fileno()
    original = os.dup(standard_error)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), standard_error)
        try:
            yield
        finally:
            os.dup2(original, standard_error)
            os.close(original)
            captured.seek(0)
            for line in captured:
                if not LOG_NOISE.match(line):
                    os.write(standard_error, line)


@contextlib.contextmanager
def without_settings_file() -> Iterator[None]:
    """Keep Keras from reading and writing `~/.keras/keras.json`, which other programs use too."""
    for name in ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH"):  # would cut training short
        os.environ.pop(name, None)
    before = os.environ.get("KERAS_HOME")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["KERAS_HOME"] = folder
        try:
            yield
        finally:
            del os.environ["KERAS_HOME"]
            if before is not None:
                os.environ["KERAS_HOME"] = before


require_backend()
# Rounding to TF32 changes embeddings in the third digit. NVIDIA's libraries obey this variable
# under every backend, so no backend has to be imported for it.
os.environ["NVIDIA_TF32_OVERRIDE"] = "0"

wanted = "TF_CPP_MIN_LOG_LEVEL" in os.environ  # by someone who wants the log
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with (
    contextlib.nullcontext() if wanted else quietly(),
    without_settings_file(),
    without_optional_packages(),
    annotations_compiled_once(),
):
    import keras

__all__ = ["device", "keras"]


def device() -> str:
    """Device that the networks run on: `cpu`, `gpu` or `tpu`, with their number if several."""
    kinds = [name.split(":")[0] for name in keras.distribution.list_devices()]
    return kinds[0] if len(kinds) == 1 else f"{len(kinds)} × {kinds[0]}"
