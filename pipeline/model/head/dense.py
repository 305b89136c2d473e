"""Stored heads as NumPy arrays, for code that must not spend seconds on importing Keras.

A head is dense layers with ReLU and a last one before the softmax. Kernels are (in, out), biases
(out,): float64, which holds every float32 weight and float16 embedding exactly, or float32.
"""

import io
import json
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import ArtifactError

if TYPE_CHECKING:
    import h5py

UNREADABLE = (OSError, KeyError, ValueError, struct.error, zipfile.BadZipFile)


@dataclass(frozen=True)
class DenseNetwork:
    """The layers of a head, first to last."""

    kernels: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, weights: list[np.ndarray]) -> "DenseNetwork":
        """The layers with these weights: kernel and bias of each, in turn."""
        return cls(tuple(weights[::2]), tuple(weights[1::2]))

    @property
    def width(self) -> int:
        """Values of an embedding that the head expects."""
        return self.kernels[0].shape[0]

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


def from_bytes(data: bytes, kind: type[np.floating] = np.float64) -> DenseNetwork:
    """Read the head in a .keras file: an archive of its description and its weights as HDF5.

    Arrays of float32 are the bytes themselves, 75 MB of the default head, where these are aligned;
    then they are read-only. Unaligned ones are copied: their products take 20 times as long.
    Raises ArtifactError when it is not such a file, or a network with other layers than a head's.
    """
    import h5py

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            described = json.loads(archive.read("config.json"))["config"]["layers"]
            weights = _member(archive, data, "model.weights.h5")
        _, *layers = described
        _require_dense(layers)
        with h5py.File(_ViewFile(weights)) as file:
            # Keras numbers layers of a kind in their order, whatever their names.
            names = ["dense", *(f"dense_{number}" for number in range(1, len(layers)))]
            found = [file["layers"][name]["vars"][key] for name in names for key in ("0", "1")]
            arrays = (np.require(_values(each, weights), kind, ["ALIGNED"]) for each in found)
            return DenseNetwork.of(list(arrays))
    except UNREADABLE as error:
        raise ArtifactError(
            f"{len(data)} bytes are not a readable head ({error!r}); a .keras file as Keras 3 "
            "writes it was expected. Restore the file from your backup, or train a head again."
        ) from None


def _member(archive: zipfile.ZipFile, data: bytes, name: str) -> memoryview:
    """A file of the archive, without a copy where it is stored uncompressed, as Keras does."""
    about = archive.getinfo(name)
    if about.compress_type != zipfile.ZIP_STORED:
        return memoryview(archive.read(name))
    lengths = struct.unpack_from("<HH", data, about.header_offset + 26)  # of name and extra field
    start = about.header_offset + 30 + sum(lengths)
    found = memoryview(data)[start : start + about.file_size]
    if zlib.crc32(found) != about.CRC:
        raise zipfile.BadZipFile(f"Bad CRC-32 for file {name!r}")
    return found


def _values(dataset: "h5py.Dataset", file: memoryview) -> np.ndarray:
    """The array of a dataset, a part of `file` where it is contiguous there."""
    start = dataset.id.get_offset()
    if start is None or not dataset.dtype.isnative:
        return dataset[:]
    flat = np.frombuffer(file, dataset.dtype, dataset.size, start)
    return flat.reshape(dataset.shape)


class _ViewFile(io.RawIOBase):
    """Bytes as a file to read from, without a copy of the whole."""

    def __init__(self, data: memoryview):
        self._data, self._position = data, 0

    def readinto(self, buffer) -> int:
        found = self._data[self._position : self._position + len(buffer)]
        buffer[: len(found)] = found
        self._position += len(found)
        return len(found)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + (0, self._position, len(self._data))[whence]
        return self._position

    def tell(self) -> int:
        return self._position

    def seekable(self) -> bool:
        return True


def _require_dense(layers: list[dict]) -> None:
    found = [(each["class_name"], each["config"].get("activation")) for each in layers]
    expected = [("Dense", "relu")] * (len(layers) - 1) + [("Dense", "softmax")]
    if found != expected:
        raise ArtifactError(
            f"The stored head has the layers {found}; dense layers with relu and a softmax at the "
            "end were expected. Train a head again with this version."
        )
