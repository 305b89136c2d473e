"""Whose the new scans of a batch are, and what keeps scans from being taken, as lines of counts."""

from pipeline.stages.plan import PlannedBatch

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
        lines.append(f"{planned.patients} patients in {sum(sources.values())} new scans")
        if counts:
            lines[-1] += f": {', '.join(counts)}"
    if alone := sources.get("scan", 0) - planned.copies:
        lines.append(f"{alone} scans without a patient ID: each counts as its own patient")
    return lines + patient_notes(planned)


def patient_notes(planned: PlannedBatch) -> list[str]:
    """Return what may be wrong or ignored about the patients of the new scans."""
    lines = []
    if planned.placeholders:
        lines.append(
            f"{planned.placeholders} scans have a placeholder as PatientID, which counts as none "
            "(setting `placeholder_ids`)"
        )
    if planned.shared_ids:
        lines.append(
            f"{planned.shared_ids} PatientIDs came with several names, birth dates or sexes and "
            "may stand for several people (see messages.log)"
        )
    if planned.given_sides:
        counts = ", ".join(f"{count} {side}" for side, count in planned.given_sides.items())
        lines.append(
            f"folders that name sides of a split are ignored ({counts}): the side follows from "
            "the patient"
        )
    return lines


def waiting_lines(planned: PlannedBatch) -> list[str]:
    """Return why scans of the folder were left for a later run."""
    lines = []
    if planned.growing:
        lines.append(
            f"{planned.growing} files are still being written, or wait for a table that is; the "
            "next run takes them"
        )
    if planned.unread_tables:
        lines.append(
            f"{planned.waiting} scans wait: {planned.unread_tables} tables beside them cannot be "
            "read and may name their patients. Save these as CSV in UTF-8, or take them out of "
            "the folder, and run again (see messages.log)"
        )
    return lines
