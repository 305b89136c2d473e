"""A trunk and a head as one network: the numbers of the pipeline, in Keras and in ONNX Runtime."""

import numpy as np
import pytest

from pipeline import config
from pipeline.errors import ConfigError
from pipeline.model import joined_network, network
from pipeline.model.head.abnormal_probability import to_predictions
from pipeline.model.head.networks import dense_network, predict
from pipeline.model.joined_network import join

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


# The last one leaves nothing to the classes in float32.
@pytest.mark.parametrize(("outputs", "logit"), [(CLASSES, 0), (CLASSES + 1, 0), (CLASSES + 1, 500)])
def test_the_outputs_are_those_of_trunk_and_head_one_after_the_other(trunk, outputs, logit):
    head = head_of(trunk, outputs, logit)
    joined = join(trunk, head, CLASSES, NORMAL)
    require_equal(joined(CROPS), trunk, head)


def test_the_onnx_file_computes_the_same(trunk, tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    pytest.importorskip("tf2onnx", reason="the extra `onnx` is not installed")
    head = head_of(trunk, CLASSES + 1)
    file = tmp_path / "model.onnx"
    joined_network.write_onnx(join(trunk, head, CLASSES, NORMAL), file)
    session = runtime.InferenceSession(file)
    names = [output.name for output in session.get_outputs()]
    require_equal(dict(zip(names, session.run(names, {"crops": CROPS}), strict=True)), trunk, head)


def test_an_onnx_file_without_its_packages_names_them(trunk, tmp_path, monkeypatch):
    monkeypatch.setattr(joined_network, "ONNX_PACKAGES", ("no_such_package",))
    joined = join(trunk, head_of(trunk, CLASSES), CLASSES, NORMAL)
    with pytest.raises(ConfigError, match=r"needs no_such_package.*pip install -e '\.\[onnx\]'"):
        joined_network.write_onnx(joined, tmp_path / "model.onnx")
    assert not any(tmp_path.iterdir())
