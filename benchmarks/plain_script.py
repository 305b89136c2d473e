"""The same work as a simple script: folder → model.predict → DataFrame.to_parquet."""

from pathlib import Path

import pandas as pd

from pipeline import config
from pipeline.model.keras_backend import keras
from pipeline.model.network import build


def plain_model(side: int) -> keras.Model:
    """The default trunk with three input channels, for images from 0 to 255."""
    return keras.Sequential([keras.layers.Rescaling(1 / 255), build(config.Trunk(), side)])


def plain_script(folder: Path, side: int, model: keras.Model, target: Path) -> None:
    """Embed every image of `folder` into one Parquet file."""
    images = keras.utils.image_dataset_from_directory(
        folder,
        labels=None,
        color_mode="rgb",
        image_size=(side, side),
        shuffle=False,
        batch_size=32,
        verbose=False,
    )
    embeddings = model.predict(images, verbose=0)
    rows = pd.DataFrame({"file": images.file_paths, "embedding": list(embeddings)})
    rows.to_parquet(target)
