import numpy as np
import pytest

from pipeline import config
from pipeline.model import network
from pipeline.model.keras_backend import keras
from pipeline.model.wide_convolutions import with_wide_convolutions

SIDE = 24


def convolutions_of(model):
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]


def trunk_of(**layer):
    return network.build(
        config.Trunk(weights="random", channels=3, layers=(config.Layer(**layer),)), SIDE
    )


def crops(model):
    return np.random.default_rng(0).random((3, *model.input_shape[1:]), dtype=np.float32)


def assert_same_map(wide, model):
    pixels = crops(model)
    expected = np.asarray(network.compile_for_inference(model).predict_on_batch(pixels))
    found = np.asarray(network.compile_for_inference(wide).predict_on_batch(pixels))
    assert expected.std() > 0
    # The bits differ where a processor takes another kernel for another number of filters.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kernel", [1, 4, 5, 9])
@pytest.mark.parametrize(("filters", "columns"), [(1, 16), (3, 5), (4, 4), (6, 2), (8, 2)])
def test_few_filters_are_computed_for_several_columns_with_the_same_result(
    filters, columns, kernel, padding
):
    model = trunk_of(filters=filters, kernel=kernel, padding=padding)
    width = convolutions_of(model)[0].output.shape[2]

    wide = with_wide_convolutions(model)

    (convolution,) = convolutions_of(wide)
    expected = max(n for n in range(1, columns + 1) if width % n == 0)
    assert convolution.filters == filters * expected
    assert_same_map(wide, model)


@pytest.mark.parametrize("layer", [{"filters": 16}, {"filters": 9}, {"filters": 4, "stride": 2}])
def test_convolutions_that_gain_nothing_stay_as_they_are(layer):
    model = trunk_of(kernel=3, **layer)
    assert convolutions_of(with_wide_convolutions(model)) == convolutions_of(model)


@pytest.mark.parametrize("activation", ["linear", "tanh", "gelu"])
@pytest.mark.parametrize("pool", ["none", "average", "max"])
def test_activations_and_poolings_stay_as_they_are(activation, pool):
    model = trunk_of(filters=4, kernel=5, activation=activation, pool=pool, pool_size=3)
    assert_same_map(with_wide_convolutions(model), model)


def test_the_notes_network_is_embedded_with_16_filters_or_more_and_stored_as_it_is():
    model = network.build(config.Trunk(), 256)
    embedder = network.Embedder(model)
    assert [layer.filters for layer in convolutions_of(embedder.model)] == [16, 16, 16, 32]
    assert [layer.filters for layer in convolutions_of(network.copy_of(model))] == [4, 8, 16, 32]


def test_a_model_inside_keeps_its_convolutions():
    inside = trunk_of(filters=4, kernel=3)
    inputs = keras.Input(inside.input_shape[1:])
    wide = with_wide_convolutions(keras.Model(inputs, inside(inputs)))
    assert wide.layers[-1] is inside
