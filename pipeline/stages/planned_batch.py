"""What planning a batch found, in counts."""

from dataclasses import dataclass, field


@dataclass
class PlannedBatch:
    """The result of planning, in counts, so that it may be shown anywhere."""

    batch: str
    scans: int = 0  # entries that count as scans, in the folder now
    new: int = 0  # of these, listed now, for the first time or again
    label_files: int = 0
    ignored: int = 0
    growing: int = 0
    forgotten: int = 0  # of the scans, skipped because they were forgotten
    problems: dict[str, int] = field(default_factory=dict)  # label lines not used, by kind
    notices: dict[str, int] = field(default_factory=dict)  # what may need a setting, by kind
    other: dict[str, int] = field(default_factory=dict)  # neither scans nor labels read, by kind
    patients: int = 0  # of the new scans; one without a patient ID is its own
    patients_from: dict[str, int] = field(default_factory=dict)  # new scans by `patient_from`
    placeholders: int = 0  # new scans whose DICOM PatientID is a placeholder
    shared_ids: int = 0  # DICOM PatientIDs that came with several names, birth dates or sexes
    unread_tables: int = 0
    waiting: int = 0  # scans not listed yet that wait for these tables
    given_sides: dict[str, int] = field(default_factory=dict)  # scans by the side of their folder
    splits_kept: bool = False  # these sides are kept
    split_conflicts: int = 0  # patients of new scans on more than one of them
    # New scans by format, and those that their first bytes rule out, by reason.
    formats: dict[str, int] = field(default_factory=dict)
    panoramics: int = 0
    unknown_sizes: int = 0
    unusable: dict[str, int] = field(default_factory=dict)
    # Files, lines about a scan, and lines whose scan was found, by the form of label files.
    label_forms: dict[str, dict[str, int]] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)  # lines by label
    unused_classes: int = 0  # lines with a class that is none
    teeth: int = 0  # lines with a tooth number
    whole_labels: int = 0  # labels of whole panoramics, which no crop inherits
    copies: int = 0  # new scans that have the patient of the scan that they are a copy of
    unmatched_files: int = 0  # label files with fewer than half of the lines matched
