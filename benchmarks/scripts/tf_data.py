"""Panoramics by a tuned tf.data pipeline: decode, resize and cut in parallel, embed in batches."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from benchmarks.scripts.threads import BATCH, COLUMNS, ROWS, SIDE, SQUARE


def views(file: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The crops of one panoramic at fixed places, with its name for each."""
    pixels = tf.io.decode_image(tf.io.read_file(file), channels=1, expand_animations=False)
    height, width = tf.unstack(tf.cast(tf.shape(pixels)[:2], tf.float64))
    edge = tf.round(SQUARE * height)
    scale = SIDE / edge
    size = tf.cast(tf.round(scale * tf.stack([height, width])), tf.int32)
    resized = tf.image.resize(pixels, size, tf.image.ResizeMethod.AREA)
    resized = tf.cast(tf.round(resized), tf.uint8)
    tops, lefts = (
        tf.unstack(
            tf.cast(tf.round(scale * tf.round(tf.linspace(0 * last, last, count))), tf.int32)
        )
        for last, count in ((height - edge, ROWS), (width - edge, COLUMNS))
    )
    crops = tf.stack([resized[y : y + SIDE, x : x + SIDE] for y in tops for x in lefts])
    return crops, tf.repeat(file, ROWS * COLUMNS)


def embed_folder(folder: Path, trunk, target: Path) -> None:
    """Embed every file of `folder` into one Parquet file; `trunk` is that of `threads`."""
    files = [str(file) for file in sorted(folder.iterdir())]
    batches = (
        tf.data.Dataset.from_tensor_slices(files)
        .map(views, num_parallel_calls=tf.data.AUTOTUNE)
        .rebatch(BATCH)
        .prefetch(tf.data.AUTOTUNE)
    )
    vectors = pa.list_(pa.float16(), trunk.structured_outputs.shape[1])
    schema = pa.schema([("file", pa.string()), ("embedding", vectors)])
    with pq.ParquetWriter(target, schema, compression="zstd", compression_level=1) as writer:
        for crops, names in batches:
            padded = tf.pad(crops, [(0, BATCH - len(crops)), (0, 0), (0, 0), (0, 0)])
            embedded = trunk(padded).numpy()[: len(crops)].reshape(-1)
            rows = pa.FixedSizeListArray.from_arrays(pa.array(embedded), type=vectors)
            names = [Path(name.decode()).name for name in names.numpy()]
            writer.write_table(pa.table([names, rows], schema=schema))
