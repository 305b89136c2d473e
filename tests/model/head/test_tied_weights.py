import numpy as np
import pytest

from pipeline import config
from pipeline.model.head.dense import DenseNetwork
from pipeline.model.head.tied_weights import filters_of, halved, tied_kernels, unroll_kernel
from pipeline.model.keras_backend import keras

GRIDS = [(16, 16, 2), (6, 5, 3), (5, 7, 1), (3, 3, 2), (4, 3, 2)]  # even and odd: padding differs


def convolution_of(grid, filters, seed=0):
    random = np.random.default_rng(seed)
    return random.standard_normal((3, 3, grid[-1], filters)).astype(np.float32)


def head_of(*kernels):
    """A head with these hidden layers and two classes."""
    last = np.ones((kernels[-1].shape[1], 2), np.float32)
    biases = (np.zeros(kernel.shape[1], np.float32) for kernel in (*kernels, last))
    return DenseNetwork((*kernels, last), tuple(biases))


def test_the_head_of_the_notes_is_convolutions_of_32_and_64_filters():
    assert filters_of((16, 16, 32), config.Head().units) == [32, 64]


@pytest.mark.parametrize("units", [(100,), (256, 10), ()])
def test_sizes_that_no_halved_map_has_give_no_convolutions(units):
    assert filters_of((16, 16, 32), units) is None


@pytest.mark.parametrize("grid", GRIDS)
def test_an_unrolled_kernel_gives_what_the_convolution_gives(grid):
    kernel = convolution_of(grid, 4)
    maps = np.random.default_rng(1).standard_normal((5, *grid)).astype(np.float32)
    expected = keras.ops.conv(maps, kernel, 2, "same", "channels_last")
    found = maps.reshape(5, -1) @ unroll_kernel(kernel, grid)
    np.testing.assert_allclose(found, np.reshape(expected, (5, -1)), atol=1e-5)


@pytest.mark.parametrize("grid", GRIDS)
def test_convolutions_are_found_in_the_layers_that_they_were_unrolled_into(grid):
    kernel = convolution_of(grid, 4)
    (found,) = tied_kernels(head_of(unroll_kernel(kernel, grid)), grid)
    # A tap that reaches no value of a map of 4 × 3 or 3 × 3 does not matter.
    assert (unroll_kernel(found, grid) == unroll_kernel(kernel, grid)).all()


def test_both_convolutions_of_a_head_are_found():
    grid = (16, 16, 2)
    kernels = convolution_of(grid, 4), convolution_of(halved(grid, 4), 6)
    dense = unroll_kernel(kernels[0], grid), unroll_kernel(kernels[1], halved(grid, 4))
    found = tied_kernels(head_of(*dense), grid)
    assert all((one == other).all() for one, other in zip(found, kernels, strict=True))


def test_layers_that_follow_the_last_convolution_stay_dense():
    grid = (16, 16, 2)
    dense = unroll_kernel(convolution_of(grid, 4), grid), np.ones((256, 96), np.float32)
    assert len(tied_kernels(head_of(*dense), grid)) == 1


@pytest.mark.parametrize("place", [(0, 0), (100, 5), (511, 255)])
def test_a_layer_with_one_other_weight_is_no_convolution(place):
    grid = (16, 16, 2)
    dense = unroll_kernel(convolution_of(grid, 4), grid)
    dense[place] += 0.5
    assert tied_kernels(head_of(dense), grid) == []


def test_a_vector_has_no_convolution():
    dense = np.ones((90, 8), np.float32)
    assert tied_kernels(head_of(dense), (1, 1, 90)) == []
