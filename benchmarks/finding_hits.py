"""`make bench-hits STORE=…`: is a finding among the first places of a scan, without its boxes?

The store has panoramics with boxes, and `dental cross-validate` was run on it with a trunk learned
from it; the trunks of its folds are used again. On each test panoramic of a fold every method
proposes places, the fold's trunk and head rank them, and a place is a hit when it lies in the box
of an annotated abnormal tooth. As in the work-list, a further place on the tooth of a likelier one
is ranked last. Teeth without a box are unlabelled, so some misses may be findings that were not
annotated. Intervals are over patients.
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
from pipeline.imaging.tooth_finder import MAX_PLACES, find_teeth
from pipeline.learn.cross_validate import run_of, split_into_folds
from pipeline.learn.refit_trunk import learn_settings_of, refit_trunk
from pipeline.learn.train_head import fit_head
from pipeline.learn.training_rows import labelled_rows
from pipeline.model.head.abnormal_probability import FOUND, to_predictions
from pipeline.model.head.networks import predict
from pipeline.model.scores.resampling import draws
from pipeline.report.source_scan import read_source_scan
from pipeline.store.catalog import SQL
from pipeline.store.parts import read_part
from pipeline.store.registry import ModelChoice, choose_models
from pipeline.store.store import Store

METHODS = {
    "finder": find_teeth,
    "finder, 32 places": lambda pixels: find_teeth(pixels)[:32],
    "gaps between teeth": between_gaps,
    "blind tiles": lambda pixels: tiled(pixels, MAX_PLACES // 2),
}
FIRST = (1, 3, 5)  # numbers of first places
SHUFFLES = 100
FALSE = (1, 2, 4, 8)  # false positives per panoramic: places in no abnormal box


@dataclass(frozen=True)
class Ranked:
    """The ranked places of one method on one panoramic."""

    patient: str
    method: str
    inside: np.ndarray  # boolean (places, abnormal boxes), in ranked order
    scores: np.ndarray  # (places,)
    shuffled: np.ndarray  # boolean (SHUFFLES, places): in any box, for random scores

    def hit(self, first: int) -> bool:
        """Whether one of the first places lies in an abnormal box."""
        return bool(self.inside[:first].any())

    def by_chance(self, first: int) -> float:
        """The same for random scores of the same places."""
        return float(self.shuffled[:, :first].any(axis=1).mean())


def rank_all(
    store: Store, settings: config.Settings, chosen: ModelChoice, folds: int
) -> list[Ranked]:
    """Rank the places of every panoramic with boxes, by models trained without its patient."""
    how = learn_settings_of(store, chosen)
    if how is None:
        sys.exit("The store's trunk was not learned from it. Learn one: dental learn-trunk")
    rows = labelled_rows(store, chosen, settings)
    folds_sides = split_into_folds(rows, folds)
    run, parts, found = run_of(rows, chosen, settings, folds_sides), parts_of(store), []
    for number, sides in enumerate(folds_sides, start=1):
        print(f"… fold {number} of {folds}", flush=True)
        here = replace(rows, sides=sides)
        anew = refit_trunk(store, chosen, here, how, f"{run}/fold-{number}")
        trained = fit_head(anew.rows, sides, chosen, settings, anew.start)

        def chances(crops: np.ndarray, anew=anew, trained=trained) -> np.ndarray:
            outputs = predict(trained.model, anew.embedder.embed(crops))
            kinds = [FOUND] * len(crops)
            return to_predictions(outputs, len(trained.class_names), 0, kinds).p_abnormal

        test = rows.facts[(sides == "test") & rows.facts["panoramic"]]
        for (scan_id, batch), boxes in test.groupby(["scan_id", "batch"]):
            [pixels] = read_source_scan(settings, scan_id, batch, parts[scan_id])
            abnormal = boxes[rows.truth[boxes.index] > 0]
            found += rank_places(pixels, abnormal, boxes["patient_key"].iloc[0], chances, chosen)
    return found


def parts_of(store: Store) -> dict[str, int]:
    """The part number of each accepted scan."""
    frames = [
        read_part(store, name, schemas.SCANS, ["scan_id", "part", "status"]).to_pandas()
        for name in store.names("scans")
    ]
    scans = pd.concat(frames)
    return scans[scans["status"] == "accepted"].set_index("scan_id")["part"].to_dict()


def rank_places(
    pixels: np.ndarray, abnormal: pd.DataFrame, patient: str, chances, chosen: ModelChoice
) -> Iterator[Ranked]:
    """The ranked places of every method on one panoramic."""
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
        yield Ranked(patient, method, inside[order], scores[order], shuffled)


def in_order(x: np.ndarray, y: np.ndarray, height: int, scores: np.ndarray) -> Iterator[np.ndarray]:
    """The order of the places in the work-list, for each row of `scores` (n, places)."""
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
    ids = con.sql("select scan_id, crop_id from repeated_places").df()
    again = np.zeros(scores.shape, bool)
    again[ids["scan_id"], ids["crop_id"]] = True
    for row, later in zip(scores, again, strict=True):
        yield np.lexsort((-row, later))


@cache
def database() -> duckdb.DuckDBPyConnection:
    """A database with the work-list's view of repeated places, over the places given here."""
    con = duckdb.connect()
    columns = ("crop_id", "scan_id", "frame", "x", "y", "height", "p_abnormal")
    con.register("found_places", pd.DataFrame(columns=columns))
    con.execute((SQL / "views" / "56_repeated_places.sql").read_text(encoding="utf-8"))
    return con


def with_interval(values: np.ndarray, patients: list[str]) -> str:
    """A mean with its 95 % interval over patients."""
    means = [each for weights in draws(patients) for each in weights @ values / weights.sum(axis=1)]
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{values.mean():.2f} ({low:.2f}-{high:.2f})"


def sensitivity_at(ranked: list[Ranked], per_scan: float) -> float:
    """Share of abnormal boxes with a place, at `per_scan` false positives per panoramic."""
    missed = np.sort(np.concatenate([each.scores[~each.inside.any(axis=1)] for each in ranked]))[
        ::-1
    ]
    threshold = missed[min(len(missed) - 1, round(per_scan * len(ranked)))]
    hit = sum(
        (each.inside & (each.scores > threshold)[:, np.newaxis]).any(0).sum() for each in ranked
    )
    return hit / sum(each.inside.shape[1] for each in ranked)


def table(ranked: list[Ranked]) -> Table:
    """A row for each method."""
    shown = Table(
        box=SIMPLE,
        title="Panoramics with a finding among the first places (by chance)",
    )
    headings = [f"first {count}" for count in FIRST]
    headings += [f"found, {count} FP" for count in FALSE]
    for heading in ("method", *headings):
        shown.add_column(heading, justify="left" if heading == "method" else "right", no_wrap=True)
    for method in METHODS:
        mine = [each for each in ranked if each.method == method]
        abnormal = [each for each in mine if each.inside.shape[1]]
        patients = [each.patient for each in abnormal]
        cells = [
            with_interval(np.array([each.hit(count) for each in abnormal], float), patients)
            + f" ({np.mean([each.by_chance(count) for each in abnormal]):.2f})"
            for count in FIRST
        ]
        cells += [f"{sensitivity_at(mine, count):.2f}" for count in FALSE]
        shown.add_row(method, *cells)
    return shown


def main() -> None:
    """Measure and print."""
    settings = config.load()
    store = Store(settings.store)
    chosen = choose_models(settings, store)
    ranked = rank_all(store, settings, chosen, int(os.environ.get("FOLDS", "5")))
    Console(width=200).print(table(ranked))
    every = [each for each in ranked if each.method == "finder"]
    abnormal = sum(each.inside.shape[1] > 0 for each in every)
    print(
        f"{len(every)} panoramics, {abnormal} with {sum(each.inside.shape[1] for each in every)} "
        "annotated findings. 95 % intervals over patients. Last columns: share of findings with a "
        "place, at 1 to 8 false positives (FP) per panoramic."
    )


if __name__ == "__main__":
    main()
