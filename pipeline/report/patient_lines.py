"""Whose the new scans of a batch are, and what keeps scans from being taken, as lines of counts."""

from pipeline.model.scores.splits import CONFLICT_RULE
from pipeline.report.format_numbers import plural
from pipeline.stages.planned_batch import PlannedBatch

# What `patient_from` stands for, in the order in which the sources are asked.
SOURCES = {
    "csv": "table",
    "dicom": "DICOM PatientID",
    "folder": "folder",
    "name": "file name",
    "study": "DICOM study",
}


def patient_lines(planned: PlannedBatch) -> list[str]:
    """Return one line for each thing to know about the patients of the new scans."""
    lines, sources = [], planned.patients_from
    if sources:
        counts = [f"{sources[key]} by {name}" for key, name in SOURCES.items() if key in sources]
        scans = plural(sum(sources.values()), "new scan")
        lines.append(f"{plural(planned.patients, 'patient')} in {scans}")
        if counts:
            lines[-1] += f": {', '.join(counts)}"
    if alone := sources.get("scan", 0) - planned.copies:
        lines.append(
            f"{plural(alone, 'scan')} without a patient ID: each counts as its own patient"
        )
    return lines + patient_notes(planned)


def patient_notes(planned: PlannedBatch) -> list[str]:
    """Return what may be wrong or ignored about the patients of the new scans."""
    lines = []
    if planned.placeholders:
        lines.append(
            f"{plural(planned.placeholders, 'scan')} with a placeholder as PatientID, which "
            "counts as none (setting `placeholder_ids`)"
        )
    if planned.shared_ids:
        lines.append(
            f"{plural(planned.shared_ids, 'PatientID')} with several names, birth dates or sexes, "
            "which may be of several people (see messages.log)"
        )
    if planned.given_sides:
        counts = ", ".join(f"{count} {side}" for side, count in planned.given_sides.items())
        lines.append(
            f"sides of a split are kept as the folders give them ({counts})"
            if planned.splits_kept
            else f"folders that name sides of a split are ignored ({counts}): the side follows "
            "from the patient, unless the setting `given_splits` is true"
        )
    if planned.split_conflicts:
        lines.append(
            f"{plural(planned.split_conflicts, 'patient')} with scans in folders of several sides: "
            f"{CONFLICT_RULE}"
        )
    return lines


def waiting_lines(planned: PlannedBatch) -> list[str]:
    """Return why scans of the folder were left for a later run."""
    lines = []
    if planned.growing:
        lines.append(
            f"{plural(planned.growing, 'file')} left for the next run: still being written, or "
            "waiting for a table that is"
        )
    if planned.unread_tables:
        lines.append(
            f"{plural(planned.waiting, 'scan')} waiting for "
            f"{plural(planned.unread_tables, 'table')} that cannot be read and may name patients. "
            "Save each as CSV in UTF-8, or take it out of the folder, and run again (see "
            "messages.log)"
        )
    return lines
