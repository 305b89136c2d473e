"""One crop a scan by Keras alone: folder → model.predict → DataFrame.to_parquet."""

from pathlib import Path

import keras
import pandas as pd

SIDE = 256


def load_model(trunk: str) -> keras.Model:
    """The trunk with three input channels, for images from 0 to 255."""
    scaled = [keras.layers.Rescaling(1 / 255), keras.saving.load_model(trunk, compile=False)]
    return keras.Sequential(scaled)


def embed_folder(folder: Path, model: keras.Model, target: Path) -> None:
    """Embed every image of `folder` into one Parquet file."""
    images = keras.utils.image_dataset_from_directory(
        folder,
        labels=None,
        color_mode="rgb",
        image_size=(SIDE, SIDE),
        shuffle=False,
        batch_size=32,
        verbose=False,
    )
    embeddings = model.predict(images, verbose=0)
    rows = pd.DataFrame({"file": images.file_paths, "embedding": list(embeddings)})
    rows.to_parquet(target)
