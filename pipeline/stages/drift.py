"""Compare a batch, as it is now, with the reference, and write the result as one part of drift.

Scans are compared within their modality, and all delivered files together by status and modality.
The chance of a false alarm is shared among all comparisons. The figures are of at least ten
patients and identify none, so `forget` leaves them unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from pipeline import schemas
from pipeline.model import drift
from pipeline.model.drift import Finding
from pipeline.stages.drift_reference import (
    FILES,
    Reference,
    find_or_make_reference,
    reference_id,
    sample_of,
    sampled,
    with_embeddings,
)
from pipeline.stages.ledger_rows import ACCEPTED
from pipeline.store import catalog, tables
from pipeline.store.open_store import OpenStore
from pipeline.store.parts import read_part
from pipeline.store.registry import ModelChoice
from pipeline.store.store import Store
from pipeline.store.tables import Table

if TYPE_CHECKING:
    import pandas as pd

COMPARED, TOO_FEW, NO_REFERENCE, PART_OF_IT = "compared", "too_few", "no_reference", "reference"
MOST_SHOWN = 4  # facts in one alert; the query `drift` lists all
UNNAMED = {"embeddings": "embeddings", "channels": "what the trunk's channels answer"}


def drift_table(opened: OpenStore, chosen: ModelChoice) -> Table:
    """The table of comparisons with the reference of this run."""
    return tables.drift(reference_id(chosen, opened.settings))


def compare_batch(opened: OpenStore, chosen: ModelChoice, batch: str, last: int) -> str:
    """Compare a batch whose parts are all embedded, unless done already; return the part.

    Makes the references that are missing once there are enough patients for them.
    """
    comparison = drift_table(opened, chosen)
    if comparison.has(opened.store, batch, last):
        return comparison.part(batch, last)
    files = catalog.ask(opened.store, "drift_files", batch=batch)
    modalities = sorted(set(files["modality"][files["status"] == ACCEPTED]))
    common = {
        "batch": batch,
        "part": last,
        "trunk": chosen.trunk_id,
        "reference": comparison.key,
    }
    outcomes = [
        (modality, *_outcome(opened, chosen, batch, files, modality))
        for modality in (*modalities, FILES)
    ]
    shared = sum(bool(findings) for *_, findings in outcomes)
    rows = [
        {**common, "modality": modality, **facts, **each}
        for modality, facts, findings in outcomes
        for each in _rows(findings, shared, opened.settings.drift.alarm_rate)
    ]
    table = pa.Table.from_pylist(rows, comparison.schema)
    return comparison.write(opened.store, batch, last, table)


def _outcome(
    opened: OpenStore, chosen: ModelChoice, batch: str, files: pd.DataFrame, modality: str
) -> tuple[dict, list[Finding]]:
    """State and counts of one modality, and the findings if it was compared."""
    reference, patients = find_or_make_reference(opened, chosen, modality)
    settings = opened.settings.drift
    if reference is None:
        words = f"no reference yet ({patients} of {settings.reference_patients} patients needed)"
        words += " in the batches that `drift.reference` names" if settings.reference else ""
        return {"state": NO_REFERENCE, "reference_patients": patients, "words": words}, []
    facts = {"reference_patients": reference.patients}
    mine = files[files["part"] > reference.parts.get(batch, -1)]
    if mine.empty and len(files):
        return {**facts, "state": PART_OF_IT, "words": "part of the reference"}, []
    rows = sampled(mine, modality)
    if modality != FILES:
        rows = with_embeddings(opened.store, chosen, batch, rows)
    facts["patients"] = rows["patient_key"].nunique()
    others = _others(reference, rows)
    for count, whose in (
        (facts["patients"], "patients"),
        (others, "other patients of the reference"),
    ):
        if count < settings.batch_patients:
            words = f"too few to compare ({count} of {settings.batch_patients} {whose} needed)"
            return {**facts, "state": TOO_FEW, "words": words}, []
    findings = drift.compare(sample_of(reference.rows, modality), sample_of(rows, modality))
    return {**facts, "state": COMPARED}, findings


def _others(reference: Reference, rows: pd.DataFrame) -> int:
    """Patients of the reference who are not in the batch too."""
    return len(set(reference.rows["patient_key"]) - set(rows["patient_key"]))


def _rows(findings: list[Finding], shared: int, alarm_rate: float) -> Iterator[dict]:
    """The rows to store for one modality; one empty row where nothing was compared."""
    if not findings:
        yield {}
    for each in findings:
        p_value = min(1.0, each.p_value * shared)
        yield {
            "fact": each.fact,
            "distance": each.distance,
            "by_chance": each.by_chance,
            "p_value": p_value,
            "alert": p_value <= alarm_rate,
            "words": drift_sentence(each),
        }


def drift_sentence(finding: Finding) -> str:
    """A finding as a phrase: what changed, from which value to which."""
    was, now, name = finding.was, finding.now, finding.fact.replace("_", " ")
    if finding.fact in UNNAMED:
        return (
            f"{UNNAMED[finding.fact]} changed (distance {finding.distance:.2g}, by chance "
            f"{finding.by_chance:.2g} once in 100)"
        )
    if was is None or now is None:
        return f"{name} is known of one of them alone"
    went = "rose" if now > was else "fell" if now < was else "stayed"
    if finding.word is not None:
        return f"{name} {finding.word} {went} from {was:.0%} to {now:.0%}"
    if f"{was:.3g}" == f"{now:.3g}":
        return f"{name} is spread otherwise around {now:.3g} (median)"
    return f"{name} {went} from {was:.3g} to {now:.3g} (median)"


def drift_notes(store: Store, name: str) -> tuple[list[str], list[str]]:
    """Alerts and notes of a comparison: one line per modality with an alert, one for the rest."""
    by_modality: dict[str, list[dict]] = {}
    for row in read_part(store, name, schemas.DRIFT).to_pylist():
        by_modality.setdefault(row["modality"], []).append(row)
    alerts, calm = [], []
    for modality, mine in by_modality.items():
        first, alarming = mine[0], [row["words"] for row in mine if row["alert"]]
        if alarming:
            facts = "; ".join(alarming[:MOST_SHOWN])
            more = len(alarming) - MOST_SHOWN
            facts += f"; and {more} more facts" if more > 0 else ""
            alerts.append(
                f"{_subject(modality)} differ from the reference: {facts}. "
                f"{first['patients']} patients against {first['reference_patients']}; "
                f"all figures: dental query drift batch={first['batch']}"
            )
        else:
            compared = first["state"] == COMPARED
            calm.append(f"{modality}: {'like the reference' if compared else first['words']}")
    return alerts, [f"Drift: {'; '.join(calm)}."] if calm else []


def _subject(modality: str) -> str:
    return "The files" if modality == FILES else f"Scans of modality {modality}"
