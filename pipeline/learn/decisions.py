"""Append reviewers' decisions to the store: the one way in, from a table as from the page.

    label      the crop has this label
    withdraw   the crop has no label, whatever was delivered or given before
    unsure     the reviewer has seen the crop and cannot tell; labels nothing
    undo       the reviewer's latest decision about the crop counts as never made
    consensus  the label on which the reviewers agreed; settles a dispute

`sql/macros/31_readings_until.sql` and `33_labels_until.sql` define which of them are in effect.
"""

import datetime
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from pipeline import schemas
from pipeline.config import Settings
from pipeline.errors import ConfigError
from pipeline.labels import EXPECTED, clean_label, reviewer_problem
from pipeline.store import catalog
from pipeline.store.encoded_parts import PackedPart
from pipeline.store.locks import commit_lock
from pipeline.store.store import Store

DECISIONS = ("label", "withdraw", "unsure", "undo", "consensus")
LABELLING = ("label", "consensus")  # which have a label; the others have none
# Parts are named by the time of their last decision, in microseconds. No number of a batch's part
# looks like it, and the newest name has the newest time.
PREFIX, TIME = "labels/part-decided-", "%Y%m%dt%H%M%S%f"


class Decision(NamedTuple):
    """What a reviewer decided about one crop; `label` is None unless it labels."""

    crop_id: str
    decision: str  # one of DECISIONS
    label: str | None
    reviewer: str


def allowed_labels(store: Store, settings: Settings) -> set[str]:
    """Labels that a reviewer may give: those of the settings, and every one ever given."""
    with catalog.open_store(store) as con:
        known = catalog.query(con, "known_labels")["label"]
    return {settings.normal_class, *settings.classes, *known}


def checked_reviewer(written: str) -> str:
    """The code of a reviewer in the stored spelling; ConfigError for what is none."""
    code = written.strip().casefold()
    if problem := reviewer_problem(code):
        raise ConfigError(f"The {problem}.")
    return code


def label_problem(written: str, allowed: Collection[str]) -> str | None:
    """Why a label, in any spelling, cannot be given; None for one that can."""
    label = clean_label(written)
    if label is None:
        return f"label `{written}` cannot be stored; a label has {EXPECTED}"
    if label not in allowed:
        return (
            f"label `{written}` is none of {', '.join(sorted(allowed))}; add it to the setting "
            "`classes` if it is a new class"
        )
    return None


def decision_problem(decision: str, label: str | None) -> str | None:
    """Why a decision cannot be made, with its label or without; None for one that can."""
    if decision not in DECISIONS:
        return f"decision `{decision}` is none of {', '.join(DECISIONS)}"
    if (label is not None) != (decision in LABELLING):
        needs = "a label" if label is None else f"no label, but `{label}` was given"
        return f"decision `{decision}` needs {needs}"
    return None


def append_decisions(
    store: Store, decisions: Sequence[Decision], batches: Mapping[str, str] | None = None
) -> None:
    """Append the decisions as one part; it is durable when this returns.

    Their times increase strictly, also after those stored before, whatever the clock. `batches` has
    the batch of every crop; without it, it is looked up. Raises ConfigError for a crop that is not
    in the store and for a decision that cannot be stored; then nothing is appended. Which labels
    are allowed is checked by the caller, with `label_problem`.
    """
    if not decisions:
        return
    for decision in decisions:
        _require_storable(decision)
    batches = batches or _batches(store, [decision.crop_id for decision in decisions])
    with commit_lock(store):
        first = max(_now(), _last_time(store) + datetime.timedelta(microseconds=1))
        times = [first + datetime.timedelta(microseconds=n) for n in range(len(decisions))]
        part = PackedPart(f"{PREFIX}{times[-1]:{TIME}}.parquet", schemas.LABELS)
        part.add(_rows(decisions, times, batches))
        store.write_bytes(part.name, part.to_bytes())


def _rows(
    decisions: Sequence[Decision], times: list[datetime.datetime], batches: Mapping[str, str]
) -> Iterable[dict]:
    for decision, time in zip(decisions, times, strict=True):
        yield {
            "crop_id": decision.crop_id,
            "scan_id": decision.crop_id.partition(":")[0],
            "batch": batches[decision.crop_id],
            "label": decision.label,
            "source": decision.reviewer,
            "labelled_at": time,
            "decision": decision.decision,
        }


def _require_storable(decision: Decision) -> None:
    label, problem = decision.label, decision_problem(decision.decision, decision.label)
    if label is not None and clean_label(label) != label:
        problem = f"label `{label}` cannot be stored; a label has {EXPECTED}"
    if problem := problem or reviewer_problem(decision.reviewer):
        raise ConfigError(f"A decision about {decision.crop_id} cannot be stored: {problem}.")


def _batches(store: Store, crop_ids: list[str]) -> dict[str, str]:
    with catalog.open_store(store) as con:
        found = catalog.query(con, "batches_of_crops", crop_ids=sorted(set(crop_ids)))
    batches = dict(zip(found["crop_id"], found["batch"], strict=True))
    if unknown := [crop_id for crop_id in crop_ids if crop_id not in batches]:
        raise ConfigError(
            f"There is no crop `{unknown[0]}` in the store. List the crops with: dental worklist "
            "--all"
        )
    return batches


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _last_time(store: Store) -> datetime.datetime:
    """The time of the newest decision, from the name of its part; that of 1970 before the first."""
    names = (name for name in store.names("labels") if name.startswith(PREFIX))
    if newest := max(names, default=None):
        text = newest.removeprefix(PREFIX).removesuffix(".parquet")
        return datetime.datetime.strptime(text, TIME).replace(tzinfo=datetime.UTC)
    return datetime.datetime.fromtimestamp(0, datetime.UTC)
