"""Train the tooth finder that ships with the package, on phantoms alone: `make phantom-finder`.

Phantoms are drawn, so the positions of all their teeth are known. No patient's scan and no store is
read.
"""

import os
from collections.abc import Sequence
from multiprocessing import get_context

import numpy as np

from pipeline.imaging import tooth_finder
from pipeline.phantoms import draw_panoramic
from pipeline.phantoms.views import Drawn, drawn, view
from pipeline.progress import progress

SCANS, EPOCHS, BATCH, SEED = 600, 30, 16, 0
DRAWN_HEIGHT = 300  # pixels; the finder sees 128


def draw(seed: int) -> Drawn:
    """Draw one phantom, with its teeth."""
    return drawn(draw_panoramic(seed, DRAWN_HEIGHT))


def learn(scans: Sequence[Drawn], epochs: int, seed: int) -> list[np.ndarray]:
    """Train the finder; return weights as `imaging.tooth_finder` takes them."""
    # Processes that draw phantoms import this module too, and need no Keras.
    from pipeline.model import tooth_finder_network

    shape = tooth_finder.HEIGHT, tooth_finder.WIDTH
    model = tooth_finder_network.network(
        shape, tooth_finder.FIRST_KERNEL, tooth_finder.CELL, tooth_finder.DILATIONS, seed
    )
    steps = len(scans) // BATCH
    tooth_finder_network.prepare(model, epochs * steps)
    random = np.random.default_rng(seed)
    with progress("learn finder", epochs) as advance:
        for _ in range(epochs):
            for numbers in random.permutation(len(scans))[: steps * BATCH].reshape(steps, BATCH):
                views = [view(scans[number], random) for number in numbers]
                pictures = np.stack(
                    [tooth_finder.normalise_contrast(pixels) for pixels, _ in views]
                )
                hills = np.stack(
                    [tooth_finder_network.target(teeth, tooth_finder.GRID) for _, teeth in views]
                )
                model.train_on_batch(pictures[..., np.newaxis], hills)
            advance(1)
    return tooth_finder_network.learned(model)


def main() -> None:
    """Draw phantoms, train on them and replace the weights of the package."""
    with get_context("spawn").Pool(os.cpu_count() or 1) as pool:
        scans = pool.map(draw, range(1000, 1000 + SCANS), 8)
    # float16 finds the same places, and the file is half as large.
    weights = [array.astype(np.float16) for array in learn(scans, EPOCHS, SEED)]
    np.savez_compressed(tooth_finder.WEIGHTS, *weights)
    print(f"{tooth_finder.WEIGHTS}: {sum(array.size for array in weights)} numbers")


if __name__ == "__main__":
    main()
