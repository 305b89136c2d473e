"""Panoramics by OpenCV in two threads and the traced trunk: python -m … FOLDER TRUNK TARGET.

A scan is resized once, and 48 views of the result are embedded in batches into one Parquet file.
"""

import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SIDE, BATCH, AHEAD = 256, 64, 8
SQUARE, COLUMNS, ROWS = 0.28, 16, 3  # side of a crop as a share of the height; places


def load_trunk(file: str):
    """A traced function from uint8 (64, 256, 256, 1) to float16; equal channels are summed."""
    import keras  # not needed by processes that only cut
    import tensorflow as tf

    _, first, *others = keras.saving.load_model(file, compile=False).layers
    grey = keras.layers.Conv2D.from_config(first.get_config())
    x = inputs = keras.Input((SIDE, SIDE, 1), dtype="uint8")
    for layer in (keras.layers.Rescaling(1 / 255), grey, *others):
        x = layer(x)
    kernel, bias = first.get_weights()
    grey.set_weights([kernel.sum(axis=2, keepdims=True), bias])
    model = keras.Model(inputs, keras.ops.cast(x, "float16"))
    return tf.function(model).get_concrete_function(tf.TensorSpec((BATCH, SIDE, SIDE, 1), tf.uint8))


def views(file: Path) -> list[np.ndarray]:
    """The crops of one panoramic, at fixed places."""
    pixels = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    height, width = pixels.shape
    edge = round(SQUARE * height)
    scale = SIDE / edge
    size = round(scale * width), round(scale * height)
    pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    lefts = (scale * np.linspace(0, width - edge, COLUMNS).round()).round().astype(int)
    tops = (scale * np.linspace(0, height - edge, ROWS).round()).round().astype(int)
    return [pixels[y : y + SIDE, x : x + SIDE] for y in tops for x in lefts]


def ahead(files: list[Path]):
    """Every file with its crops, decoded in two threads, a few files ahead."""
    with ThreadPoolExecutor(2) as threads:
        waiting = deque()
        for file in files:
            waiting.append((file, threads.submit(views, file)))
            if len(waiting) == AHEAD:
                name, crops = waiting.popleft()
                yield name, crops.result()
        yield from ((name, crops.result()) for name, crops in waiting)


def embed_folder(folder: Path, trunk, target: Path) -> None:
    """Embed every file of `folder` into one Parquet file."""
    cv2.setNumThreads(1)
    width = trunk.structured_outputs.shape[1]
    vectors = pa.list_(pa.float16(), width)
    schema = pa.schema([("file", pa.string()), ("embedding", vectors)])
    batch, names = np.zeros((BATCH, SIDE, SIDE, 1), np.uint8), []
    with pq.ParquetWriter(target, schema, compression="zstd", compression_level=1) as writer:

        def write() -> None:
            embedded = trunk(batch).numpy()[: len(names)].reshape(-1)
            rows = pa.FixedSizeListArray.from_arrays(pa.array(embedded), type=vectors)
            writer.write_table(pa.table([names, rows], schema=schema))
            names.clear()

        for file, crops in ahead(sorted(folder.iterdir())):
            for crop in crops:
                batch[len(names), ..., 0] = crop
                names.append(file.name)
                if len(names) == BATCH:
                    write()
        if names:
            write()


if __name__ == "__main__":
    embed_folder(Path(sys.argv[1]), load_trunk(sys.argv[2]), Path(sys.argv[3]))
