"""What a batch holds, in six lines of counts: for `dental check`, and before the work of a run."""

import os
from collections.abc import Iterator, Mapping

from pipeline.config import Settings
from pipeline.ingest.labels.class_names import class_names_line
from pipeline.report.batch_summary import format_other_files, unmatched_message
from pipeline.report.format_numbers import plural
from pipeline.report.patient_lines import SOURCES, patient_notes
from pipeline.stages.check_folder import FolderCheck
from pipeline.stages.planned_batch import PlannedBatch

FORMS = {
    "coco": "COCO file",
    "labelme": "LabelMe file",
    "label_studio": "Label Studio file",
    "via": "VIA file",
    "supervisely": "Supervisely file",
    "voc": "Pascal VOC file",
    "cvat": "CVAT file",
    "csv": "table",
    "yolo": "YOLO file",
    "unknown": "unread label file",
}
NONE = "none"


def format_delivery(planned: PlannedBatch, settings: Settings) -> list[str]:
    """Six lines: scans, label files, classes, patients, what is left out, what is not used."""
    parts = delivery_parts(planned, settings)
    return [f"  {label:<10}{'; '.join(texts) or NONE}" for label, texts in parts.items()]


def delivery_parts(planned: PlannedBatch, settings: Settings) -> dict[str, list[str]]:
    """The texts of every line, by its label."""
    return {
        "scans": [*_scans(planned)],
        "labels": [*_labels(planned)],
        "classes": [*_classes(planned, settings.normal_class)],
        "patients": [*_patients(planned)],
        "left-out": [*_left_out(planned)],
        "not-used": [*_not_used(planned, settings)],
    }


def _scans(planned: PlannedBatch) -> Iterator[str]:
    formats = _counted(planned.formats)
    new = "" if planned.new == planned.scans else f", {planned.new} new"
    yield f"{planned.scans}{new}" + (f": {formats}" if formats else "")
    if planned.panoramics:
        yield plural(planned.panoramics, "panoramic")
    if planned.unknown_sizes:
        yield f"{planned.unknown_sizes} of unknown size"


def _labels(planned: PlannedBatch) -> Iterator[str]:
    for form, found in planned.label_forms.items():
        what = plural(found["files"], FORMS[form]) if form in FORMS else "class folders"
        lines = f": {found['matched']} of {found['lines']} lines match a scan"
        yield what + (lines if found["lines"] else "")


def _classes(planned: PlannedBatch, normal_class: str) -> Iterator[str]:
    findings = {label: n for label, n in planned.classes.items() if label != normal_class}
    if findings:
        yield f"findings {_counted(findings)}"
    if normal := planned.classes.get(normal_class):
        yield f"normal {normal} {normal_class}"
    if planned.teeth:
        yield f"{planned.teeth} with a tooth number"
    if planned.unused_classes:
        yield f"{planned.unused_classes} of a class that is ignored"


def _patients(planned: PlannedBatch) -> Iterator[str]:
    sources = planned.patients_from
    counts = [f"{sources[key]} by {name}" for key, name in SOURCES.items() if key in sources]
    yield str(planned.patients) + (f": {', '.join(counts)}" if counts else "")
    if alone := sources.get("scan", 0) - planned.copies:
        yield f"{plural(alone, 'scan')} without a patient ID: each counts as its own patient"
    if planned.copies:
        yield f"{plural(planned.copies, 'copy of another scan', 'copies of other scans')}"
    if planned.given_sides and planned.splits_kept:
        yield f"sides as given: {_counted(planned.given_sides)}"
    if planned.split_conflicts:
        yield f"{plural(planned.split_conflicts, 'patient')} on several given sides"


def _left_out(planned: PlannedBatch) -> Iterator[str]:
    if planned.unusable:
        yield _counted(planned.unusable)
    if planned.other:
        yield format_other_files(planned.other)
    if planned.ignored:
        yield plural(planned.ignored, "hidden or system file")
    if planned.growing:
        yield f"{planned.growing} still being written"
    if planned.waiting:
        tables = plural(planned.unread_tables, "unread table")
        yield f"{plural(planned.waiting, 'scan')} waiting for {tables}"


def _not_used(planned: PlannedBatch, settings: Settings) -> Iterator[str]:
    if planned.problems:
        yield f"label lines {_counted(planned.problems)}"
    if planned.whole_labels:
        yield f"{plural(planned.whole_labels, 'label')} of whole panoramics; deliver boxes"
    folders = planned.notices.get("class_folders")
    if folders and settings.patient_folders is None:
        named = plural(folders, "folder")
        yield f"{named} that may be classes (`class_folders`) or patients (`patient_folders`)"
    if other := planned.notices.get("numbering"):
        yield f"teeth in {plural(other, 'label file')} of another notation (`numbering`)"
    empty = planned.notices.get("empty_file")
    if empty and not settings.empty_is_normal:
        yield f"{plural(empty, 'empty YOLO file')} (`empty_is_normal`)"
    rows = planned.notices.get("empty_row")
    if rows and not settings.empty_is_normal:
        yield f"{plural(rows, 'row')} of tables without a class (`empty_is_normal`)"
    if unread := planned.notices.get("not_read"):
        yield f"columns, sheets or attributes of {plural(unread, 'label file')}"
    if planned.placeholders:
        yield f"{plural(planned.placeholders, 'placeholder')} as PatientID"
    if planned.shared_ids:
        yield f"{plural(planned.shared_ids, 'PatientID')} of several names, birth dates or sexes"
    if planned.given_sides and not planned.splits_kept:
        yield f"folders of a split (`given_splits`): {_counted(planned.given_sides)}"


def _counted(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {name}" for name, count in ordered)


def format_check(found: FolderCheck, with_names: bool) -> list[str]:
    """Lines about each label file, class and reason to leave files out, and what to do."""
    lines = []
    for file in found.label_files:
        if file.form == "folders" or not file.entries:
            continue
        name = f" {os.fsdecode(file.path) or '.'}" if with_names else ""
        line = f"  labels    {file.form}{name}: {file.matched} of {file.entries} lines match a scan"
        if file.unmatched and with_names:
            line += f"; not found: {', '.join(file.unmatched)}"
        lines.append(line)
    for label, what in found.classes.items():
        lines.append(f"  class     {label}: {plural(what['lines'], 'line')}, {what['becomes']}")
    for written, count in found.tooth_classes.items():
        lines.append(f"  class     {written}: {plural(count, 'line')}, tooth")
    for written, count in (found.ignored_classes if with_names else {}).items():
        line = f"  class     {written}: {plural(count, 'line')}, ignored"
        lines.append(f"{line}; to use it: {class_names_line(written)}")
    lines += [f"  note      {notice}" for notice in (found.notices if with_names else ())]
    for each in found.left_out:
        line = f"  left-out  {each.reason}: {plural(each.files, 'file')}; {each.message}"
        lines.append(line + (f" ({', '.join(each.examples)})" if with_names else ""))
    if found.counts.unmatched_files:
        lines.append(f"  UNMATCHED {unmatched_message(found.counts.unmatched_files)}")
    return [*lines, *(f"  note      {line}" for line in patient_notes(found.counts))]
