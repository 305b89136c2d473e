"""`make bench-hits STORE=…`: with the boxes hidden, is a finding among the places looked at first?

The store holds panoramics with boxes, and `make cross-validate` was run on it with a trunk learned
from it: the trunks of its folds are used again. On each panoramic of a fold's test side every
method proposes places, trunk and head of the fold rank them, and a place hits when it lies in the
box of an annotated abnormal tooth. As in the work-list, a place that shows the tooth of a likelier
one again comes after all others. Teeth without a box are unlabelled, so some misses may be
findings that nobody drew. Intervals are over patients.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import duckdb
import numpy as np
import pandas as pd
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.place_baselines import between_gaps, tiled
from pipeline import config, schemas
from pipeline.imaging.crops import cut_alike, square_around
from pipeline.imaging.tooth_finder import MOST, find_teeth
from pipeline.learn.cross_validate import run_of, split_into_folds
from pipeline.learn.refit_trunk import learn_settings_of, refit_trunk
from pipeline.learn.train_head import fit_head
from pipeline.learn.training_rows import labelled_rows
from pipeline.model.head.background import p_abnormal, split_background
from pipeline.model.head.layers import predict
from pipeline.model.scores.resampling import draws
from pipeline.report.source_scan import read_source_scan
from pipeline.store.base import Store
from pipeline.store.catalog import SQL
from pipeline.store.parts import read_part
from pipeline.store.registry import ModelChoice, choose_models

METHODS = {
    "finder": find_teeth,
    "finder, 32 places": lambda pixels: find_teeth(pixels)[:32],
    "gaps between teeth": between_gaps,
    "blind tiles": lambda pixels: tiled(pixels, MOST // 2),
}
FIRST = (1, 3, 5)  # places that are looked at
SHUFFLES = 100
FALSE = (1, 2, 4, 8)  # places off every abnormal box that are put up with, per panoramic


@dataclass(frozen=True)
class Looked:
    """What one method found on one panoramic."""

    patient: str
    method: str
    inside: np.ndarray  # boolean (places, abnormal boxes), in the order in which they are looked at
    scores: np.ndarray  # (places,)
    shuffled: np.ndarray  # boolean (SHUFFLES, places): whether inside any, were scores random

    def hit(self, first: int) -> bool:
        """Whether one of the first places lies in an abnormal box."""
        return bool(self.inside[:first].any())

    def by_chance(self, first: int) -> float:
        """The same for the same places with random scores."""
        return float(self.shuffled[:, :first].any(axis=1).mean())


def looked_at(
    store: Store, settings: config.Settings, chosen: ModelChoice, folds: int
) -> list[Looked]:
    """Every panoramic with boxes, by trunk and head that never saw its patient."""
    how = learn_settings_of(store, chosen)
    if how is None:
        sys.exit("The store's trunk was not learned from it. Learn one: make learn-trunk")
    rows = labelled_rows(store, chosen, settings)
    dealt = split_into_folds(rows, folds)
    run, parts, found = run_of(rows, chosen, settings, dealt), parts_of(store), []
    for number, sides in enumerate(dealt, start=1):
        print(f"… fold {number} of {folds}", flush=True)
        here = replace(rows, sides=sides)
        anew = refit_trunk(store, chosen, here, how, f"{run}/fold-{number}")
        trained = fit_head(anew.rows, sides, chosen, settings, lambda _: None, anew.start)

        def chances(crops: np.ndarray, anew=anew, trained=trained) -> np.ndarray:
            said = predict(trained.model, anew.embedder.embed(crops))
            known, nothing = split_background(said, len(trained.class_names))
            return p_abnormal(known, nothing, 0, np.ones(len(crops), bool))

        test = rows.facts[(sides == "test") & rows.facts["panoramic"]]
        for (scan_id, batch), boxes in test.groupby(["scan_id", "batch"]):
            [pixels] = read_source_scan(settings, scan_id, batch, parts[scan_id])
            abnormal = boxes[rows.truth[boxes.index] > 0]
            found += looks(pixels, abnormal, boxes["patient_key"].iloc[0], chances, chosen)
    return found


def parts_of(store: Store) -> dict[str, int]:
    """The part with which each accepted scan came."""
    frames = [
        read_part(store, name, schemas.SCANS, ["scan_id", "part", "status"]).to_pandas()
        for name in store.names("scans")
    ]
    scans = pd.concat(frames)
    return scans[scans["status"] == "accepted"].set_index("scan_id")["part"].to_dict()


def looks(
    pixels: np.ndarray, abnormal: pd.DataFrame, patient: str, chances, chosen: ModelChoice
) -> Iterator[Looked]:
    """What every method finds on one panoramic."""
    height, width = pixels.shape
    left, top, w, h = (abnormal[f"region_{side}"].to_numpy() for side in "xywh")
    for method, propose in METHODS.items():
        x, y = (propose(pixels) * [width, height]).T
        side = round(chosen.recipe.panoramic_share * height)
        squares = [square_around(*place, side) for place in zip(x, y, strict=True)]
        scores = chances(np.stack(list(cut_alike(pixels, squares, chosen.recipe.side))))
        across, down = x[:, np.newaxis] - left, y[:, np.newaxis] - top
        inside = (across >= 0) & (across <= w) & (down >= 0) & (down <= h)
        drawn = np.random.default_rng(0).random((SHUFFLES, len(scores)))
        order, *others = in_order(x, y, height, np.vstack([scores, drawn]))
        shuffled = inside.any(axis=1)[np.stack(others)]
        yield Looked(patient, method, inside[order], scores[order], shuffled)


def in_order(x: np.ndarray, y: np.ndarray, height: int, scores: np.ndarray) -> Iterator[np.ndarray]:
    """Numbers of the places as the work-list orders them, for each row of `scores` (n, places)."""
    count, places = scores.shape
    found = pd.DataFrame(
        {
            "crop_id": np.tile(np.arange(places), count),
            "scan_id": np.repeat(np.arange(count), places),
            "frame": "",
            "x": np.tile(x, count),
            "y": np.tile(y, count),
            "height": height,
            "p_abnormal": scores.ravel(),
        }
    )
    con = database()
    con.register("found_places", found)
    ids = con.sql("select scan_id, crop_id from again").df()
    again = np.zeros(scores.shape, bool)
    again[ids["scan_id"], ids["crop_id"]] = True
    for row, later in zip(scores, again, strict=True):
        yield np.lexsort((-row, later))


@cache
def database() -> duckdb.DuckDBPyConnection:
    """Where the view of the work-list that tells places apart is made over places of our own."""
    con = duckdb.connect()
    columns = ("crop_id", "scan_id", "frame", "x", "y", "height", "p_abnormal")
    con.register("found_places", pd.DataFrame(columns=columns))
    con.execute((SQL / "views" / "56_again.sql").read_text())
    return con


def with_interval(values: np.ndarray, patients: list[str]) -> str:
    """A mean and its 95 % interval over patients."""
    means = [each for weights in draws(patients) for each in weights @ values / weights.sum(axis=1)]
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{values.mean():.2f} ({low:.2f}-{high:.2f})"


def found_at(looked: list[Looked], per_scan: float) -> float:
    """Share of abnormal boxes with a place, when so many places off them are put up with."""
    missed = np.sort(np.concatenate([each.scores[~each.inside.any(axis=1)] for each in looked]))[
        ::-1
    ]
    threshold = missed[min(len(missed) - 1, round(per_scan * len(looked)))]
    hit = sum(
        (each.inside & (each.scores > threshold)[:, np.newaxis]).any(0).sum() for each in looked
    )
    return hit / sum(each.inside.shape[1] for each in looked)


def table(looked: list[Looked]) -> Table:
    """A row for each method."""
    shown = Table(box=SIMPLE, title="Panoramics with a finding among the first places (by chance)")
    headings = [f"first {count}" for count in FIRST]
    headings += [f"found, {count} false" for count in FALSE]
    for heading in ("method", *headings):
        shown.add_column(heading, justify="left" if heading == "method" else "right", no_wrap=True)
    for method in METHODS:
        mine = [each for each in looked if each.method == method]
        ill = [each for each in mine if each.inside.shape[1]]
        patients = [each.patient for each in ill]
        cells = [
            with_interval(np.array([each.hit(count) for each in ill], float), patients)
            + f" ({np.mean([each.by_chance(count) for each in ill]):.2f})"
            for count in FIRST
        ]
        cells += [f"{found_at(mine, count):.2f}" for count in FALSE]
        shown.add_row(method, *cells)
    return shown


def main() -> None:
    """Measure and print."""
    settings = config.load()
    store = Store(settings.store)
    chosen = choose_models(settings, store)
    looked = looked_at(store, settings, chosen, int(os.environ.get("FOLDS", "5")))
    Console(width=200).print(table(looked))
    every = [each for each in looked if each.method == "finder"]
    ill = sum(each.inside.shape[1] > 0 for each in every)
    print(
        f"{len(every)} panoramics, {ill} with {sum(each.inside.shape[1] for each in every)} "
        "annotated findings. 95 % intervals over patients. Last columns: share of findings with a "
        "place, when so many others are looked at per panoramic."
    )


if __name__ == "__main__":
    main()
