"""`make bench-finder FOLDS=5`: does fine-tuning on annotated boxes improve the tooth finder?

In every fold the network starts from the weights of the package, learned from phantoms only, and is
fine-tuned on panoramics of the other folds; images of one group are on one side. Teeth without a
box are unlabelled: cells in a box are labelled, cells off the arch have no tooth, and nothing is
known about the others. They are ignored, or treated as a mixture with a known share of teeth:
Kiryo et al., "Positive-unlabeled learning with non-negative risk estimator", arXiv:1703.00593. The
weights of the package are not replaced.

Both finders are measured on panoramics that neither learned from; differences are paired.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from sklearn.model_selection import GroupKFold

from benchmarks.tooth_finder import Scan, annotated, found_teeth, interval
from pipeline.imaging import tooth_finder
from pipeline.imaging.downscale import averaged, shrink
from pipeline.imaging.tooth_finder import (
    ARCH_CENTRE,
    ARCH_REACH,
    CELL,
    DILATIONS,
    FIRST_KERNEL,
    GRID,
    HEIGHT,
    WIDTH,
)
from pipeline.learn.learn_finder import BATCH, draw
from pipeline.model import tooth_finder_network
from pipeline.model.keras_backend import keras
from pipeline.phantoms.views import DRAWN, Drawn, view

COUNTS = (16, 24, 32, 48)  # numbers of first places
# A box: x and y of the middle, width and height.
ARCH = np.concatenate([ARCH_CENTRE, 2 * np.array(ARCH_REACH)])
TEETH = 26  # of a panoramic, about; five have a box
CORE = 0.8  # of a box's edges: no other tooth has its middle in it
VIEWS = 6  # of every image
PHANTOMS = 100
# On the same folds, 60 steps at half the rate gained less: 3 points with 32 places, none with 48.
# The result with the better of the two is therefore slightly optimistic.
STEPS, LEARNING_RATE, MEAN_OVER = 150, 2e-3, 0.95


@dataclass(frozen=True)
class Variant:
    """A variant of fine-tuning."""

    name: str
    unlabelled: bool  # whether unlabelled cells count
    phantoms: int  # of every batch


VARIANTS = (
    # The effect of longer training alone.
    Variant("phantoms, for longer", unlabelled=False, phantoms=BATCH),
    Variant("phantoms and boxes, others ignored", unlabelled=False, phantoms=BATCH // 2),
    Variant("phantoms and boxes, others mixed", unlabelled=True, phantoms=BATCH // 2),
)
Example = tuple[np.ndarray, np.ndarray]  # input image, and labels of its cells


def labelled(boxes: np.ndarray, arch: np.ndarray) -> np.ndarray:
    """Labels of the cells, float32 (rows, columns, 3): target, labelled, off the arch."""
    target = tooth_finder_network.target(boxes, GRID)[..., 0]
    known = (target >= 1) | within(boxes * [1, 1, CORE, CORE])
    off = ~within(arch[np.newaxis]) & ~known
    return np.stack([target, known, off], axis=-1).astype(np.float32)


def within(boxes: np.ndarray) -> np.ndarray:
    """Which cells have their middle in any box (x and y of the middle, width and height)."""
    row, column = np.indices(GRID)
    places = (np.stack([column, row], axis=-1) + 0.5) / GRID[::-1]
    away = np.abs(places[:, :, np.newaxis] - boxes[:, :2])
    return (away <= boxes[:, 2:] / 2).all(axis=-1).any(axis=-1)


def loss_of(unlabelled: bool) -> Callable:
    """The focal loss of the tooth finder for images with few known teeth, or all (phantoms).

    Known teeth represent all: with few boxes, each is weighted by the number of teeth per box, so
    that cells off the arch have the same weight as on a phantom.
    """
    ops = keras.ops

    def total(cells):
        return ops.sum(cells, axis=(1, 2))

    def loss(known, logits):
        target, labelled, off = (known[..., number] for number in range(3))
        logits = logits[..., 0]
        chance, middle = ops.sigmoid(logits), ops.cast(target >= 1, "float32")
        invented = chance**2 * ops.softplus(logits)
        found = middle * (1 - chance) ** 2 * ops.softplus(-logits)
        near = total(found + (1 - middle) * (1 - target) ** 4 * invented * labelled)
        count = total(middle)
        teeth = ops.where(total(1 - labelled) > 0, TEETH, count)
        times = teeth / ops.maximum(count, 1)
        cost = times * near + total(invented * off)
        if unlabelled:
            # Minus the expected loss of teeth taken as none; below zero would be overfitting.
            mixed = total(invented * (1 - off)) - times * total(invented * labelled)
            cost += ops.maximum(mixed, 0)
        return cost / (teeth + 1)

    return loss


def examples(scan: Scan, random: np.random.Generator) -> Iterator[Example]:
    """Views of a panoramic with boxes."""
    # The arch is transformed with the image, like one more tooth.
    boxes = np.concatenate([scan.boxes, ARCH[np.newaxis]])
    scan = Drawn(averaged(scan.pixels, DRAWN * WIDTH, DRAWN * HEIGHT), boxes)
    for _ in range(VIEWS):
        pixels, seen = view(scan, random)
        yield tooth_finder.normalise_contrast(pixels), labelled(seen[:-1], seen[-1])


def of_phantom(seed: int, random: np.random.Generator) -> Iterator[Example]:
    """Views of a phantom, with every cell labelled."""
    scan = draw(seed)
    for _ in range(VIEWS):
        pixels, teeth = view(scan, random)
        known = np.zeros((*GRID, 3), np.float32)
        known[..., 0] = tooth_finder_network.target(teeth, GRID)[..., 0]
        known[..., 1] = 1
        yield tooth_finder.normalise_contrast(pixels), known


def fine_tuned(
    variant: Variant, real: Sequence[Example], phantoms: Sequence[Example]
) -> keras.Model:
    """The finder of the package, fine-tuned."""
    model = tooth_finder_network.network((HEIGHT, WIDTH), FIRST_KERNEL, CELL, DILATIONS, seed=0)
    shapes = [weight.shape for weight in model.get_weights()]
    model.set_weights([w.reshape(s) for w, s in zip(tooth_finder._weights(), shapes, strict=True)])
    warm_up = STEPS // 10
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, STEPS - warm_up, warmup_target=LEARNING_RATE, warmup_steps=warm_up
    )
    optimizer = keras.optimizers.AdamW(
        rate, weight_decay=1e-3, clipnorm=1.0, use_ema=True, ema_momentum=MEAN_OVER
    )
    model.compile(optimizer, loss_of(variant.unlabelled), jit_compile=False)
    random = np.random.default_rng(0)
    for _ in range(STEPS):
        batch = [
            real[number] for number in random.integers(len(real), size=BATCH - variant.phantoms)
        ]
        if variant.phantoms:
            batch += [phantoms[n] for n in random.integers(len(phantoms), size=variant.phantoms)]
        images, known = map(np.stack, zip(*batch, strict=True))
        model.train_on_batch(images[..., np.newaxis], known)
    model.optimizer.finalize_variable_values(model.trainable_variables)
    return model


def found_by(model: keras.Model, scan: Scan) -> np.ndarray:
    """The places found, the likeliest first."""
    picture = tooth_finder.normalise_contrast(shrink(scan.pixels, WIDTH, HEIGHT))
    logits = np.asarray(model(picture[np.newaxis, ..., np.newaxis]))[0, ..., 0]
    return tooth_finder.tooth_centres(1 / (1 + np.exp(-logits)))


def compare(scans: Sequence[Scan], folds: int) -> dict[str, list[np.ndarray]]:
    """Places on every panoramic, by the finder of the package and by each variant."""
    random = np.random.default_rng(0)
    real = [list(examples(scan, random)) for scan in scans]
    phantoms = [each for seed in range(1000, 1000 + PHANTOMS) for each in of_phantom(seed, random)]
    places = {"phantoms only": [tooth_finder.find_teeth(scan.pixels) for scan in scans]}
    dealt = GroupKFold(folds, shuffle=True, random_state=0)
    sides = list(dealt.split(scans, groups=[scan.group for scan in scans]))
    for variant in VARIANTS:
        found = [np.empty((0, 2))] * len(scans)
        for number, (training, test) in enumerate(sides, start=1):
            print(f"… {variant.name}: fold {number} of {folds}", flush=True)
            model = fine_tuned(
                variant, [each for scan in training for each in real[scan]], phantoms
            )
            for scan in test:
                found[scan] = found_by(model, scans[scan])
        places[variant.name] = found
    return places


def near(scans: Sequence[Scan], places: Sequence[np.ndarray], count: int) -> list[np.ndarray]:
    """Which teeth of each panoramic (1 or 0) have one of the first places near the middle."""
    pairs = zip(scans, places, strict=True)
    return [found_teeth(scan, found[:count])[1].astype(int) for scan, found in pairs]


def row(scans: Sequence[Scan], places: Sequence[np.ndarray], before: Sequence[np.ndarray]) -> list:
    """Table cells of one variant: shares, and differences from `before` with intervals."""
    groups, cells = [scan.group for scan in scans], []
    for count in COUNTS:
        one, other = near(scans, places, count), near(scans, before, count)
        share, *_ = interval(one, groups)
        paired = [here - there for here, there in zip(one, other, strict=True)]
        more, low, high = interval(paired, groups)
        cells.append(f"{share:.3f} {more:+.3f} ({low:+.3f} to {high:+.3f})")
    return cells


def main() -> None:
    """Learn, measure and print."""
    scans, folds = annotated(), int(os.environ.get("FOLDS", "5"))
    places = compare(scans, folds)
    title = "Annotated teeth with a place near the middle, and the difference to phantoms only"
    table = Table(box=SIMPLE, title=title)
    for heading in ("learned from", *(f"first {count}" for count in COUNTS)):
        justify = "left" if heading == "learned from" else "right"
        table.add_column(heading, justify=justify, no_wrap=True)
    for name, found in places.items():
        table.add_row(name, *row(scans, found, places["phantoms only"]))
    Console(width=200).print(table)
    print(f"{len(scans)} panoramics in {folds} folds. 95 % intervals over groups, paired.")


if __name__ == "__main__":
    main()
