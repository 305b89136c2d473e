"""The drift reference: a frozen sample of scans by modality, with which batches are compared.

    models/drift/REFERENCE/MODALITY/sample.parquet, card.json

A reference is made once, from the first batches (by their first run) that together have enough
patients, or from those of the setting `drift.reference`, and not changed afterwards; other batches
in the setting make another reference. It holds at most 256 patients, drawn by a hash, so the cost
of a comparison does not grow with the store.

A learned trunk may embed the patients it was trained on, those of the first batches, differently
from later ones, which looks like drift. A trunk of random weights cannot.

The sample holds rows about people, which `forget` removes. It is made again when too few patients
are left, or when one of its batches is taken back.
"""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from pipeline import schemas
from pipeline.config import Settings
from pipeline.model.drift import DIRECTIONS, Sample, describe
from pipeline.model.fingerprints import fingerprint
from pipeline.stages.ledger_rows import ACCEPTED
from pipeline.stages.score_novelty import maps_of
from pipeline.store import catalog
from pipeline.store.locks import commit_lock
from pipeline.store.open_store import OpenStore
from pipeline.store.parts import read_part, write_part
from pipeline.store.prefetch import prefetch
from pipeline.store.registry import ModelChoice, read_card
from pipeline.store.store import Store
from pipeline.store.tables import SCANS

if TYPE_CHECKING:
    import pandas as pd

VERSIONS = ("dental-pipeline", "numpy", "pyarrow")
FORM = 1  # raise when the same batches would make another reference
FILES = "files"  # instead of a modality: every delivered file, accepted or not
MOST_PATIENTS = 256  # in a sample; more take longer and detect little more


@dataclass(frozen=True)
class Reference:
    """A stored sample, and the last part of every batch that it was made of."""

    rows: pd.DataFrame
    parts: dict[str, int]

    @property
    def patients(self) -> int:
        return self.rows["patient_key"].nunique()


def reference_id(chosen: ModelChoice, settings: Settings) -> str:
    """The name of the references of a trunk, one for each choice of batches."""
    batches = list(settings.drift.reference)
    return fingerprint({"form": FORM, "trunk": chosen.trunk_id, "batches": batches})


def current_reference(opened: OpenStore, chosen: ModelChoice, modality: str) -> Reference | None:
    """The reference of a modality; None before there is one, or when too few patients are left."""
    store, settings = opened.store, opened.settings
    home = _home(chosen, settings, modality)
    if not store.has(f"{home}/card.json"):
        return None
    rows = read_part(store, f"{home}/sample.parquet", schemas.REFERENCE).to_pandas()
    found = Reference(rows, read_card(store, home)["parts"])
    return found if found.patients >= settings.drift.batch_patients else None


def find_or_make_reference(
    opened: OpenStore, chosen: ModelChoice, modality: str
) -> tuple[Reference | None, int]:
    """The reference of a modality, made once there are enough patients, and their number.

    Of two runs at the same time only one makes it.
    """
    if (found := current_reference(opened, chosen, modality)) is not None:
        return found, found.patients
    with commit_lock(opened.store):
        if (found := current_reference(opened, chosen, modality)) is None:
            reference = _scans_for_reference(opened, chosen, modality)
            if reference.patients < opened.settings.drift.reference_patients:
                return None, reference.patients
            _write(opened.store, _home(chosen, opened.settings, modality), chosen, reference)
            # Read back, so that this run computes the same as one that resumes it.
            found = current_reference(opened, chosen, modality)
    return found, found.patients


def references_with(store: Store, batch: str) -> list[str]:
    """The references that contain scans of `batch`."""
    found = set()
    for name in store.names("models/drift"):
        if name.endswith("/sample.parquet"):
            rows = read_part(store, name, schemas.REFERENCE, ["batch"])
            if batch in rows["batch"].to_pylist():
                found.add(PurePosixPath(name).parts[2])
    return sorted(found)


def sampled(files: pd.DataFrame, modality: str) -> pd.DataFrame:
    """The rows of a modality, of at most MOST_PATIENTS patients drawn by a hash."""
    if modality != FILES:
        files = files[(files["status"] == ACCEPTED) & (files["modality"] == modality)]
    return _drawn(files)


def _drawn(rows: pd.DataFrame) -> pd.DataFrame:
    def place(key: str) -> str:
        # Not the hash of the split, so that patients of every side are drawn.
        return hashlib.sha256(b"drift" + key.encode()).hexdigest()

    keys = sorted(set(rows["patient_key"]), key=place)[:MOST_PATIENTS]
    return rows[rows["patient_key"].isin(keys)].reset_index(drop=True)


def with_embeddings(
    store: Store, chosen: ModelChoice, batch: str, scans: pd.DataFrame
) -> pd.DataFrame:
    """The scans that have embeddings, with means over their crops of what drift compares."""
    positions = {scan_id: number for number, scan_id in enumerate(scans["scan_id"])}
    columns = ["region_kind", "embedding"]
    counts, kinds = np.zeros((len(scans), 1)), np.full(len(scans), "", object)
    channels = 2 * chosen.grid[2]
    sums = {
        "embeddings": np.zeros((len(scans), DIRECTIONS)),
        "channels": np.zeros((len(scans), channels)),
    }
    for part in chosen.features.existing(store, batch, sorted(set(scans["part"]))):
        # The next rows are read while the last are described: both take as long.
        for where, rows in prefetch(
            chosen.features.select(store, batch, part, positions, columns, key="scan_id")
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
    """Rows of a reference or a batch as arrays to compare."""
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


def _scans_for_reference(opened: OpenStore, chosen: ModelChoice, modality: str) -> Reference:
    """The scans for a reference, batch by batch until there are enough patients."""
    store, settings, parts = opened.store, opened.settings.drift, {}
    import pandas as pd  # not above: to look whether a comparison exists takes no table

    found = pd.DataFrame({"patient_key": []})
    with catalog.open_store(store, "drift_patients", "drift_files") as con:
        patients = _patients_by_batch(con, modality)
        for batch in settings.reference or _in_order(store, chosen, patients):
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


def _patients_by_batch(con, modality: str) -> pd.Series:
    """Number of patients of the modality, by batch."""
    found = catalog.query(con, "drift_patients")
    if modality != FILES:
        found = found[found["modality"] == modality]
    return found.groupby("batch")["patients"].sum()


def _in_order(store: Store, chosen: ModelChoice, patients: pd.Series) -> list[str]:
    """Batches with embeddings of the trunk, by their first run; the current one is last."""
    embedded = set(chosen.features.batches(store))
    return sorted(embedded & set(patients.index), key=lambda batch: _first_run(store, batch))


def _first_run(store: Store, batch: str) -> tuple[str, str]:
    runs = store.names(f"runs/{batch}")
    return PurePosixPath(runs[0]).name if runs else "~", batch


def _write(store: Store, home: str, chosen: ModelChoice, reference: Reference) -> None:
    """Write the sample before the card: a reference with a card is complete."""
    rows = reference.rows
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
        "parts": reference.parts,
        "made_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {each: importlib.metadata.version(each) for each in VERSIONS},
    }
    store.write_bytes(f"{home}/card.json", json.dumps(card, indent=1).encode())
