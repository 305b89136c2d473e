"""Fit the novelty model on stored embeddings of normal crops, and score every stored crop.

The model learns from the rows of the training side whose label in force is normal. While they come
from fewer patients than the setting requires, it learns from all rows of that side: what is rare
among many is still novel, and a store without any label gets a ranking. The card has the reason.

A model is in force once it has a card, which is written after all stored crops were scored: until
then readers use the one before.
"""

import datetime
import importlib.metadata
import io
import json
import time
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import Settings
from pipeline.errors import NotEnoughData, StageFailed
from pipeline.model.fingerprints import fingerprint
from pipeline.model.fit_novelty import CORESET, fit
from pipeline.model.scores import metrics
from pipeline.progress import progress
from pipeline.stages.parts_loop import PartMap, one_by_one
from pipeline.stages.score_novelty import ROWS, NoveltyModel, maps_of, novelty_home, score_missing
from pipeline.store import catalog, tables
from pipeline.store.open_store import OpenStore
from pipeline.store.parts import iter_part, read_part, row_count
from pipeline.store.patient_sides import patient_sides, sides_for
from pipeline.store.prefetch import prefetch
from pipeline.store.registry import ModelChoice, read_card, trunk_patients
from pipeline.store.store import Store
from pipeline.store.views.card_tables import novelty_models

FORM = 1  # raise when the same rows and settings would give other scores
VERSIONS = ("dental-pipeline", "numpy", "pyarrow")


def fit_and_score(
    opened: OpenStore, chosen: ModelChoice, map: PartMap = one_by_one
) -> tuple[NoveltyModel, list[StageFailed]]:
    """Fit a model on the present rows, score every stored crop, and put the model in force.

    Raises NotEnoughData when the training side has too few patients.
    """
    started = time.monotonic()
    store, settings = opened.store, opened.settings
    every = _embedded_rows(store, chosen)
    rows, choice = _training_rows(every, settings)
    fitted = NoveltyModel(store, _fingerprint(chosen, settings, rows))
    home = novelty_home(fitted.novelty_id)
    if not store.has(f"{home}/model.npz"):
        _fit(store, chosen, settings, rows, home)
    failures = score_missing(opened, chosen, fitted, map)
    if not failures and not store.has(f"{home}/card.json"):
        card = {
            "novelty": fitted.novelty_id,
            "trunk": chosen.trunk_id,
            "number": _next_number(store),
            **choice,
            "settings": settings.novelty.model_dump(mode="json"),
            "scores": _scores(store, fitted, every[every["tested"]], settings),
            "seconds": round(time.monotonic() - started, 1),
            **_made_with(),
        }
        store.write_bytes(f"{home}/card.json", json.dumps(card, indent=1).encode())
    return fitted, failures


def require_rows(store: Store, chosen: ModelChoice, settings: Settings) -> None:
    """Raise NotEnoughData when the training side has too few patients; reads no embeddings."""
    _training_rows(_embedded_rows(store, chosen), settings)


def _next_number(store: Store) -> int:
    models = novelty_models(store)
    return models[-1]["number"] + 1 if models else 1


def _made_with() -> dict:
    """Date, device and versions. NumPy computes everything, so Keras' device does not matter."""
    return {
        "made_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "device": "cpu",
        "versions": {name: importlib.metadata.version(name) for name in VERSIONS},
    }


def novelty_notes(fitted: NoveltyModel) -> list[str]:
    """Lines about what a model learned from and how well it separates normal from abnormal."""
    card = read_card(fitted.store, novelty_home(fitted.novelty_id))
    lines = [
        f"Novelty {card['novelty']} on trunk {card['trunk']}, without labels but for the choice of "
        f"rows: {card['rows']} crops of {card['patients']} patients of the training side.",
        card["why"],
    ]
    for name, auroc in card["scores"].items():
        if auroc["low"] is not None:
            lines.append(
                f"  {name:<10} AUROC {auroc['value']:.2f} ({auroc['low']:.2f}-{auroc['high']:.2f})"
                " on the labelled crops of the test side; a guess reaches 0.50"
            )
    return lines


def _embedded_rows(store: Store, chosen: ModelChoice) -> pd.DataFrame:
    """Every crop with an embedding: its part, label and side, and whether it may be tested on."""
    with catalog.open_store(store, "embedded", "given_sides") as con:
        every = catalog.query(con, "embedded", trunk=chosen.trunk_id)
        sides = patient_sides(con, every["patient_key"])
    learned_from = trunk_patients(store, chosen.trunk_id)
    tested = sides_for(sides, every["patient_key"], learned_from) == "test"
    return every.assign(side=sides, tested=tested)


def _training_rows(every: pd.DataFrame, settings: Settings) -> tuple[pd.DataFrame, dict]:
    """The rows of the training side to learn from, and the facts of the card about the choice."""
    every = every[every["side"] == "train"]
    normal = every[every["label"] == settings.normal_class]
    least, label = settings.novelty.min_patients, settings.normal_class
    patients = normal["patient_key"].nunique()
    basis, rows = ("normal", normal) if patients >= least else ("every row", every)
    why = f"Learned from the crops whose label is `{label}`."
    if basis != "normal":
        why = (
            f"Too few crops are labelled `{label}` on the training side: they come from {patients} "
            f"patients, {least} are needed. So it learned from every crop of that side, findings "
            "included; rare findings still score high, common ones do not."
        )
    if rows["patient_key"].nunique() < least:
        raise NotEnoughData(
            f"Too few patients to learn what is normal: {rows['patient_key'].nunique()} on the "
            f"training side, {least} are needed (setting `novelty.min_patients`). Deliver more "
            "scans."
        )
    choice = {
        "basis": basis,
        "why": why,
        "rows": len(rows),
        "patients": int(rows["patient_key"].nunique()),
    }
    return rows, choice


def _fingerprint(chosen: ModelChoice, settings: Settings, rows: pd.DataFrame) -> str:
    # The size of the coreset was a setting; among them it keeps the names of models.
    unused = {"min_patients"} | ({"score"} if settings.novelty.score == "peak" else set())
    used = settings.novelty.model_dump(mode="json", exclude=unused)
    return fingerprint(
        {
            "form": FORM,
            "trunk": chosen.trunk_id,
            "settings": used | {"coreset": CORESET},
            "rows": list(rows["crop_id"]),
        }
    )


def _fit(
    store: Store, chosen: ModelChoice, settings: Settings, rows: pd.DataFrame, home: str
) -> None:
    crop_ids = set(rows["crop_id"])
    parts = sorted(set(zip(rows["batch"], rows["part"], strict=True)))
    maps = prefetch(_stream_maps(store, chosen, parts, crop_ids))
    model = fit(maps, chosen.grid, CORESET, settings.novelty.seed, settings.novelty.score)
    arrays, learned = io.BytesIO(), io.BytesIO()
    kept = {name: each for name, each in asdict(model).items() if each is not None}
    np.savez(arrays, **kept)  # floats do not compress
    pq.write_table(pa.table({"crop_id": sorted(crop_ids)}), learned, compression="zstd")
    store.write_bytes(f"{home}/learned.parquet", learned.getvalue())
    store.write_bytes(f"{home}/model.npz", arrays.getvalue())


def _stream_maps(
    store: Store, chosen: ModelChoice, parts: list[tuple[str, int]], crop_ids: set[str]
) -> Iterator[np.ndarray]:
    """Maps of the crops with these ids, part by part, a few hundred in memory at a time."""
    schema, columns = chosen.features.schema, ["crop_id", "embedding"]
    names = [chosen.features.part(batch, number) for batch, number in parts]
    with progress("learn normal", sum(row_count(store, name) for name in names)) as advance:
        for name in names:
            for rows in iter_part(store, name, schema, ROWS, columns):
                kept = [each in crop_ids for each in rows.column("crop_id").to_pylist()]
                if any(kept):
                    yield maps_of(rows.filter(pa.array(kept)), chosen)
                advance(rows.num_rows)


def _scores(
    store: Store, fitted: NoveltyModel, tested: pd.DataFrame, settings: Settings
) -> dict[str, dict]:
    """AUROC of both scores on the labelled rows of the test side, with its interval."""
    table = tables.novelty(fitted.novelty_id)
    columns = ["crop_id", "patient_key", "gaussian", "neighbour"]
    parts = [read_part(store, name, table.schema, columns) for name in table.names(store)]
    labelled = tested.loc[tested["label"].notna(), ["crop_id", "label"]]
    scores = pa.concat_tables(parts).to_pandas().merge(labelled, on="crop_id")
    abnormal = (scores["label"] != settings.normal_class).to_numpy()
    patients = scores["patient_key"].to_numpy()
    return {
        name: asdict(
            metrics.two_classes(abnormal, scores[name].to_numpy(float), patients, 0.0)["auroc"]
        )
        for name in ("gaussian", "neighbour")
    }
