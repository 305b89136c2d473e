import numpy as np

from pipeline.store.float16 import to_float32


def test_every_finite_value_is_converted_as_by_numpy():
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)].reshape(-1, 2)  # more than one block of rows
    wide = np.empty(halves.shape, np.float32)
    to_float32(halves, wide)
    expected = halves.astype(np.float32)
    assert (wide.view(np.uint32) == expected.view(np.uint32)).all()  # minus zero too
