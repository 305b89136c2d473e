"""A trunk and a head as one network: the numbers of the pipeline, in Keras and in ONNX Runtime."""

from types import SimpleNamespace

import numpy as np
import pytest

from pipeline import config
from pipeline.errors import ArtifactError, ConfigError
from pipeline.export.models import export_head
from pipeline.model import image_network, network, onnx_network
from pipeline.model.head.abnormal_probability import to_predictions
from pipeline.model.head.dense import DenseNetwork
from pipeline.model.head.networks import dense_network, for_predictions, predict
from pipeline.model.head.tied_weights import unroll_kernel
from pipeline.model.joined_network import join
from pipeline.model.keras_backend import keras

SIDE, CLASSES, NORMAL = 29, 3, 1
Layer = config.Layer
# Every activation, padding and pooling that the settings offer.
TRUNK = config.Trunk(
    weights="random",
    layers=(
        Layer(filters=4, kernel=4, stride=2, activation="gelu", pool="average", pool_size=3),
        Layer(filters=4, kernel=3, padding="valid", activation="elu", pool="none"),
        Layer(filters=3, kernel=2, activation="tanh"),
        Layer(filters=3, kernel=2, activation="sigmoid", pool="none"),
        Layer(filters=4, kernel=2, activation="linear", pool="none"),
        Layer(filters=5, kernel=2, activation="relu", pool="none"),
    ),
)
CROPS = np.random.default_rng(0).integers(0, 256, (20, SIDE, SIDE), dtype=np.uint8)
# The last one leaves nothing to the classes in float32.
WITH_BACKGROUND_AND_WITHOUT = pytest.mark.parametrize(
    ("outputs", "logit"), [(CLASSES, 0), (CLASSES + 1, 0), (CLASSES + 1, 500)]
)


@pytest.fixture(scope="module")
def trunk():
    return network.build(TRUNK, SIDE)


def head_of(trunk, outputs, background_logit=0.0):
    head = dense_network(trunk.output_shape[-1], config.Head(units=(8,)), outputs)
    *hidden, kernel, bias = head.get_weights()
    kernel = 3 * np.random.default_rng(1).standard_normal(kernel.shape)
    bias[CLASSES:] = background_logit
    head.set_weights([*hidden, kernel, bias])
    return network.compile_for_inference(head)


def expected(trunk, head, kind):
    """What the pipeline predicts, with embeddings in float32."""
    grey = network.in_batches(network.Embedder(trunk).model, CROPS[..., np.newaxis])
    outputs = predict(head, np.concatenate(list(grey)))
    return to_predictions(outputs, CLASSES, NORMAL, [kind] * len(CROPS))


def require_equal(outputs, trunk, head):
    box, found = (expected(trunk, head, kind) for kind in ("box", "tooth"))
    for name, values in (
        ("probabilities", box.probabilities),
        ("p_abnormal_box", box.p_abnormal),
        ("p_abnormal_found", found.p_abnormal),
    ):
        assert np.abs(np.asarray(outputs[name]) - values).max() < 1e-5, name


@WITH_BACKGROUND_AND_WITHOUT
def test_the_outputs_are_those_of_trunk_and_head_one_after_the_other(trunk, outputs, logit):
    head = head_of(trunk, outputs, logit)
    joined = join(trunk, head, CLASSES, NORMAL)
    require_equal(joined(CROPS), trunk, head)


def test_a_head_that_predicts_as_convolutions_is_exported_as_its_dense_layers(
    tmp_path, monkeypatch
):
    trunk = network.build(
        config.Trunk(weights="random", layers=(Layer(filters=4, kernel=3),)), SIDE
    )
    grid, random = (14, 14, 4), np.random.default_rng(0)
    hidden = unroll_kernel(random.standard_normal((3, 3, 4, 2)).astype(np.float32), grid)
    last = random.standard_normal((98, CLASSES)).astype(np.float32)
    layers = DenseNetwork.of([hidden, np.ones(98, np.float32), last, np.zeros(3, np.float32)])
    model = for_predictions(layers, grid)
    assert any(isinstance(layer, keras.layers.Conv2D) for layer in model.layers)
    card = {"classes": ["a", "b", "c"], "normal_class": "b", "trunk": "t"}
    head = SimpleNamespace(store=None, card=card, layers=layers, model=model)
    monkeypatch.setattr(export_head, "read_model", lambda *_: trunk)

    export_head._write_networks(head, {"keras": tmp_path / "model.keras"})

    exported = keras.models.load_model(tmp_path / "model.keras")
    require_equal(exported(CROPS), trunk, model)


@WITH_BACKGROUND_AND_WITHOUT
def test_the_onnx_file_computes_the_same(trunk, outputs, logit, tmp_path):
    onnx = pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    head, file = head_of(trunk, outputs, logit), tmp_path / "model.onnx"
    onnx_network.write_onnx(join(trunk, head, CLASSES, NORMAL), NORMAL, file)
    onnx.checker.check_model(file, full_check=True)
    session = runtime.InferenceSession(file)
    assert session.get_inputs()[0].shape == ["N", SIDE, SIDE]
    names = [output.name for output in session.get_outputs()]
    require_equal(dict(zip(names, session.run(names, {"crops": CROPS}), strict=True)), trunk, head)


def test_the_onnx_file_of_another_network_computes_the_same(tmp_path):
    pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    layers, image = keras.layers, keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, strides=2, use_bias=False)(
        layers.ZeroPadding2D(((0, 1), (1, 0)))(image)
    )
    x = before = layers.ReLU(6)(layers.BatchNormalization(gamma_initializer="he_normal")(x))
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x)
    x = layers.Add()([layers.Conv2D(4, 1, activation="silu")(x), before])
    network.save(keras.Model(image, layers.MaxPooling2D(2)(x)), tmp_path / "own.keras")
    for number, pool in enumerate(("none", "mean+max+middle")):
        settings = config.Trunk(model=tmp_path / "own.keras", scale="-1..1", pool=pool)
        trunk = image_network.build(settings, SIDE)
        head, file = head_of(trunk, CLASSES + 1), tmp_path / f"{number}.onnx"
        onnx_network.write_onnx(join(trunk, head, CLASSES, NORMAL), NORMAL, file)
        session = runtime.InferenceSession(file)
        names = [output.name for output in session.get_outputs()]
        found = session.run(names, {"crops": CROPS})
        require_equal(dict(zip(names, found, strict=True)), trunk, head)


def test_an_onnx_file_without_its_package_names_it(trunk, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_network, "PACKAGE", "no_such_package")
    joined = join(trunk, head_of(trunk, CLASSES), CLASSES, NORMAL)
    with pytest.raises(ConfigError, match=r"needs the package no_such_package.*'\.\[onnx\]'"):
        onnx_network.write_onnx(joined, NORMAL, tmp_path / "model.onnx")
    assert not any(tmp_path.iterdir())


def test_a_layer_that_is_not_known_is_refused_by_name(trunk, tmp_path):
    pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
    x = inputs = keras.Input(trunk.output_shape[1:])
    x = keras.layers.Dense(CLASSES, activation="softmax")(keras.layers.LayerNormalization()(x))
    joined = join(trunk, keras.Model(inputs, x), CLASSES, NORMAL)
    with pytest.raises(ArtifactError, match=r"of the kind LayerNormalization.*with --keras"):
        onnx_network.write_onnx(joined, NORMAL, tmp_path / "model.onnx")
