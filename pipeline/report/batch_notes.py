"""Notes of a run about patients, labels and bits of a batch that someone should look at."""

from collections.abc import Iterator

from pipeline.model.scores.splits import CONFLICT_RULE
from pipeline.report.format_numbers import plural
from pipeline.store import catalog


def batch_notes(con, batch: str) -> Iterator[str]:
    """All notes about a batch, each with the query that lists what it is about."""
    yield from _about_patients(con, batch)
    yield from _about_sides(con, batch)
    yield from _about_labels(con, batch)
    yield from _about_unused_bits(con, batch)


def _about_patients(con, batch: str) -> Iterator[str]:
    """Note scans that may have the wrong patient, so be on the wrong side of the split."""
    if misfiled := len(catalog.query(con, "misfiled", batch=batch)):
        yield (
            f"{misfiled} pairs of scans look alike but have different patient IDs; one of each "
            f"pair may be misfiled. See them with: dental query misfiled batch={batch}"
        )
    corrected = catalog.query(con, "patients_corrected", batch=batch)
    if len(corrected):
        taken = ", ".join(sorted(set(corrected["batch"])))
        yield (
            f"{corrected['scan_id'].nunique()} scans were accepted before their patient was "
            "known, or with another patient ID; a scan keeps its first patient, so one person "
            f"may be on two sides of the split. To correct it, see that the tables of {taken} "
            f"name the patient, take {taken} back with `dental undo`, run it again and give "
            "reviewers' tables again with `dental feedback`. See them with: dental query "
            f"patients_corrected batch={batch}"
        )


def _about_sides(con, batch: str) -> Iterator[str]:
    """Note patients who came in folders of several sides."""
    conflicts = catalog.query(con, "split_conflicts", batch=batch)["patient_key"]
    if len(conflicts):
        yield (
            f"{plural(conflicts.nunique(), 'patient')} came in folders of several sides; "
            f"{CONFLICT_RULE}. See them with: dental query split_conflicts batch={batch}"
        )


def _about_labels(con, batch: str) -> Iterator[str]:
    """Note delivered labels that no crop has."""
    if unused := len(catalog.query(con, "unused_labels", batch=batch)):
        yield (
            f"{plural(unused, 'label')} of whole panoramics are used on no crop; deliver "
            f"boxes. See them with: dental query unused_labels batch={batch}"
        )


def _about_unused_bits(con, batch: str) -> Iterator[str]:
    """Note scans that may be too dark, since their sensor may record fewer bits than 16."""
    scans = catalog.query(con, "unused_bits", batch=batch)
    for (bits, used), found in scans.groupby(["bits", "bits_used"]):
        yield (
            f"{len(found)} scans of {bits} bits never exceed {used}. If their sensor has fewer "
            "bits, they are too dark: state its `bits` in the batch's table before the next "
            f"delivery. See them with: dental query unused_bits batch={batch}"
        )
