import numpy as np

from pipeline.model.float16 import as_float32, to_float32


def test_every_finite_value_is_converted_as_by_numpy():
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)].reshape(-1, 2)  # more than one block of rows
    wide = np.empty(halves.shape, np.float32)
    to_float32(halves, wide)
    expected = halves.astype(np.float32)
    assert (wide.view(np.uint32) == expected.view(np.uint32)).all()  # minus zero too


def test_maps_keep_their_shape_and_other_types_become_float32_too():
    maps = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    for values in (maps.astype(np.float16)[..., [4, 1]], maps.astype(np.float64)[..., [4, 1]]):
        found = as_float32(values)
        assert found.dtype == np.float32
        assert found.strides == values.astype(np.float32).strides
        assert (found == maps[..., [4, 1]]).all()
