import os
import subprocess
import sys

import numpy as np
import pytest

from pipeline import config
from pipeline.errors import ArtifactError, ConfigError
from pipeline.model import architecture, network
from pipeline.model.keras_backend import device, keras, quietly
from pipeline.model.trunk import golden_vector
from pipeline.model.trunk_weights import initial_weights, trunk_fingerprint

SIDE = 32
SMALL = config.Trunk(
    weights="random",
    layers=(
        config.Layer(filters=4, kernel=5),
        config.Layer(filters=8, kernel=3, padding="valid", pool="average"),
    ),
)


def crops(count, side=SIDE, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side), dtype=np.uint8)


@pytest.fixture(scope="module")
def model():
    return network.build(SMALL, SIDE)


@pytest.fixture(scope="module")
def embedder(model):
    return network.Embedder(model)


def test_weights_depend_on_the_seed_alone():
    first, again, other = (initial_weights(SMALL, seed) for seed in (0, 0, 1))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert (first[0] != other[0]).all()
    # NumPy's numbers for seed 0; another backend or another Keras must not change them.
    assert first[0].ravel()[:2] == pytest.approx([0.020531660, -0.021572635], abs=1e-8)


def test_kernels_have_the_variance_that_relu_needs():
    kernel, bias = initial_weights(config.Trunk(layers=(config.Layer(filters=64, kernel=9),)), 0)
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 9 * 3)), rel=0.02)
    assert not bias.any()


def test_the_fingerprint_covers_everything_that_changes_an_embedding():
    layers = SMALL.layers
    same = trunk_fingerprint(SMALL, SIDE, "recipe")
    others = [
        trunk_fingerprint(SMALL.model_copy(update={"seed": 1}), SIDE, "recipe"),
        trunk_fingerprint(SMALL.model_copy(update={"channels": 1}), SIDE, "recipe"),
        trunk_fingerprint(SMALL.model_copy(update={"layers": layers[:1]}), SIDE, "recipe"),
        trunk_fingerprint(
            SMALL.model_copy(
                update={"layers": (layers[0], layers[1].model_copy(update={"pool": "max"}))}
            ),
            SIDE,
            "recipe",
        ),
        trunk_fingerprint(SMALL, SIDE + 1, "recipe"),
        trunk_fingerprint(SMALL, SIDE, "another"),
        trunk_fingerprint(SMALL.model_copy(update={"precision": "bfloat16"}), SIDE, "recipe"),
    ]
    assert same == trunk_fingerprint(SMALL, SIDE, "recipe")
    assert len({same, *others}) == 8
    assert len(same) == 12
    assert set(same) <= set("0123456789abcdef")


def test_the_fingerprint_of_a_weights_file_depends_on_its_bytes_not_its_path(tmp_path):
    one, other = tmp_path / "one.keras", tmp_path / "other.keras"
    one.write_bytes(b"weights")
    other.write_bytes(b"weights")
    prints = [
        trunk_fingerprint(SMALL.model_copy(update={"weights": path, "seed": seed}), SIDE, "recipe")
        for path, seed in ((one, 0), (other, 1))
    ]
    assert prints[0] == prints[1]
    one.write_bytes(b"retrained")
    changed = SMALL.model_copy(update={"weights": one})
    assert trunk_fingerprint(changed, SIDE, "recipe") != prints[0]


def test_missing_weights_are_named(tmp_path):
    trunk = SMALL.model_copy(update={"weights": tmp_path / "gone.keras"})
    for use in (lambda: trunk_fingerprint(trunk, SIDE, "recipe"), lambda: network.build(trunk, 8)):
        with pytest.raises(
            ConfigError,
            match=r"gone\.keras, which is not a file; phantoms, random or .*Correct the path",
        ):
            use()


def test_the_network_reads_its_weights_from_a_file(tmp_path, model):
    file = tmp_path / "mine.keras"
    trained = network.build(SMALL.model_copy(update={"seed": 7}), SIDE)
    file.write_bytes(network.to_bytes(trained))

    loaded = network.build(SMALL.model_copy(update={"weights": file}), SIDE)

    for mine, theirs in zip(loaded.get_weights(), trained.get_weights(), strict=True):
        assert (mine == theirs).all()
    assert (loaded.get_weights()[0] != model.get_weights()[0]).any()


def test_weights_of_another_architecture_are_refused_with_both_shapes(tmp_path, model):
    file = tmp_path / "mine.keras"
    file.write_bytes(network.to_bytes(model))
    trunk = SMALL.model_copy(
        update={"weights": file, "layers": (config.Layer(filters=2, kernel=3),)}
    )
    with pytest.raises(ConfigError, match=r"\(5, 5, 3, 4\).*need \[\(3, 3, 3, 2\), \(2,\)\]"):
        network.build(trunk, SIDE)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    file = tmp_path / "diverged.keras"
    diverged = network.build(SMALL, SIDE)
    diverged.set_weights([array * np.nan for array in diverged.get_weights()])
    file.write_bytes(network.to_bytes(diverged))
    with pytest.raises(ConfigError, match=r"not finite.*train it again"):
        network.build(SMALL.model_copy(update={"weights": file}), SIDE)


def test_a_network_survives_the_keras_format(model):
    again = network.from_bytes(network.to_bytes(model))
    picture = crops(2)[..., np.newaxis].repeat(3, axis=-1) / np.float32(255)
    assert (np.asarray(again(picture)) == np.asarray(model(picture))).all()
    assert [layer.name for layer in again.layers[1:]] == [
        row.name for row in architecture.describe(SMALL, SIDE)
    ]


def test_a_stored_network_that_was_compiled_loads_with_keras_as_it_is(tmp_path, model):
    compiled = network.compile_for_inference(keras.models.clone_model(model))
    file = tmp_path / "model.keras"
    file.write_bytes(network.to_bytes(compiled))
    again = keras.models.load_model(file)
    for mine, theirs in zip(again.get_weights(), compiled.get_weights(), strict=True):
        assert (mine == theirs).all()
    assert compiled.compiled


@pytest.mark.parametrize("spoil", [lambda data: b"no model", lambda data: data[: len(data) // 2]])
def test_bytes_that_are_not_a_model_are_refused(model, spoil):
    data = spoil(network.to_bytes(model))
    with pytest.raises(ArtifactError, match=rf"^{len(data)} bytes are not a readable Keras model"):
        network.from_bytes(data)


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_crops_give_what_equal_channels_give(channels):
    trunk = SMALL.model_copy(update={"channels": channels})
    model = network.build(trunk, SIDE)
    grey = crops(5)
    expected = np.asarray(model(grey[..., np.newaxis].repeat(channels, axis=-1) / np.float32(255)))

    folded = np.concatenate(
        list(network.in_batches(network.Embedder(model).model, grey[..., np.newaxis]))
    )

    assert np.abs(folded - expected).max() < 1e-5 * np.abs(expected).max()
    found = network.Embedder(model).embed(grey)
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_bfloat16_inside_gives_nearly_the_same_embeddings_from_the_same_weights():
    model = network.build(SMALL, SIDE)
    grey = crops(70)
    half = network.Embedder(model, "bfloat16")
    expected, found = (each.embed(grey).astype(float) for each in (network.Embedder(model), half))
    lengths = np.linalg.norm(expected, axis=1) * np.linalg.norm(found, axis=1)
    assert (expected != found).any()
    assert ((expected * found).sum(axis=1) / lengths).min() > 0.9999
    assert next(network.in_batches(half.model, grey[..., np.newaxis])).dtype == np.float32
    assert {each.dtype for each in half.model.weights} == {"float32"}


def test_embeddings_are_in_row_column_channel_order():
    # A kernel of one pixel and a scale per filter: the picture can be read from the embedding.
    layer = config.Layer(filters=2, kernel=1, activation="linear", pool="none")
    model = network.build(config.Trunk(weights="random", channels=1, layers=(layer,)), SIDE)
    model.set_weights([np.array([[[[1.0, 10.0]]]]), np.zeros(2)])
    picture = crops(1)

    found = network.Embedder(model).embed(picture)[0].reshape(SIDE, SIDE, 2)
    np.testing.assert_allclose(found[:, :, 0], picture[0] / 255, rtol=1e-3)
    np.testing.assert_allclose(found[:, :, 1], picture[0] / 25.5, rtol=1e-3)


def test_an_embedding_does_not_depend_on_its_neighbours(embedder):
    grey = crops(150)
    together = embedder.embed(grey)
    assert together.shape == (150, architecture.width(SMALL, SIDE))
    assert (embedder.embed(grey[:1]) == together[:1]).all()
    assert (embedder.embed(grey[100:]) == together[100:]).all()
    assert (embedder.embed(grey[::-1]) == together[::-1]).all()
    assert embedder.embed(grey[:0]).shape == (0, architecture.width(SMALL, SIDE))


@pytest.mark.parametrize(
    "wrong", [crops(2).astype(np.float32), crops(2, side=SIDE + 1), crops(2)[..., np.newaxis]]
)
def test_crops_of_another_form_are_refused(embedder, wrong):
    with pytest.raises(ArtifactError, match=r"takes uint8 of shape \(N, 32, 32\)"):
        embedder.embed(wrong)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30, -1e6])
def test_values_that_float16_cannot_hold_are_refused(bad):
    # Without pooling: the maximum of values that are no numbers is a number in TensorFlow.
    layer = config.Layer(filters=2, kernel=3, activation="linear", pool="none")
    trunk = config.Trunk(weights="random", layers=(layer,))
    model = network.build(trunk, SIDE)
    kernel, bias = model.get_weights()
    bias[0] = bad
    model.set_weights([kernel, bias])
    with pytest.raises(ArtifactError, match="finite values up to 65504 were expected"):
        network.Embedder(model).embed(crops(1))


def test_the_golden_crop_never_changes():
    picture = golden_vector.golden_crop(256)
    assert picture.dtype == np.uint8
    assert picture.shape == (256, 256)
    assert int(picture.sum()) == 5_151_998
    assert golden_vector.golden_crop(8).std() > 10


def test_the_golden_check_accepts_rounding_and_refuses_other_weights(model, embedder):
    picture = golden_vector.golden_crop(SIDE)[np.newaxis]
    stored = embedder.embed(picture)[0]
    weights = model.get_weights()
    random = np.random.default_rng(0)

    def now(size):
        moved = network.build(SMALL, SIDE)
        moved.set_weights([array + size * random.standard_normal(array.shape) for array in weights])
        return network.Embedder(moved).embed(picture)[0]

    assert golden_vector.golden_matches(stored, now(0))
    assert golden_vector.golden_matches(stored, now(1e-6))
    assert not golden_vector.golden_matches(stored, now(0.05))
    assert not golden_vector.golden_matches(stored, stored * np.float16(1.05))
    assert not golden_vector.golden_matches(stored, stored[:-1])
    assert not golden_vector.golden_matches(stored, np.full_like(stored, np.nan))


def test_the_device_is_cpu_gpu_or_tpu():
    assert any(kind in device() for kind in ("cpu", "gpu", "tpu"))


@pytest.mark.slow
def test_what_decides_whether_there_is_work_imports_neither_keras_nor_scikit_learn():
    names = "architecture fingerprints trunk_weights trunk.golden_vector"
    scores = "scores.evaluation scores.metrics scores.splits"
    modules = ", ".join(f"pipeline.model.{name}" for name in f"{names} {scores}".split())
    slow = "bool({'keras', 'sklearn'} & sys.modules.keys())"
    code = f"import sys, {modules}; sys.exit({slow})"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


@pytest.mark.slow
def test_importing_keras_leaves_out_what_it_can_do_without_and_changes_no_other_module():
    code = (
        "import sys, typing; from pipeline.model.keras_backend import keras; "
        "found = {'matplotlib', 'sklearn'} & sys.modules.keys(); "
        "print(*found, 'compile' in vars(typing)); "
        "import matplotlib, sklearn"
    )
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert asked.stdout.split() == [b"False"]


def test_only_the_known_log_noise_of_an_import_is_filtered(capfd):
    with quietly():
        os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called\n")
        os.write(2, b"I0000 00:00:1795493270.322264    3921 port.cc:153] oneDNN\n")
        os.write(2, b"disk failing\n")
    os.write(2, b"later\n")
    assert capfd.readouterr().err == "disk failing\nlater\n"
