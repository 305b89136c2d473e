import random

import numpy as np
import pytest

from pipeline import config
from pipeline.errors import ConfigError
from pipeline.model import architecture


def random_trunk(seed):
    """A trunk of one to four layers and a side on which it leaves something."""
    choose = random.Random(seed)
    while True:
        layers = tuple(
            config.Layer(
                filters=choose.randint(1, 6),
                kernel=choose.randint(1, 7),
                stride=choose.randint(1, 3),
                padding=choose.choice(["same", "valid"]),
                pool=choose.choice(["max", "average", "none"]),
                pool_size=choose.randint(2, 3),
            )
            for _ in range(choose.randint(1, 4))
        )
        trunk = config.Trunk(weights="random", channels=choose.choice([1, 3]), layers=layers)
        side = choose.randint(8, 120)
        try:
            architecture.describe(trunk, side)
        except ConfigError:
            continue
        return trunk, side


def test_the_default_trunk_has_the_numbers_of_the_notes():
    rows = architecture.describe(config.Trunk(), 256)

    assert [row.parameters for row in rows if row.parameters] == [976, 808, 3216, 4640]
    assert [row.output for row in rows] == [
        (256, 256, 4),
        (128, 128, 4),
        (128, 128, 8),
        (64, 64, 8),
        (64, 64, 16),
        (32, 32, 16),
        (32, 32, 32),
        (16, 16, 32),
        (8192,),
    ]
    assert architecture.total(rows).parameters == 9640
    assert architecture.total(rows).receptive_field == 64
    assert architecture.grid(config.Trunk(), 256) == (16, 16, 32)
    assert architecture.width(config.Trunk(), 256) == 8192


def test_multiply_adds_are_counted_by_hand_for_one_small_convolution():
    trunk = config.Trunk(
        channels=1, layers=(config.Layer(filters=2, kernel=3, padding="valid", pool="none"),)
    )
    # 3 × 3 positions, 2 filters, 9 products each.
    assert architecture.total(architecture.describe(trunk, 5)).multiply_adds == 3 * 3 * 2 * 9


@pytest.mark.parametrize("seed", range(40))
def test_sizes_and_parameters_are_those_of_keras(seed):
    from pipeline.model import network

    trunk, side = random_trunk(seed)
    rows = architecture.describe(trunk, side)
    layers = network.build(trunk, side).layers[1:]

    assert [row.name for row in rows] == [layer.name for layer in layers]
    assert [row.output for row in rows] == [tuple(layer.output.shape[1:]) for layer in layers]
    assert [row.parameters for row in rows] == [layer.count_params() for layer in layers]


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([(5, 1, "none"), (3, 1, "none")], 7),
        ([(3, 2, "average"), (3, 1, "none")], 13),
        ([(3, 1, "average"), (5, 1, "average"), (3, 1, "none")], 22),
    ],
)
def test_one_value_depends_on_as_many_pixels_as_the_receptive_field(layers, expected):
    from pipeline.model import network

    side = 64
    trunk = config.Trunk(
        weights="random",
        channels=1,
        layers=[
            config.Layer(filters=1, kernel=kernel, stride=stride, activation="linear", pool=pool)
            for kernel, stride, pool in layers
        ],
    )
    model = network.build(trunk, side)
    model.set_weights([np.ones_like(array) for array in model.get_weights()])
    rows, columns, _ = architecture.grid(trunk, side)
    one_lit_pixel = np.eye(side, dtype=np.float32)[:, np.newaxis, :, np.newaxis]
    pictures = np.repeat(one_lit_pixel, side, axis=1)  # a lit column, so that only columns differ

    dark = np.asarray(model(np.zeros((1, side, side, 1), np.float32)))
    lit = np.asarray(model(pictures))
    middle = rows // 2 * columns + columns // 2

    assert np.count_nonzero(lit[:, middle] != dark[0, middle]) == expected
    assert architecture.total(architecture.describe(trunk, side)).receptive_field == expected


def test_a_layer_without_output_is_refused():
    trunk = config.Trunk(layers=(config.Layer(filters=2, kernel=9, padding="valid"),) * 2)
    with pytest.raises(ConfigError, match=r"conv2 gets 4×4 pixels and its window is 9×9.*larger"):
        architecture.describe(trunk, 16)
