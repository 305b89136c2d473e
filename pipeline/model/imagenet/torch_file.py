"""Tensors from the files of `torch.save` in their legacy form, without torch.

Such a file is five pickles (a magic number, the protocol, the sizes of types, the saved object, the
keys of its storages), then the storages in the order of their keys, each as a count of elements
(int64) and the elements. Pickles can run code, so these may name the four things below and no
others: an ordered dictionary, and what describes a tensor.
"""

import io
import pickle
from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from pipeline.errors import ArtifactError

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
ELEMENTS = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class Tensor(NamedTuple):
    """A tensor as the pickle describes it: a view of a storage; strides are in elements."""

    storage: tuple[str, str]  # kind and key
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def describe_tensor(storage, offset, shape, strides, *_) -> Tensor:
    """Stand in for `torch._utils._rebuild_tensor_v2`."""
    return Tensor(storage, offset, shape, strides)


ALLOWED = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): describe_tensor,
    **{("torch", name): name for name in ELEMENTS},
}


class TensorUnpickler(pickle.Unpickler):
    """Reads nothing but ordered dictionaries and descriptions of tensors."""

    def find_class(self, module: str, name: str):
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not a tensor")
        return ALLOWED[module, name]

    def persistent_load(self, pid: tuple) -> tuple[str, str]:
        # "storage", kind, key, device, count of elements, view
        return pid[1], pid[2]


def read_tensors(data: bytes) -> dict[str, np.ndarray]:
    """Read the named tensors of a saved `state_dict`, as arrays of their own.

    Raises ArtifactError for bytes of another kind, and for a pickle that names anything else.
    """
    try:
        file = io.BytesIO(data)
        magic, protocol, _ = (TensorUnpickler(file).load() for _ in range(3))
        if (magic, protocol) != (MAGIC, PROTOCOL):
            raise pickle.UnpicklingError(f"it begins with {magic!r} and {protocol!r}")
        tensors, keys = (TensorUnpickler(file).load() for _ in range(2))
        kinds = dict(each.storage[::-1] for each in tensors.values())
        storages = {key: _next_storage(file, ELEMENTS[kinds[key]]) for key in keys}
        return {name: _array(each, storages[each.storage[1]]) for name, each in tensors.items()}
    # A damaged pickle may raise nearly anything; no code of the file has run.
    except Exception as error:
        raise ArtifactError(
            f"{len(data)} bytes are not tensors saved by torch in its legacy form ({error}). "
            "Restore the file."
        ) from error


def _next_storage(file: io.BytesIO, dtype: np.dtype) -> np.ndarray:
    count = int.from_bytes(file.read(8), "little")
    return np.frombuffer(file.read(count * dtype.itemsize), dtype, count)


def _array(tensor: Tensor, storage: np.ndarray) -> np.ndarray:
    # Bounds are checked before strides are used: they could reach outside of the storage.
    reach = sum(
        (size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True)
    )
    if min(tensor.offset, *tensor.shape, *tensor.strides, 0) < 0 or (
        tensor.offset + reach >= len(storage)
    ):
        raise ValueError(f"a tensor of shape {tensor.shape} exceeds its {len(storage)} values")
    strides = [stride * storage.itemsize for stride in tensor.strides]
    view = np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, strides)
    return view.copy()
