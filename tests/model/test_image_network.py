"""Any Keras model as trunk: what it becomes, and the sentence for each that cannot be one."""

from pathlib import Path

import numpy as np
import pytest

from pipeline import config
from pipeline.errors import ArtifactError, ConfigError
from pipeline.model import architecture, image_network, network, network_facts
from pipeline.model.keras_backend import keras
from pipeline.model.trunk_weights import card_settings, trunk_fingerprint

SIDE = 16
layers = keras.layers


def small_model(size=None, channels=3):
    """A functional model with a Sequential model inside it: 8 × 8 × 4 cells, then a class."""
    inputs = keras.Input((size, size, channels))
    inside = keras.Sequential(
        [
            keras.Input((None, None, channels)),
            layers.Conv2D(4, 3, strides=2, padding="same", name="first"),
            layers.BatchNormalization(),
            layers.Activation("relu", name="last_map"),
        ]
    )
    x = layers.GlobalAveragePooling2D()(inside(inputs))
    return keras.Model(inputs, layers.Dense(3, name="vector")(x))


@pytest.fixture
def saved(tmp_path):
    """A function that saves a model and gives the trunk that names it."""

    def save(model, **cut):
        network.save(model, tmp_path / "mine.keras")
        return config.Trunk(model=tmp_path / "mine.keras", **cut)

    return save


def crops(count=3):
    return np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE), dtype=np.uint8)


def embedded(trunk):
    return network.Embedder(image_network.build(trunk, SIDE)).embed(crops())


def last_map(model, pixels):
    """What the model itself computes for grey pixels of its own range."""
    inside = next(each for each in model.layers if isinstance(each, keras.Sequential))
    return np.asarray(inside(np.repeat(pixels[..., np.newaxis], 3, axis=-1)))


@pytest.mark.parametrize(
    ("scale", "pixels"),
    [
        ("0..255", crops().astype("f4")),
        ("0..1", crops() / np.float32(255)),
        ("-1..1", crops() / np.float32(127.5) - 1),
    ],
)
def test_embeddings_are_the_last_map_of_the_model_itself_on_grey_repeated(saved, scale, pixels):
    model = small_model()
    expected = last_map(model, pixels).reshape(3, -1)
    found = embedded(saved(model, scale=scale))
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-3 * expected.max())


def test_maps_are_averaged_to_cells_or_to_mean_maximum_and_mean_of_the_middle(saved):
    model = small_model()
    maps = last_map(model, crops().astype("f4"))
    quarters = maps.reshape(3, 2, 4, 2, 4, 4).mean(axis=(2, 4)).reshape(3, -1)
    np.testing.assert_allclose(embedded(saved(model, pool=2)), quarters, rtol=2e-3, atol=0.05)
    middle = maps[:, 2:6, 2:6].mean(axis=(1, 2))
    vector = np.concatenate([maps.mean(axis=(1, 2)), maps.max(axis=(1, 2)), middle], axis=1)
    found = embedded(saved(model, pool="mean+max+middle"))
    np.testing.assert_allclose(found, vector, rtol=2e-3, atol=0.05)
    assert embedded(saved(model, layer="vector")).shape == (3, 3)


def test_a_stored_trunk_reproduces_its_embeddings_and_sequential_models_do_too(saved):
    model = image_network.build(saved(keras.Sequential(small_model().layers[:2])), SIDE)
    assert image_network.output_of(model) == (8, 8, 4)
    again = network.Embedder(network.from_bytes(network.to_bytes(model)))
    assert (again.embed(crops()) == network.Embedder(model).embed(crops())).all()


def test_every_layer_is_described_like_the_notes_network_and_unknown_ones_are_named(saved):
    notes = config.Trunk(weights="random")
    expected = architecture.describe(notes, 32)
    found = network_facts.describe(network.build(notes, 32))
    assert found == expected
    image = keras.Input((None, None, 3))
    x = layers.SeparableConv2D(5, 3, padding="same", name="separable")(image)
    x = layers.DepthwiseConv2D(3, strides=2, padding="same", name="depthwise")(x)
    x = layers.Conv2D(2, 3, padding="same", name="last")(layers.UnitNormalization()(x))
    model = image_network.build(saved(keras.Model(image, x)), SIDE)
    rows = {row.name: row for row in network_facts.describe(model)}
    assert rows["separable"].multiply_adds == 16 * 16 * (9 * 3 + 3 * 5)
    assert rows["depthwise"].multiply_adds == 8 * 8 * 9 * 5
    assert (rows["depthwise"].receptive_field, rows["last"].receptive_field) == (5, None)
    assert rows["last"].parameters == 9 * 5 * 2 + 2
    assert network_facts.unknown_layers(model) == ["UnitNormalization"]
    assert network_facts.format_model(model) == "16×16×3 → 4 layers → 8×8×2 → 128"


def test_the_fingerprint_covers_the_bytes_and_the_cut_but_not_the_path(saved, tmp_path):
    trunk = saved(small_model())
    copy = tmp_path / "copy.keras"
    copy.write_bytes(trunk.model.read_bytes())
    first = trunk_fingerprint(trunk, SIDE, "recipe")
    assert trunk_fingerprint(trunk.model_copy(update={"model": copy}), SIDE, "recipe") == first
    changes = {"layer": "first"}, {"pool": 2}, {"scale": "0..1"}
    others = [trunk_fingerprint(trunk.model_copy(update=each), SIDE, "recipe") for each in changes]
    assert len({first, *others, trunk_fingerprint(trunk, SIDE + 1, "recipe")}) == 5
    assert card_settings(trunk)["model"] == "model.keras"


class Subclassed(keras.Model):
    def call(self, x):
        return x


def two_inputs():
    one, other = keras.Input((SIDE, SIDE, 3)), keras.Input((SIDE, SIDE, 3))
    return keras.Model([one, other], layers.Add()([one, other]))


def of_shape(*shape):
    inputs = keras.Input(shape)
    return keras.Model(inputs, layers.Flatten()(inputs))


def tokens():
    inputs = keras.Input((SIDE, SIDE, 3))
    return keras.Model(inputs, layers.Reshape((-1, 3), name="tokens")(inputs))


def not_finite():
    model = small_model()
    model.set_weights([array * np.nan for array in model.get_weights()])
    return model


@pytest.mark.parametrize(
    ("make", "cut", "message"),
    [
        (two_inputs, {}, r"has 2 inputs, expected one: the image\. Save the part"),
        (lambda: of_shape(9), {}, r"takes the shape \(9,\); a square image"),
        (lambda: of_shape(SIDE, SIDE, 5), {}, r"shape \(16, 16, 5\).*channels last"),
        (lambda: of_shape(SIDE, 8, 3), {}, r"shape \(16, 8, 3\); a square image"),
        (lambda: small_model(24), {}, r"24 × 24 pixels, and `recipe\.side` is 16.*side = 24"),
        (small_model, {"layer": "last_mp"}, r"none of the model's 6 layers.*one of: last_map"),
        (small_model, {"layer": "vector", "pool": 2}, r"vector of 3 values.*layer before it"),
        (small_model, {"pool": 9}, r"`trunk\.pool` is 9.*8 × 8 cells\. Set it to at most 8"),
        (tokens, {"layer": "tokens"}, r"tokens gives values of the shape \(256, 3\); a map"),
        (not_finite, {}, r"weights that are not finite.*train it again"),
        (small_model, {"channels": 1}, r"`trunk\.channels` belongs to the network of `notes`"),
        (small_model, {"seed": 1}, r"Remove `trunk\.seed`, or set another `trunk\.model`"),
    ],
)
def test_what_cannot_be_a_trunk_is_refused_with_what_to_do(saved, make, cut, message):
    with pytest.raises(ConfigError, match=message):
        image_network.build(saved(make(), **cut), SIDE)


def test_a_model_without_a_graph_is_refused():
    with pytest.raises(ConfigError, match=r"no graph of layers.*Save a functional"):
        image_network.bind(Subclassed(), SIDE)


def test_a_crop_too_small_for_the_model_is_refused():
    inputs = keras.Input((None, None, 3))
    with pytest.raises(ConfigError, match=r"cannot take crops of 16 × 16.*another `recipe\.side`"):
        image_network.bind(keras.Model(inputs, layers.Conv2D(2, 19)(inputs)), SIDE)


def test_files_that_are_no_model_or_need_code_are_refused(saved, tmp_path):
    lambdas = keras.Sequential([keras.Input((SIDE, SIDE, 3)), layers.Lambda(lambda x: x)])
    own = type("Own", (layers.Layer,), {"call": lambda self, x: x})
    image = keras.Input((SIDE, SIDE, 3))
    for model, message in (
        (lambdas, r"has a Lambda layer: code in a file is never run\. Replace"),
        (
            keras.Model(image, own()(image)),
            r"needs `Own`, code that Keras does not have.*layers of Keras",
        ),
    ):
        file = tmp_path / "code.keras"
        network.save(model, file)
        with pytest.raises(ConfigError, match=message):
            image_network.build(config.Trunk(model=file), SIDE)
    file.write_bytes(b"no model")
    with pytest.raises(ConfigError, match=r"code\.keras, which is not a readable Keras model"):
        image_network.build(config.Trunk(model=file), SIDE)
    for use in (image_network.build, lambda trunk, side: trunk_fingerprint(trunk, side, "r")):
        with pytest.raises(ConfigError, match=r"gone, which is not a file; notes, efficient"):
            use(config.Trunk(model=Path("gone")), SIDE)


def test_settings_of_other_networks_are_refused_for_the_notes_network():
    with pytest.raises(ConfigError, match=r"`trunk\.pool` belongs to a model from a file, and"):
        trunk_fingerprint(config.Trunk(pool=2), SIDE, "recipe")


def test_values_that_float16_cannot_hold_are_refused_with_what_to_set(saved):
    inputs = keras.Input((SIDE, SIDE, 3))
    trunk = saved(keras.Model(inputs, layers.Rescaling(1e4)(inputs)))
    with pytest.raises(ArtifactError, match=r"float16 cannot hold.*another `trunk\.layer`"):
        embedded(trunk)
