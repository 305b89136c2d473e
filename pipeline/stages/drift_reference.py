"""What is usual: a frozen sample of scans by modality, which batches are compared with.

    models/drift/REFERENCE/MODALITY/sample.parquet, card.json

A reference is made once, from the first batches (by their first run) that together hold enough
patients, or from those that the setting `drift.reference` names, and not changed afterwards; other
batches in the setting make another reference. At most 256 patients stand in it, whom a hash draws,
so what a comparison costs does not grow with the store.

A learned trunk knows patients of the first batches better than later ones, which may look like
drift; the trunk of random weights knows nobody.

Nothing is learned here: the sample is rows of people, so when somebody is forgotten theirs are
removed, and nothing of them is left in it. One that holds too few patients then is made again, as
is one that a batch stood in which was taken back.
"""

import datetime
import hashlib
import importlib.metadata
import json
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
import pyarrow as pa

from pipeline import schemas
from pipeline.config import Settings
from pipeline.model.architecture import grid
from pipeline.model.drift import DIRECTIONS, Sample, describe
from pipeline.model.fingerprints import fingerprint
from pipeline.stages.ledger_rows import ACCEPTED
from pipeline.stages.score_novelty import maps_of
from pipeline.store import catalog
from pipeline.store.base import Store
from pipeline.store.locks import commit_lock
from pipeline.store.open_store import OpenStore
from pipeline.store.parts import read_part, write_part
from pipeline.store.registry import ModelChoice, read_card
from pipeline.store.tables import SCANS

VERSIONS = ("dental-pipeline", "numpy", "pyarrow")
FORM = 1  # raise when the same batches would make another reference
FILES = "files"  # in the place of a modality: every delivered file, whatever became of it
MOST_PATIENTS = 256  # in a sample; more cost time and tell little more


@dataclass(frozen=True)
class Reference:
    """A sample that stands in the store, and the last part of every batch that it was made of."""

    rows: pd.DataFrame
    parts: dict[str, int]

    @property
    def patients(self) -> int:
        return self.rows["patient_key"].nunique()


def reference_id(chosen: ModelChoice, settings: Settings) -> str:
    """The name of the references of a trunk, one for each choice of batches."""
    asked = list(settings.drift.reference)
    return fingerprint({"form": FORM, "trunk": chosen.trunk_id, "batches": asked})


def current_reference(opened: OpenStore, chosen: ModelChoice, modality: str) -> Reference | None:
    """The reference of a modality; None before there is one, or when too little is left of it."""
    store, settings = opened.store, opened.settings
    home = _home(chosen, settings, modality)
    if not store.has(f"{home}/card.json"):
        return None
    rows = read_part(store, f"{home}/sample.parquet", schemas.REFERENCE).to_pandas()
    found = Reference(rows, read_card(store, home)["parts"])
    return found if found.patients >= settings.drift.batch_patients else None


def is_ready(opened: OpenStore, chosen: ModelChoice, modality: str) -> tuple[Reference | None, int]:
    """The reference of a modality, made when there are enough patients; how many there are.

    Of two runs at the same moment one makes it.
    """
    if (found := current_reference(opened, chosen, modality)) is not None:
        return found, found.patients
    with commit_lock(opened.store):
        if (found := current_reference(opened, chosen, modality)) is None:
            gathered = _gathered(opened, chosen, modality)
            if gathered.patients < opened.settings.drift.reference_patients:
                return None, gathered.patients
            _write(opened.store, _home(chosen, opened.settings, modality), chosen, gathered)
            # As it is read from now on, so that a run after a kill computes the same.
            found = current_reference(opened, chosen, modality)
    return found, found.patients


def make_reference(store: Store, batch: str) -> list[str]:
    """The references that scans of `batch` stand in."""
    found = set()
    for name in store.names("models/drift"):
        if name.endswith("/sample.parquet"):
            rows = read_part(store, name, schemas.REFERENCE, ["batch"])
            if batch in rows["batch"].to_pylist():
                found.add(PurePosixPath(name).parts[2])
    return sorted(found)


def sampled(files: pd.DataFrame, modality: str) -> pd.DataFrame:
    """The rows of a modality, of at most so many patients, whom a hash draws."""
    if modality != FILES:
        files = files[(files["status"] == ACCEPTED) & (files["modality"] == modality)]
    return _drawn(files)


def _drawn(rows: pd.DataFrame) -> pd.DataFrame:
    def place(key: str) -> str:
        # Not the hash that decides the sides, so that all of them are drawn from.
        return hashlib.sha256(b"drift" + key.encode()).hexdigest()

    keys = sorted(set(rows["patient_key"]), key=place)[:MOST_PATIENTS]
    return rows[rows["patient_key"].isin(keys)].reset_index(drop=True)


def with_embeddings(
    store: Store, chosen: ModelChoice, batch: str, scans: pd.DataFrame
) -> pd.DataFrame:
    """The scans that have embeddings, with what is compared of these: means over their crops."""
    positions = {scan_id: number for number, scan_id in enumerate(scans["scan_id"])}
    columns = ["region_kind", "embedding"]
    counts, kinds = np.zeros((len(scans), 1)), np.full(len(scans), "", object)
    channels = 2 * grid(chosen.trunk, chosen.recipe.side)[2]
    sums = {
        "embeddings": np.zeros((len(scans), DIRECTIONS)),
        "channels": np.zeros((len(scans), channels)),
    }
    for part in chosen.features.existing(store, batch, sorted(set(scans["part"]))):
        for where, rows in chosen.features.select(
            store, batch, part, positions, columns, key="scan_id"
        ):
            np.add.at(counts, where, 1)
            kinds[where] = rows.column("region_kind").to_pylist()
            for fact, values in describe(maps_of(rows, chosen)).items():
                np.add.at(sums[fact], where, values)
    known = counts[:, 0] > 0
    means = {
        fact: list((each[known] / counts[known]).astype(np.float32)) for fact, each in sums.items()
    }
    return scans[known].assign(region_kind=kinds[known], **means).reset_index(drop=True)


def sample_of(rows: pd.DataFrame, modality: str) -> Sample:
    """Rows of a reference, or of a batch, as they are compared."""
    patients = rows["patient_key"].to_numpy(str)
    if modality == FILES:
        words = {name: rows[name].to_numpy(str) for name in schemas.DRIFT_FILE_WORDS}
        return Sample(patients, {}, words, {})
    return Sample(
        patients,
        {name: rows[name].to_numpy(float) for name in schemas.DRIFT_NUMBERS},
        {name: rows[name].to_numpy(str) for name in schemas.DRIFT_WORDS},
        {name: np.stack(rows[name].to_list()) for name in ("embeddings", "channels")},
    )


def _home(chosen: ModelChoice, settings: Settings, modality: str) -> str:
    return f"models/drift/{reference_id(chosen, settings)}/{modality}"


def _gathered(opened: OpenStore, chosen: ModelChoice, modality: str) -> Reference:
    """What a reference would be made of, batch by batch until there are enough patients."""
    store, settings, parts = opened.store, opened.settings.drift, {}
    found = pd.DataFrame({"patient_key": []})
    with catalog.open_store(store) as con:
        for batch in settings.reference or _in_order(store, chosen, _holding(con, modality)):
            scans = sampled(catalog.query(con, "drift_files", batch=batch), modality)
            if modality != FILES:
                scans = with_embeddings(store, chosen, batch, scans)
            if not len(scans):
                continue
            parts[batch] = max(SCANS.numbers(store, batch))
            found = pd.concat([found, scans.assign(batch=batch)], ignore_index=True)
            enough = found["patient_key"].nunique() >= settings.reference_patients
            if enough and not settings.reference:
                break
    return Reference(_drawn(found), parts)


def _holding(con, modality: str) -> pd.Series:
    """Patients of the modality in every batch that holds any."""
    found = catalog.query(con, "drift_patients")
    if modality != FILES:
        found = found[found["modality"] == modality]
    return found.groupby("batch")["patients"].sum()


def _in_order(store: Store, chosen: ModelChoice, patients: pd.Series) -> list[str]:
    """Batches with embeddings of the trunk, by their first run; the one that runs now is last."""
    embedded = set(chosen.features.batches(store))
    return sorted(embedded & set(patients.index), key=lambda batch: _first_run(store, batch))


def _first_run(store: Store, batch: str) -> tuple[str, str]:
    runs = store.names(f"runs/{batch}")
    return PurePosixPath(runs[0]).name if runs else "~", batch


def _write(store: Store, home: str, chosen: ModelChoice, gathered: Reference) -> None:
    """The sample first: a reference with a card is whole."""
    rows = gathered.rows
    columns = {
        field.name: pa.array(
            rows[field.name] if field.name in rows else [None] * len(rows), field.type
        )
        for field in schemas.REFERENCE
    }
    name = f"{home}/sample.parquet"
    write_part(store, name, pa.table(columns, schema=schemas.REFERENCE), schemas.REFERENCE)
    card = {
        "trunk": chosen.trunk_id,
        "parts": gathered.parts,
        "made_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {each: importlib.metadata.version(each) for each in VERSIONS},
    }
    store.write_bytes(f"{home}/card.json", json.dumps(card, indent=1).encode())
