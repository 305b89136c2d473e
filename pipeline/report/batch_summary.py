"""What a run did, in counts and times: its record in the store and its summary for people."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from pipeline.config import Settings
from pipeline.ingest.file_kinds import UNREAD_LABELS
from pipeline.report.format_numbers import plural
from pipeline.report.next_command import next_command, page_link
from pipeline.report.patient_lines import patient_lines, waiting_lines
from pipeline.report.training_summary import format_head_score
from pipeline.stages.planned_batch import PlannedBatch
from pipeline.store.registry import choose_models, head_home, read_card
from pipeline.store.store import Store
from pipeline.store.tables import SCANS

OK, FAILED, INCOMPLETE = 0, 1, 2
NOTICES = {
    "class_folders": "folders not used as classes: {}; if they are classes, list their names in "
    "the setting `class_folders` (names: messages.log)",
    "tooth_classes": "label files whose classes are teeth or quadrants, and so no findings: {}; if "
    "they are findings, set `class_names` (names: messages.log)",
    "numbering": "label files with teeth in another notation, which are not used: {}; set "
    "`numbering` to `universal` or `palmer` (names: messages.log)",
    "not_read": "label files with columns, sheets or attributes that are not read: {} (names: "
    "messages.log)",
    "guessed": "tables read by a guess at their encoding, names or classes: {} (see messages.log)",
    "empty_row": "rows of tables without a class: {}; their scans have no label, or the normal "
    "class if the setting `empty_is_normal` is true",
    "empty_file": "empty YOLO files: {}; their scans have no label, or the normal class if the "
    "setting `empty_is_normal` is true",
}


@dataclass
class Summary:
    """What a run did. It holds no delivered name, so it may be shown and kept anywhere."""

    batch: str
    recipe: str
    trunk: str
    head: str | None = None
    planned: PlannedBatch | None = None
    counts: dict[str, int] = field(default_factory=dict)  # of the whole batch, by status and table
    worked: dict[str, int] = field(default_factory=dict)  # parts worked on by this run, by stage
    seconds: dict[str, float] = field(default_factory=dict)  # by stage
    failures: list[str] = field(default_factory=list)
    broken_checks: list[str] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)  # how the batch differs from the reference
    notes: list[str] = field(default_factory=list)
    report: str | None = None
    # Of the whole batch, for the overview: flagged crops, scans by quality flag, pairs alike.
    marks: dict[str, int] = field(default_factory=dict)

    @property
    def nothing_to_do(self) -> bool:
        """Whether this run found everything done."""
        return not self.worked and not self.failures

    def add_seconds(self, stage: str, seconds: float) -> None:
        """Add time to a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0) + seconds

    def exit_status(self, settings: Settings) -> int:
        """0; 2 for too many rejected scans or a label file of other scans; 1 for failure."""
        if self.failures or self.broken_checks:
            return FAILED
        many = self.many_rejected(settings) or self.unmatched_files
        return INCOMPLETE if many else OK

    @property
    def unmatched_files(self) -> int:
        """The number of label files of which fewer than half of the lines match a scan."""
        return self.planned.unmatched_files if self.planned else 0

    def many_rejected(self, settings: Settings) -> bool:
        """Whether more scans were rejected than the set share."""
        # Forgotten scans and masks are no fault of a delivery.
        no_scans = self.counts.get("forgotten", 0) + self.counts.get("masks", 0)
        delivered = self.counts.get("delivered", 0) - no_scans
        rejected = self.counts.get("rejected", 0) - no_scans
        return rejected > settings.max_rejected_share * delivered


def write_record(store: Store, summary: Summary) -> None:
    """Keep counts and timings under runs/; the settings' values are in the cards."""
    now = datetime.now(UTC)
    record = {"finished_at": now.isoformat(timespec="seconds"), **asdict(summary)}
    # Microseconds, since records are told apart by their names: two small runs take one second.
    name = f"runs/{summary.batch}/{now:%Y%m%dT%H%M%S.%f}-{secrets.token_hex(3)}.json"
    store.write_bytes(name, json.dumps(record, indent=1).encode())


def last_summary(store: Store, batch: str) -> Summary | None:
    """The record of the batch's last run that did anything."""
    names = store.names(f"runs/{batch}")
    if not names:
        return None
    record = json.loads(store.read_bytes(names[-1]))
    del record["finished_at"]
    if record["planned"]:
        record["planned"] = PlannedBatch(**record["planned"])
    return Summary(**record)


def format_progress(settings: Settings, batch: str) -> str:
    """How far a batch has come, from the parts in the store."""
    store = Store(settings.store)
    parts = SCANS.numbers(store, batch)
    received = len(parts)
    embedded = len(choose_models(settings, store).features.existing(store, batch, parts))
    return f"Finished and kept so far: {plural(received, 'part')} received, {embedded} embedded."


def format_summary(summary: Summary, settings: Settings) -> list[str]:
    """Lines for a terminal: what happened, where results are, time by stage, the next command."""
    counts, store = summary.counts, settings.store
    lines = [f"Batch {summary.batch}"]
    if summary.nothing_to_do and not (summary.planned and waiting_lines(summary.planned)):
        lines.append("Nothing to do: every scan of this batch is done already.")
    lines.append(
        "  scans       "
        + ", ".join(f"{counts.get(s, 0)} {s}" for s in ("accepted", "duplicate", "rejected"))
    )
    lines += [f"              {line}" for line in _other_files(summary, settings)]
    features, predictions = counts.get("features", 0), counts.get("predictions", 0)
    lines.append(f"  features    {store}/features/{summary.trunk}  ({features} rows)")
    if summary.head:
        lines.append(f"  predictions {store}/predictions/{summary.head}  ({predictions} rows)")
    if summary.report:
        lines.append(f"  report      {store}/{summary.report}")
    lines += [f"  ALERT       {alert}" for alert in summary.alerts]
    lines += [f"  note        {note}" for note in summary.notes]
    lines += [f"  FAILED      {failure}" for failure in summary.failures]
    lines += [f"  CHECK       {check}" for check in summary.broken_checks]
    if summary.unmatched_files:
        lines.append(f"  UNMATCHED   {unmatched_message(summary.unmatched_files)}")
    if summary.many_rejected(settings):
        lines.append(
            f"  REJECTED    more than {settings.max_rejected_share:.0%} of the files, the setting "
            f"`max_rejected_share`; reasons: dental query rejections batch={summary.batch}"
        )
    total = sum(summary.seconds.values())
    spent = sorted(summary.seconds.items(), key=lambda item: -item[1])
    where = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in spent if seconds >= 0.05)
    lines.append(f"  time        {total:.1f} s: {where}")
    lines += _head_score(summary, settings)
    lines.append(f"Next: {_next(summary, settings)}")
    return lines


def public_lines(summary: Summary, settings: Settings) -> list[str]:
    """Lines without paths: counts, alerts, the score of the head and where the report is."""
    counts = summary.counts
    statuses = ("delivered", "accepted", "duplicate", "rejected")
    lines = [
        f"Batch {summary.batch}: {', '.join(f'{counts.get(s, 0)} {s}' for s in statuses)}",
        ", ".join(f"{counts.get(s, 0)} {s}" for s in ("crops", "features", "predictions")),
        *(f"ALERT {alert}" for alert in summary.alerts),
        *(f"FAILED {failure}" for failure in summary.failures),
        *(f"CHECK {check}" for check in summary.broken_checks),
    ]
    if summary.head:
        lines += format_head_score(read_card(Store(settings.store), head_home(summary.head)))
    return [*lines, f"Report: {summary.report} in the store"] if summary.report else lines


def unmatched_message(files: int) -> str:
    """The message about label files of which fewer than half of the lines match a scan."""
    return (
        f"{plural(files, 'label file')}: fewer than half of the lines match a scan. To see which "
        "names were not found: dental check FOLDER --names"
    )


def _head_score(summary: Summary, settings: Settings) -> list[str]:
    """Of a head that this run trained: its score and that of the best baseline."""
    if "train" not in summary.worked or summary.head is None:
        return []
    card = read_card(Store(settings.store), head_home(summary.head))
    lines = format_head_score(card)
    if summary.report and (link := page_link(settings.store, summary.report)):
        lines.append(f"Page: {link}")
    return [f"  {line}" for line in lines]


def _other_files(summary: Summary, settings: Settings) -> list[str]:
    """What the folder held besides scans, if anything."""
    planned, lines = summary.planned, []
    if masks := summary.counts.get("masks"):
        lines.append(f"{masks} of the rejected files are masks, which are no fault of the delivery")
    if planned is None:
        return lines
    if planned.label_files or planned.ignored:
        files = plural(planned.label_files, "label file")
        lines.append(f"and {files}, {plural(planned.ignored, 'ignored file')}")
    if planned.other:
        lines.append(f"not scans: {format_other_files(planned.other)}")
    lines += waiting_lines(planned)
    if planned.forgotten:
        files = plural(planned.forgotten, "forgotten file")
        lines.append(f"{files} in the folder, not taken; delete them there")
    if planned.problems:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(planned.problems.items()))
        query = f"dental query label_problems batch={summary.batch}"
        lines.append(
            f"label lines that could not be used: {kinds}; which: {query} (names: messages.log)"
        )
    clipped, outside = (summary.counts.get(key, 0) for key in ("clipped_boxes", "boxes_outside"))
    if clipped or outside:
        lines.append(
            f"boxes beyond their scans: {clipped} clipped, {outside} outside and not used; which: "
            f"dental query box_problems batch={summary.batch}"
        )
    return lines + _notices(planned, settings) + patient_lines(planned)


def _notices(planned: PlannedBatch, settings: Settings) -> list[str]:
    """What a setting may be meant for that is not set."""
    is_set = {
        "class_folders": settings.patient_folders is not None,
        "empty_file": settings.empty_is_normal,
    }
    found = planned.notices
    return [
        text.format(found[kind])
        for kind, text in NOTICES.items()
        if kind in found and not is_set.get(kind)
    ]


def format_other_files(other: Mapping[str, int]) -> str:
    """The counts of other files by kind; label files that are not read come last, with a remedy."""
    kinds = {kind: f"{n} {kind}{'s' if n > 1 else ''}" for kind, n in sorted(other.items())}
    labels = [text for kind, text in kinds.items() if kind in UNREAD_LABELS]
    texts = [text for kind, text in kinds.items() if kind not in UNREAD_LABELS]
    if labels:
        what = "labels in these forms are not read; deliver them as CSV, COCO or YOLO"
        texts.append(f"{', '.join(labels)} ({what})")
    return ", ".join(texts)


def _next(summary: Summary, settings: Settings) -> str:
    if summary.failures or summary.broken_checks:
        return f"see {settings.private_folder}/messages.log, then run the same command again"
    return next_command("worklist" if summary.head else "query batches", settings)
