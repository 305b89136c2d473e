"""What a nightly run did: its record in the store and its summary for people.

Records are runs/night-….json, one a night; the summary of the last one is reports/nightly.txt, and
reports/nightly.html beside it has those before too. Of what was delivered they have the names of
batches alone.
"""

import json
import secrets
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta

from pipeline.config import Settings
from pipeline.report.batch_summary import FAILED, INCOMPLETE, OK, Summary, unmatched_message
from pipeline.report.format_numbers import plural
from pipeline.report.patient_lines import waiting_lines
from pipeline.store.store import Store

PAGE = "reports/nightly.txt"
CLOCK_ERROR = timedelta(hours=1)  # a record that is further in the future does not count
NEW, UNCHANGED, EMPTY, BUSY, BROKEN = "new", "unchanged", "empty", "busy", "failed"


@dataclass
class BatchNight:
    """What a night did with one batch."""

    outcome: str  # new, unchanged, empty, busy or failed
    counts: dict[str, int] = field(default_factory=dict)  # of the whole batch, by status and table
    seconds: float = 0.0
    report: str | None = None
    lines: list[str] = field(default_factory=list)  # for people, without names
    marks: dict[str, int] = field(default_factory=dict)  # flagged, near_duplicates, quality flags
    incomplete: list[str] = field(default_factory=list)  # why the night's exit status is 2


@dataclass
class NightRecord:
    """What a night did, in counts and times; of what was delivered, batch names alone."""

    started_at: str = field(default_factory=lambda: _now().isoformat(timespec="seconds"))
    finished_at: str | None = None
    batches: dict[str, BatchNight] = field(default_factory=dict)
    loose_files: int = 0  # directly in the inbox, so in no batch
    labels: dict[str, int] = field(default_factory=dict)  # files, appended, withdrawn, unused
    held_tables: list[str] = field(default_factory=list)  # of reviewers, and why; without names
    head: str | None = None  # what came of training; None when it was not reached
    promoted: bool = False
    many_rejected: bool = False  # in a batch that was worked on
    unmatched_files: int = 0  # label files, most of whose lines match no scan, of such batches
    failures: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)  # by step

    @property
    def exit_status(self) -> int:
        """0; 1 for failure; 2 when a person has to look.

        At a batch with too many rejected scans or label files of others, or at a reviewer's table.
        """
        if self.failures:
            return FAILED
        return INCOMPLETE if self.many_rejected or self.unmatched_files or self.held_tables else OK

    def reasons(self) -> list[str]:
        """Why the exit status is not 0, a sentence each."""
        found = [f"failed: {failure}" for failure in self.failures]
        found += [f"reviewer's {table}" for table in self.held_tables]
        return found + [
            f"{name}: {reason}"
            for name, batch in self.batches.items()
            for reason in batch.incomplete
        ]

    def total(self, name: str) -> int:
        """The sum of a count or mark over the batches with new work."""
        new = (self.batches[each] for each in self.worked_on())
        return sum(batch.counts.get(name, 0) + batch.marks.get(name, 0) for batch in new)

    def worked_on(self) -> list[str]:
        """Batches with new work."""
        return [name for name, batch in self.batches.items() if batch.outcome == NEW]


def of_summary(summary: Summary, settings: Settings) -> BatchNight:
    """The night's entry for a batch, from the summary of its run."""
    lines = [f"ALERT {alert}" for alert in summary.alerts]
    if summary.unmatched_files:
        lines.append(f"UNMATCHED  {unmatched_message(summary.unmatched_files)}")
    lines += [f"note  {note}" for note in summary.notes]
    lines += [f"FAILED  {failure}" for failure in summary.failures]
    lines += [f"CHECK  {check}" for check in summary.broken_checks]
    if summary.planned and summary.planned.unread_tables:
        lines += [f"note  {line}" for line in waiting_lines(summary.planned)]
    if summary.failures or summary.broken_checks:
        outcome = BROKEN
    else:
        outcome = UNCHANGED if summary.nothing_to_do else NEW
    seconds = round(sum(summary.seconds.values()), 1)
    incomplete = incomplete_reasons(summary, settings) if outcome == NEW else []
    return BatchNight(
        outcome, summary.counts, seconds, summary.report, lines, summary.marks, incomplete
    )


def incomplete_reasons(summary: Summary, settings: Settings) -> list[str]:
    """Why a run that did all its work ends with the exit status 2."""
    found = []
    if summary.many_rejected(settings):
        found.append(
            f"more than {settings.max_rejected_share:.0%} of the files were rejected, the setting "
            f"`max_rejected_share`; reasons: dental query rejections batch={summary.batch}"
        )
    if summary.unmatched_files:
        found.append(unmatched_message(summary.unmatched_files))
    return found


def write_night(store: Store, night: NightRecord, settings: Settings) -> None:
    """Finish the night: write its record, and the summary for its owner alone to read."""
    now = _now()
    night.finished_at = now.isoformat(timespec="seconds")
    text = "\n".join(format_night(night, settings)) + "\n"
    store.write_bytes(PAGE, text.encode(), mode=0o600)
    # To the microsecond, since the order of names is that of the nights.
    name = f"runs/night-{now:%Y%m%dT%H%M%S.%f}-{secrets.token_hex(3)}.json"
    store.write_bytes(name, json.dumps(asdict(night), indent=1).encode())


def last_night(store: Store) -> NightRecord | None:
    """The night that finished last; None before the first.

    One from the future does not count: a clock was wrong, and it would silence the watchdog until
    then.
    """
    return next(iter(nights(store, 1)), None)


def nights(store: Store, limit: int) -> list[NightRecord]:
    """The nights that finished last, at most `limit`, the newest first; none from the future."""
    records = [name for name in store.names("runs") if name.startswith("runs/night-")]
    found = []
    for name in reversed(records):
        record = json.loads(store.read_bytes(name))
        batches = {name: BatchNight(**batch) for name, batch in record.pop("batches").items()}
        night = NightRecord(**record, batches=batches)
        if age(night) > -CLOCK_ERROR:
            found.append(night)
        if len(found) == limit:
            break
    return found


def age(night: NightRecord) -> timedelta:
    """How long ago a night finished."""
    return _now() - datetime.fromisoformat(night.finished_at)


def _now() -> datetime:
    return datetime.now(UTC)


def format_night(night: NightRecord, settings: Settings, paths: bool = True) -> list[str]:
    """Lines for a terminal, a mail, reports/nightly.txt or, without paths, reports/nightly.html."""
    result = "FAILED" if night.failures else "done"
    started = datetime.fromisoformat(night.started_at)
    lines = [f"Night of {started:%Y-%m-%d %H:%M} UTC: {result}"]
    for name, batch in night.batches.items():
        if batch.lines or batch.outcome not in (UNCHANGED, EMPTY):
            lines += _format_batch(name, batch, settings.store if paths else None)
    quiet = [batch.outcome for batch in night.batches.values()]
    unchanged, empty = quiet.count(UNCHANGED), quiet.count(EMPTY)
    lines.append(f"  {unchanged} batches unchanged, {empty} folders without scans")
    if night.loose_files:
        lines.append(
            f"  note    {night.loose_files} files lie in the inbox itself and belong to no batch; "
            "put them into a folder of their own"
        )
    if night.labels:
        lines.append(f"  labels  {format_labels(night)}")
    for table in night.held_tables:
        lines.append(f"  HELD    {table}; look at it, then: dental feedback TABLE --yes")
    if night.held_tables and paths:
        lines.append(f"          {settings.private_folder}/messages.log has its name")
    if night.head:
        lines.append(f"  head    {night.head}")
    lines += [f"  FAILED  {failure}" for failure in night.failures]
    if night.exit_status == INCOMPLETE:
        lines += [f"  STATUS 2  {reason}" for reason in night.reasons()]
    if night.failures and paths:
        lines.append(f"  Details are in {settings.private_folder}/messages.log")
    spent = ", ".join(f"{step} {seconds:.1f} s" for step, seconds in night.seconds.items())
    return [*lines, f"  time    {spent}"]


def format_labels(night: NightRecord) -> str:
    """What became of reviewers' tables; withdrawals are counted separately from labels."""
    counts = night.labels
    withdrawn = counts.get("withdrawn", 0)  # missing in records of earlier versions
    return (
        f"{counts['appended'] - withdrawn} appended and {withdrawn} withdrawn from "
        f"{counts['files']} new files, {counts['unused']} lines unused"
    )


def format_marks(marks: dict[str, int]) -> str:
    """Counts of flagged crops, quality flags and pairs that look alike, without those of 0."""
    nouns = {"flagged": "flagged crop", "near_duplicates": "pair of similar scans"}
    pairs = {"near_duplicates": "pairs of similar scans"}
    return ", ".join(
        plural(count, nouns.get(name, f"{name.replace('_', ' ')} scan"), pairs.get(name))
        for name, count in marks.items()
        if count
    )


def _format_batch(name: str, batch: BatchNight, store: str | None) -> list[str]:
    statuses = ("accepted", "duplicate", "rejected")
    counts = ", ".join(f"{batch.counts.get(status, 0)} {status}" for status in statuses)
    result = f"{counts}, {batch.seconds:.0f} s" if batch.counts else "see below"
    lines = [f"  {name}  {batch.outcome}: {result}"]
    if marks := format_marks(batch.marks):
        lines.append(f"          {marks}")
    if batch.report and store:
        lines.append(f"          {store}/{batch.report}")
    return lines + [f"          {line}" for line in batch.lines]
