"""Compare a reviewer's table with the store, and append what is new in it.

A line that repeats what is in effect changes nothing, so a growing table can be given again and
again. A table that withdraws labels or changes many is held back until a person agrees to it.
"""

from dataclasses import dataclass, field
from pathlib import Path

from pipeline.config import Settings
from pipeline.errors import ConfigError
from pipeline.learn.decisions import (
    LABELLING,
    allowed_labels,
    append_decisions,
    checked_reviewer,
)
from pipeline.learn.review_documents import is_document, read_review_document
from pipeline.learn.review_table import Line, read_review_table
from pipeline.store import catalog
from pipeline.store.store import Store

# Share of the labels in force above which a person has to agree to their change.
MOST_CHANGED = 0.10
SHOWN = 20  # changed lines on a terminal


@dataclass
class FeedbackResult:
    """What the lines of a table do; nothing was appended when the table is held back."""

    appended: int = 0
    new: int = 0  # label a crop without a label in force
    changed: int = 0  # label a crop that has another label in force
    confirmed: int = 0  # label a crop as it is labelled, by another source
    withdrawn: int = 0
    unsure: int = 0
    undone: int = 0
    known: int = 0  # repeat what is in effect
    replaced: int = 0  # by a later line of the same reviewer about the same crop
    blank: int = 0  # decide nothing
    in_force: int = 0  # labels before the table
    relabelled: int = 0  # crops whose label in force the table changes
    changes: list[str] = field(default_factory=list)  # lines that change a label in force
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what was read by a guess, or not read
    held: str | None = None  # why nothing was appended

    @property
    def is_training_due(self) -> bool:
        """Whether a head trained now would learn something else."""
        return not self.held and self.new + self.relabelled > 0

    def format_lines(self) -> list[str]:
        """Lines for a terminal."""
        summary = (
            f"Labels: {self.new} new, {self.changed} changed, {self.confirmed} confirmed, "
            f"{self.withdrawn} withdrawn, {self.unsure} unsure, {self.undone} undone; "
            f"{self.known} known already, {self.blank} lines blank, {self.replaced} replaced by a "
            f"later line, {len(self.problems)} lines not used"
        )
        more = len(self.changes) - SHOWN
        shown = [*self.changes[:SHOWN], *([f"and {more} more changes"] if more > 0 else [])]
        return [summary, *(f"  {each}" for each in (*shown, *self.problems, *self.notes))]


def take_feedback(
    settings: Settings, file: Path, agreed: bool = False, reviewer: str | None = None
) -> FeedbackResult:
    """Append what is new in a reviewer's table to the store; return the comparison.

    A file of an annotation tool needs the code of its `reviewer`; a table has its own. Unless
    `agreed`, nothing is appended when labels are withdrawn or more than a tenth of those in force
    change. Raises ConfigError when the file cannot be read or lacks a column.
    """
    store = Store(settings.store)
    effect = InEffect(store)
    allowed = allowed_labels(store, settings) | set(settings.class_names.values())
    if is_document(file):
        if reviewer is None:
            raise ConfigError(f"{file} does not say whose labels it has; give --reviewer CODE.")
        code = checked_reviewer(reviewer)
        table = read_review_document(store, file, code, allowed, settings.class_names)
    else:
        table = read_review_table(file, effect.batches.keys(), allowed, settings.class_names)
    last = {(line.decision.crop_id, line.decision.reviewer): line for line in table.lines}
    result = FeedbackResult(
        replaced=len(table.lines) - len(last),
        blank=table.blank,
        in_force=len(effect.labels),
        problems=table.problems,
        notes=table.notes,
    )
    new = [line.decision for line in last.values() if _compare(line, effect, result)]
    result.held = None if agreed else _reason_to_hold(result)
    if not result.held:
        append_decisions(store, new, effect.batches)
        result.appended = len(new)
    return result


class InEffect:
    """What is in effect in a store, by crop and reviewer."""

    def __init__(self, store: Store):
        with catalog.open_store(store) as con:
            crops = catalog.query(con, "crop_labels")
            readings = catalog.query(con, "readings_in_effect").astype(object)
            undone = catalog.query(con, "undone_last")
            labels = con.table("labels_now").to_arrow_table().to_pylist()
        self.batches = dict(zip(crops["crop_id"], crops["batch"], strict=True))
        self.labels = {row["crop_id"]: (row["label"], row["source"]) for row in labels}
        # A consensus is kept in addition to its reviewer's own reading.
        self.readings = {
            (row.crop_id, row.source, row.decision == "consensus"): (row.decision, row.label)
            for row in readings.where(readings.notna(), None).itertuples()
        }
        self.undone_last = set(zip(undone["crop_id"], undone["source"], strict=True))

    def reading(self, line: Line) -> tuple[str, str | None] | None:
        """What the reviewer of a line decided last about its crop; consensus for a consensus."""
        made = line.decision
        return self.readings.get((made.crop_id, made.reviewer, made.decision == "consensus"))


def _compare(line: Line, effect: InEffect, result: FeedbackResult) -> bool:
    """Count one line; return whether it is to be appended."""
    made, own = line.decision, effect.reading(line)
    label, source = effect.labels.get(made.crop_id, (None, None))
    if made.decision == "undo":
        own = own or effect.readings.get((made.crop_id, made.reviewer, True))
        is_known = (made.crop_id, made.reviewer) in effect.undone_last
        if not is_known and own is None:
            what = f"{made.reviewer} has decided nothing about {made.crop_id} that could be undone"
            result.problems.append(f"{line.place}: {what}")
            return False
    else:
        is_known = own == (made.decision, made.label)
    if is_known:
        result.known += 1
        return False
    if made.decision in LABELLING:
        kind = "new" if label is None else "confirmed" if label == made.label else "changed"
    else:
        kind = {"withdraw": "withdrawn", "unsure": "unsure", "undo": "undone"}[made.decision]
    setattr(result, kind, getattr(result, kind) + 1)
    if kind in ("changed", "withdrawn", "undone") or (kind == "unsure" and own):
        result.relabelled += 1
        before = f"{label} ({source})" if label else "no label"
        after = made.label or made.decision
        what = f"{made.crop_id} {before}, now {after} ({made.reviewer})"
        result.changes.append(f"{line.place}: {what}")
    return True


def _reason_to_hold(result: FeedbackResult) -> str | None:
    """Why a person has to agree to a table; None if that is not needed."""
    reasons = []
    if result.withdrawn:
        reasons.append(f"it withdraws {result.withdrawn} labels")
    if result.relabelled > MOST_CHANGED * result.in_force:
        share = f"{result.relabelled} of the {result.in_force} labels in force"
        reasons.append(f"it changes {share}, which is more than a tenth")
    return " and ".join(reasons) or None
