import numpy as np
import pytest

from pipeline.model.explain import explain_rows
from pipeline.model.head import sparse
from pipeline.model.head.dense import DenseNetwork

GRID = (4, 4, 3)


@pytest.fixture
def head():
    """A head whose first two kernels are mostly zeros."""
    random = np.random.default_rng(0)
    kernels = [random.normal(size=size).astype(np.float32) for size in ((48, 20), (20, 8), (8, 3))]
    for kernel in kernels[:2]:
        kernel[random.random(kernel.shape) < 0.9] = 0
    biases = [random.normal(size=kernel.shape[1]).astype(np.float32) for kernel in kernels]
    return DenseNetwork(tuple(kernels), tuple(biases))


def test_a_head_without_its_zeros_gives_the_same_explanations(head):
    read = sparse.from_bytes(sparse.to_bytes(head))
    rows = np.abs(np.random.default_rng(1).normal(size=(5, 48))).astype(np.float16)
    assert read.width == head.width
    for one, other in zip(
        explain_rows(read.only(2), rows, 0, GRID),
        explain_rows(head.only(2), rows, 0, GRID),
        strict=True,
    ):
        np.testing.assert_allclose(one.cells, other.cells, rtol=0, atol=1e-5)
        assert one.finding == other.finding
        assert one.constant == pytest.approx(other.constant, abs=1e-5)


def test_only_a_head_of_mostly_zeros_is_sparse(head):
    assert sparse.is_sparse(head)
    assert not sparse.is_sparse(DenseNetwork((np.ones((48, 3)),), (np.zeros(3),)))


def test_a_damaged_file_raises_one_of_its_errors(head):
    data = bytearray(sparse.to_bytes(head))
    data[len(data) // 2] ^= 255
    for wrong in (bytes(data), b"", b"no file"):
        with pytest.raises(sparse.UNREADABLE):
            sparse.from_bytes(wrong)
