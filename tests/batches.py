"""Small real batches and settings for tests; pictures differ, so that no two are duplicates."""

import itertools
from concurrent.futures import Future
from pathlib import Path

import cv2
import numpy as np

from pipeline import config
from pipeline.errors import ScanRejected
from pipeline.ingest import list_files
from pipeline.jobs import resources
from pipeline.report import batch
from pipeline.store.open_store import open_for_writing

# A trunk and a head that compute in milliseconds; everything else is as in real runs.
RECIPE = config.Recipe(side=32)
TRUNK = config.Trunk(
    weights="random",
    layers=(config.Layer(filters=4, kernel=3), config.Layer(filters=8, kernel=3)),
)
HEAD = config.Head(units=(16,), epochs=3, taught=2, min_patients=2)
# The key decides who stands on which side. A random one gave a side of one kind now and then.
KEY = "7a" * 32

_seeds = itertools.count()


def scan(height=60, width=50, seed=None):
    """A textured grey picture, uint8 (height, width)."""
    noise = np.random.default_rng(next(_seeds) if seed is None else seed)
    small = noise.integers(40, 220, (height // 5 + 1, width // 5 + 1)).astype(np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def panoramic(seed=None):
    return scan(60, 120, seed)


def put(folder: Path, **files) -> Path:
    """Write pictures (arrays, by their suffix) and texts; `a_png` becomes `a.png`."""
    for name, content in files.items():
        path = folder / ".".join(name.rsplit("_", 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, np.ndarray):
            content = cv2.imencode(path.suffix, content)[1].tobytes()
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def opened(root: Path, key: str | None = KEY, **changes):
    """A small store below `root`, open for writing, with this key when it has none yet."""
    given = {"recipe": RECIPE, "trunk": TRUNK, "head": HEAD, "workers": 2, "part_size": 3}
    settings = config.load(**{"store": str(root / "store"), **given, **changes})
    if key and not (root / "store" / "store.json").exists():
        settings.private_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (settings.private_folder / "key").write_text(key + "\n")
        (settings.private_folder / "key").chmod(0o600)
    return open_for_writing(settings)


class InPlace:
    """Stands in for the worker processes, whose start takes seconds."""

    def __init__(self, *_):
        pass

    def map(self, work, items):
        for item in items:
            try:
                yield work(item.result() if isinstance(item, Future) else item)
            except ScanRejected as rejection:
                yield rejection

    def close(self):
        pass


class Halved:
    """Stands in for the trunk, since importing TensorFlow takes long."""

    @staticmethod
    def embed(crops):
        small = crops[:, ::4, ::4].astype(np.float16).reshape(len(crops), -1)
        return np.tile(small, (1, 8))


def without_waiting(patch):
    """Quick runs: no second look at fresh files, no worker processes, no TensorFlow, no figures."""
    patch.setattr(list_files, "SECOND_LOOK_SECONDS", 0)
    patch.setattr(resources, "WorkerPool", InPlace)
    patch.setattr(resources, "embedder", lambda store, chosen: Halved)
    patch.setattr(batch, "render", repr)
