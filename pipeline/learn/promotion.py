"""Promotion of heads: a head becomes the champion unless it is worse on the same test patients.

Recipe, trunk and head are promoted together. Readers use the current champion until the new one has
predicted everything; the promotion is written last. Every decision is stored: promotions under
models/promotions, refusals under runs.
"""

import json
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from pipeline.learn.evaluate import check_sides
from pipeline.learn.scored_rows import scored_rows
from pipeline.model.scores import metrics
from pipeline.model.scores.metrics import Estimate
from pipeline.progress import progress
from pipeline.stages.predict import Head, predict_part
from pipeline.store import tables
from pipeline.store.registry import champion, stored_choice
from pipeline.store.store import Store

FEW_PATIENTS = 30  # on the test side; with fewer, only a far worse head is found to be worse


@dataclass(frozen=True)
class Decision:
    """Whether a head became the champion, and why."""

    promoted: bool
    why: str
    difference: Estimate | None = None  # its AUROC minus the champion's; None without one
    crops: int = 0  # test rows that both were measured on
    patients: int = 0


def promote(store: Store, head: Head, distance: int) -> Decision:
    """Make `head` the champion unless it is worse on the same test patients; return the decision.

    Worse means that the 95 % interval of the paired difference in AUROC lies below zero. Test
    scans that resemble one of another side (hashes at most `distance` bits apart) do not count.
    """
    current = champion(store)
    if current and current["head"] == head.head_id:
        return Decision(False, "it is the champion already: nothing new was learned")
    if current is None:
        decision = Decision(True, "there was no champion")
    else:
        decision = compare(store, head, Head(store, current["head"]), distance)
    before = current["head"] if current else None
    if not decision.promoted:
        _write_refusal(store, head, before, decision)
        return decision
    predict_everything(store, head)
    record = _record(head, before, decision)
    number = current["number"] + 1 if current else 1
    name = f"models/promotions/{number:05d}.json"
    if not store.create(name, json.dumps(record, indent=1).encode()):
        refused = Decision(False, "another run promoted a head at the same moment; try again")
        _write_refusal(store, head, before, refused)
        return refused
    # Parts that another run has embedded in the meantime.
    predict_everything(store, head)
    return decision


def compare(store: Store, head: Head, current: Head, distance: int) -> Decision:
    """Compare the AUROC of both on the same test rows, those that both trunks have embedded."""
    left_out = check_sides(head, distance, current.with_trunk_learned_from).left_out
    new, old = scored_rows(store, head), scored_rows(store, current)
    test = (new.sides == "test") & ~new.facts["scan_id"].isin(left_out).to_numpy()
    test &= new.facts["crop_id"].isin(old.facts["crop_id"]).to_numpy()
    new = new.only(test)
    old = old.only(old.facts["crop_id"].isin(new.facts["crop_id"]).to_numpy())
    # Both in the order of crop ids, so that row i is the same crop.
    found = metrics.paired_difference(new.abnormal, old.p_abnormal, new.p_abnormal, new.patients)
    crops, patients = len(new.facts), len(set(new.patients))
    if found.low is None:
        why = f"the champion could not be compared: {found.reason}"
        return Decision(False, why, found, crops, patients)
    worse = found.high < 0
    why = (
        f"AUROC {found.value:+.3f} (95 % interval {found.low:+.3f} to {found.high:+.3f}) against "
        f"the champion: {'worse than' if worse else 'not worse than'} it on {crops} crops of "
        f"{patients} test patients"
    )
    if patients < FEW_PATIENTS:
        why += f"; fewer than {FEW_PATIENTS} patients show little"
    if lacking := _parts_without(store, head, current):
        why += (
            f"; {lacking} parts have embeddings of the champion's trunk but not of this head's, so "
            "their crops have no predictions until their batches are run again"
        )
    return Decision(not worse, why, found, crops, patients)


def predict_everything(store: Store, head: Head) -> None:
    """Predict every part with embeddings of the head's trunk that it has not predicted yet."""
    chosen = stored_choice(store, head.card["trunk"])
    missing = tables.predictions(head.head_id).missing_from(store, chosen.features)
    with progress("predict", sum(len(numbers) for numbers in missing.values())) as advance:
        for batch, numbers in missing.items():
            for number in numbers:
                predict_part(store, batch, number, chosen, head)
                advance(1)


def _parts_without(store: Store, head: Head, current: Head) -> int:
    """Number of parts that the champion's trunk has embedded and the head's has not."""
    ours, theirs = (stored_choice(store, each.card["trunk"]) for each in (head, current))
    return sum(map(len, ours.features.missing_from(store, theirs.features).values()))


def _record(head: Head, before: str | None, decision: Decision) -> dict:
    return {
        "recipe": head.card["recipe_id"],
        "trunk": head.card["trunk"],
        "head": head.head_id,
        "before": before,
        **asdict(decision),
        "decided_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _write_refusal(store: Store, head: Head, before: str | None, decision: Decision) -> None:
    record = _record(head, before, decision)
    name = f"runs/refused-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}.json"
    store.write_bytes(name, json.dumps(record, indent=1).encode())
