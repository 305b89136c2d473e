"""The scripts that the pipeline is compared with embed the crops that the pipeline embeds."""

import cv2
import numpy as np
import pandas as pd
import pytest

from pipeline.imaging.crops import Place, cut, cut_alike
from pipeline.model.trunk_weights import PHANTOMS
from pipeline.phantoms import draw_panoramic, draw_periapical
from pipeline.phantoms.files import encode

pytestmark = pytest.mark.slow

HEIGHT = 960  # of a panoramic: its crops are averaged, not enlarged
TOLERANCE = 2e-3  # of the largest value; tf.image averages areas with other roundings than OpenCV


def folder_of(path, pictures):
    path.mkdir()
    for number, pixels in enumerate(pictures):
        cv2.imwrite(str(path / f"{number}.png"), pixels)
    return path


def grey(phantom):
    return cv2.imdecode(
        np.frombuffer(encode(phantom, "png", "", 0), np.uint8), cv2.IMREAD_GRAYSCALE
    )


def embedded(crops):
    """The pipeline's embeddings of crops."""
    from pipeline.config import Trunk
    from pipeline.model.network import Embedder, build

    return Embedder(build(Trunk(), 256)).embed(np.stack(crops))


def stored(target):
    return np.stack(pd.read_parquet(target)["embedding"]).astype(np.float32)


def at_fixed_places(pixels, script):
    """The squares of the scripts as the pipeline cuts them."""
    height, width = pixels.shape
    edge = round(script.SQUARE * height)
    squares = [
        Place(round(x), round(y), edge, edge)
        for y in np.linspace(0, height - edge, script.ROWS)
        for x in np.linspace(0, width - edge, script.COLUMNS)
    ]
    return cut_alike(pixels, squares, script.SIDE)


def test_scripts_for_panoramics_store_the_embeddings_of_the_pipeline(tmp_path):
    from benchmarks.scripts import tf_data, threads

    pictures = [grey(draw_panoramic(seed, HEIGHT)) for seed in range(2)]
    folder = folder_of(tmp_path / "scans", pictures)
    trunk = threads.load_trunk(str(PHANTOMS))
    expected = embedded([crop for each in pictures for crop in at_fixed_places(each, threads)])
    for script in (threads, tf_data):
        script.embed_folder(folder, trunk, tmp_path / "target.parquet")
        found = stored(tmp_path / "target.parquet")
        assert found.shape == expected.shape == (96, 8192)
        assert np.abs(found - expected).max() <= TOLERANCE * expected.max(), script.__name__


def test_the_plain_keras_script_stores_the_embeddings_of_the_pipeline(tmp_path):
    from benchmarks.scripts import plain_keras

    pictures = [cv2.resize(grey(draw_periapical(seed)), (256, 256)) for seed in range(2)]
    folder, whole = folder_of(tmp_path / "scans", pictures), Place(0, 0, 256, 256)
    model = plain_keras.load_model(str(PHANTOMS))
    plain_keras.embed_folder(folder, model, tmp_path / "target.parquet")
    expected = embedded([cut(pixels, whole, whole, 256) for pixels in pictures])
    assert (
        np.abs(stored(tmp_path / "target.parquet") - expected).max() <= TOLERANCE * expected.max()
    )
