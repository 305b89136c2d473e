"""The work of the threads script by Daft: python -m … FOLDER TRUNK TARGET; TARGET is a folder."""

import sys
from collections.abc import Iterator
from pathlib import Path

import daft
import numpy as np
from daft import DataType

from benchmarks.scripts.threads import BATCH, SIDE, load_trunk, views


@daft.func
def crops(file: str) -> Iterator[bytes]:
    for crop in views(Path(file)):
        yield crop.tobytes()


@daft.cls(max_concurrency=1, use_process=False)
class Trunk:
    def __init__(self, file: str):
        self.trunk = load_trunk(file)

    @daft.method.batch(
        return_dtype=DataType.fixed_size_list(DataType.float32(), 8192), batch_size=BATCH
    )
    def embed(self, crops: daft.Series):
        pixels = np.frombuffer(b"".join(crops.to_pylist()), np.uint8).reshape(-1, SIDE, SIDE, 1)
        full = np.pad(pixels, [(0, BATCH - len(pixels)), (0, 0), (0, 0), (0, 0)])
        return self.trunk(full).numpy()[: len(pixels)].astype(np.float32)


def embed_folder(folder: Path, file: str, target: Path) -> None:
    """Embed every file of `folder` into Parquet files below `target`."""
    files = daft.from_pydict({"file": [str(path) for path in sorted(folder.iterdir())]})
    cut = files.select(files["file"], crops(files["file"]).alias("crop"))
    rows = cut.select(cut["file"], Trunk(file).embed(cut["crop"]).alias("embedding"))
    rows.write_parquet(str(target), compression="zstd")


if __name__ == "__main__":
    embed_folder(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
