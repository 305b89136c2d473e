"""Stored heads as NumPy arrays, for code that must not spend seconds on importing Keras.

A head is dense layers with ReLU and a last one before the softmax. Kernels are float64 (in, out),
biases float64 (out,), which hold every float32 weight and float16 embedding exactly.
"""

import io
import json
import zipfile
from dataclasses import dataclass

import h5py
import numpy as np

from pipeline.errors import ArtifactError

UNREADABLE = (OSError, KeyError, ValueError, zipfile.BadZipFile)


@dataclass(frozen=True)
class DenseNetwork:
    """The layers of a head, first to last."""

    kernels: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]

    @property
    def width(self) -> int:
        """Values of an embedding that the head expects."""
        return len(self.kernels[0])

    def only(self, class_count: int) -> "DenseNetwork":
        """Return the head with its first `class_count` outputs alone, without background."""
        *kernels, kernel = self.kernels
        *biases, bias = self.biases
        return DenseNetwork((*kernels, kernel[:, :class_count]), (*biases, bias[:class_count]))

    def logits(self, embedding: np.ndarray) -> np.ndarray:
        """Inputs of the softmax, float64 (classes,), for one embedding (width,)."""
        value = embedding.astype(np.float64)
        for kernel, bias in zip(self.kernels[:-1], self.biases[:-1], strict=True):
            value = np.maximum(value @ kernel + bias, 0)
        return value @ self.kernels[-1] + self.biases[-1]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (classes,) of logits (classes,)."""
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def from_bytes(data: bytes) -> DenseNetwork:
    """Read the head in a .keras file: an archive of its description and its weights as HDF5.

    Raises ArtifactError when it is not such a file, or a network with other layers than a head's.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            described = json.loads(archive.read("config.json"))["config"]["layers"]
            weights = io.BytesIO(archive.read("model.weights.h5"))
        _, *layers = described
        _require_dense(layers)
        with h5py.File(weights) as file:
            # Keras numbers layers of a kind in their order, whatever their names.
            names = ["dense", *(f"dense_{number}" for number in range(1, len(layers)))]
            arrays = [file["layers"][name]["vars"] for name in names]
            return DenseNetwork(
                tuple(each["0"][:].astype(np.float64) for each in arrays),
                tuple(each["1"][:].astype(np.float64) for each in arrays),
            )
    except UNREADABLE as error:
        raise ArtifactError(
            f"{len(data)} bytes are not a readable head ({error!r}); a .keras file as Keras 3 "
            "writes it was expected. Restore the file from your backup, or train a head again."
        ) from None


def _require_dense(layers: list[dict]) -> None:
    found = [(each["class_name"], each["config"].get("activation")) for each in layers]
    expected = [("Dense", "relu")] * (len(layers) - 1) + [("Dense", "softmax")]
    if found != expected:
        raise ArtifactError(
            f"The stored head has the layers {found}; dense layers with relu and a softmax at the "
            "end were expected. Train a head again with this version."
        )
