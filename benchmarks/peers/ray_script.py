"""The work of the threads script by Ray Data: python -m … FOLDER TRUNK TARGET, a folder."""

import sys
from pathlib import Path

import numpy as np
import ray

from benchmarks.scripts.threads import BATCH, load_trunk, views


def crops(batch: dict) -> dict:
    cut = [views(Path(file)) for file in batch["file"]]
    names = np.repeat(batch["file"], [len(each) for each in cut])
    return {"file": names, "crop": np.concatenate(cut)[..., np.newaxis]}


class Trunk:
    def __init__(self, file: str):
        self.trunk = load_trunk(file)

    def __call__(self, batch: dict) -> dict:
        pixels = batch["crop"]
        full = np.pad(pixels, [(0, BATCH - len(pixels)), (0, 0), (0, 0), (0, 0)])
        return {"file": batch["file"], "embedding": self.trunk(full).numpy()[: len(pixels)]}


def embed_folder(folder: Path, file: str, target: Path) -> None:
    """Embed every file of `folder` into Parquet files below `target`."""
    ray.init(include_dashboard=False, log_to_driver=False)
    files = ray.data.from_items([{"file": str(path)} for path in sorted(folder.iterdir())])
    cut = files.map_batches(crops, batch_size=4)
    # Without a core of its own, so that files are decoded on all.
    embedded = cut.map_batches(
        Trunk, fn_constructor_args=[file], batch_size=BATCH, concurrency=1, num_cpus=0
    )
    embedded.write_parquet(str(target), compression="zstd")


if __name__ == "__main__":
    embed_folder(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
