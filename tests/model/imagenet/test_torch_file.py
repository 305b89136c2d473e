import io
import os
import pickle
import sys
from collections import OrderedDict
from types import ModuleType

import numpy as np
import pytest

from pipeline.errors import ArtifactError
from pipeline.model.imagenet.torch_file import MAGIC, PROTOCOL, read_tensors

VALUES = np.arange(24, dtype="<f4")


class FloatStorage:
    """Pickled as torch's class of this name."""


def _rebuild_tensor_v2(*arguments):
    """Pickled as torch's function of this name."""


class Tensor:
    """A view of the values, pickled as torch pickles one."""

    def __init__(self, offset, shape, strides):
        self.view = offset, shape, strides

    def __reduce__(self):
        return _rebuild_tensor_v2, (FloatStorage(), *self.view, False, OrderedDict())


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        if isinstance(value, FloatStorage):
            return "storage", FloatStorage, "7", "cpu", len(VALUES), None


@pytest.fixture(autouse=True)
def torch(monkeypatch):
    """Modules of torch's names, so that pickles name them."""
    for module, member in (("torch", FloatStorage), ("torch._utils", _rebuild_tensor_v2)):
        stand_in = ModuleType(module)
        setattr(stand_in, member.__name__, member)
        monkeypatch.setattr(member, "__module__", module)
        monkeypatch.setitem(sys.modules, module, stand_in)


def saved(state, storage=VALUES):
    file = io.BytesIO()
    for each in (MAGIC, PROTOCOL, {"little_endian": True}, state, ["7"]):
        Pickler(file, protocol=2).dump(each)
    return file.getvalue() + len(storage).to_bytes(8, "little") + storage.tobytes()


def test_tensors_are_read_by_name_offset_shape_and_strides():
    channels_last = Tensor(0, (2, 3, 2, 2), (12, 1, 6, 3))
    found = read_tensors(saved(OrderedDict(a=channels_last, b=Tensor(20, (3,), (1,)))))
    assert list(found) == ["a", "b"]
    expected = VALUES.reshape(2, 2, 2, 3).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(found["a"], expected)
    assert found["b"].tolist() == [20, 21, 22]


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("made-by-a-pickle",)


def test_a_pickle_that_names_anything_else_is_refused_before_it_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArtifactError, match=r"names \w+\.mkdir, which is not a tensor"):
        read_tensors(saved(OrderedDict(a=Harmful())))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"no pickle", "9 bytes are not tensors"),
        (pickle.dumps(1) + pickle.dumps(2) + pickle.dumps(3), "begins with 1 and 2"),
        (saved(OrderedDict(a=1)), "no attribute"),
    ],
)
def test_other_files_are_refused_with_the_cause(data, cause):
    with pytest.raises(ArtifactError, match=cause):
        read_tensors(data)


def test_a_file_that_ends_too_early_is_refused():
    with pytest.raises(ArtifactError, match="Restore the file"):
        read_tensors(saved(OrderedDict(a=Tensor(0, (24,), (1,))))[:-1])


@pytest.mark.parametrize("view", [(20, (5,), (1,)), (0, (2, 2), (23, 1)), (0, (2,), (-1,))])
def test_a_tensor_that_exceeds_its_storage_is_refused(view):
    with pytest.raises(ArtifactError, match="exceeds its 24 values"):
        read_tensors(saved(OrderedDict(a=Tensor(*view))))
