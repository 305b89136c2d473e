"""Plan a batch: list what is new in its folder since the last list, in parts."""

import os
from collections import Counter
from dataclasses import dataclass, field

from pipeline.config import Settings
from pipeline.errors import ConfigError, StoreError
from pipeline.ingest.batch_folder import BatchFolder, folder_at, full_path
from pipeline.ingest.delivery_lists import DeliveryLists, NewFile, batch_name
from pipeline.ingest.file_kinds import is_system_folder
from pipeline.ingest.forgotten_list import ForgottenList
from pipeline.ingest.labels.annotations import Annotation, Annotations
from pipeline.ingest.labels.read_all import read_annotations
from pipeline.ingest.list_files import Entry, FileList, has_scans, list_batch
from pipeline.ingest.patients import SCAN, Patients
from pipeline.ingest.private_folder import PrivateFolder
from pipeline.ingest.split_folders import count_split_folders
from pipeline.ingest.unread_tables import scans_waiting, unread_tables
from pipeline.stages.find_masks import mark_masks
from pipeline.store.open_store import OpenStore
from pipeline.store.tables import SCANS

# Measured on real panoramics: 48 crops of 24 KB and 48 embeddings of 10 KB a scan. Every batch is
# assumed to hold panoramics, so the estimate errs on the safe side.
BYTES_PER_SCAN = 48 * (24_000 + 10_000)


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


def deliver(folder: BatchFolder, name: str | None, opened: OpenStore) -> str:
    """Name a batch and record where its folder is; flows take only the name.

    Raises ConfigError for a folder that is missing, holds nothing to receive or is none of scans.
    """
    refuse_folder(folder, opened.settings)
    if not has_scans(folder):
        raise ConfigError(
            f"The batch folder {folder} holds no scans. Put scans into it (JPEG, PNG, TIFF, BMP, "
            "WebP or DICOM), or name another folder: dental run path/to/folder"
        )
    batch = batch_name(folder.resolve(), name, opened.private)
    DeliveryLists(opened.private, batch).set_folder(folder)
    return batch


def refuse_folder(folder: BatchFolder, settings: Settings) -> None:
    """Raise ConfigError for a folder that cannot be a batch, before anything is written.

    That is one that holds the store or its private folder or lies in one of them, and one in which
    systems keep their own files, such as a recycle bin.
    """
    if is_system_folder(os.fsencode(folder.name)):
        raise ConfigError(
            f"The batch folder {folder} belongs to an operating system or storage appliance, which "
            "keeps deleted files or previews in it. Name the folder that holds the scans."
        )
    batch = full_path(folder)
    for what, address in (
        ("store", settings.store),
        ("private folder", settings.private_folder),
    ):
        place = full_path(folder_at(address))
        if batch == place or batch in place.parents or place in batch.parents:
            how = "is" if batch == place else "lies in" if place in batch.parents else "holds"
            raise ConfigError(
                f"The batch folder {folder} {how} the {what} {address}, whose files would be taken "
                "for scans. Name another batch folder, or set `store` or `private` to a folder "
                "elsewhere."
            )


def plan_batch(
    batch: str, opened: OpenStore, again: frozenset[bytes] = frozenset()
) -> PlannedBatch:
    """List what is new in the batch's folder, and the paths `again`.

    The caller holds the batch lock.
    """
    deliveries = DeliveryLists(opened.private, batch)
    _refuse_lost_lists(deliveries, opened)
    folder, settings = deliveries.folder, opened.settings
    listing = list_batch(folder, settings.follow_links)
    mark_masks(folder, listing, deliveries.latest(), settings)
    annotations = read_annotations(
        folder, listing, settings.class_folders, settings.label_of_empty_files
    )
    patients = Patients(folder, listing, annotations, opened.private, settings, batch)
    planned = _counted(batch, listing, annotations)
    _hold_back(planned, folder, listing, deliveries, opened.private)
    _skip_forgotten(planned, listing, annotations, opened.private)
    new = deliveries.unlisted(listing, annotations, patients.digest, again)
    patients.read_headers([file.entry for file in new])
    new = _without_forgotten(planned, new, patients, opened.private)
    deliveries.add(new, patients.of, settings.part_size)
    planned.new = len(new)
    if new:
        scans = [file.entry for file in new if file.entry.kind == "file"]
        _count_patients(planned, scans, patients, opened.private)
        _log_problems(annotations, opened.private)
        _refuse_full_disk(planned, opened)
    return planned


def _counted(batch: str, listing: FileList, annotations: Annotations) -> PlannedBatch:
    """What the folder holds, in counts."""
    return PlannedBatch(
        batch,
        scans=len(listing.scans),
        label_files=len(listing.labels),
        ignored=listing.ignored,
        growing=listing.growing,
        given_sides=count_split_folders(listing.pictures),
        # No Counter: dataclasses.asdict makes one of pairs of it, which JSON cannot write.
        problems=dict(Counter(problem.kind for problem in annotations.problems)),
        notices=dict(Counter(notice.kind for notice in annotations.notices)),
        other=listing.other_counts,
    )


def _hold_back(
    planned: PlannedBatch,
    folder: BatchFolder,
    listing: FileList,
    deliveries: DeliveryLists,
    private: PrivateFolder,
) -> None:
    """Leave scans for a later run while a table that may name their patients cannot be read."""
    tables = unread_tables(folder, listing)
    waiting = scans_waiting((e for e in listing.scans if e.path not in tables), tables)
    for path, reason in tables.items():
        name = path.decode("utf-8", "backslashreplace")
        private.log_message(f"{name}: {reason}, or take it out of the batch; its scans wait")
    known = deliveries.latest()
    planned.unread_tables, planned.waiting = len(tables), len(waiting - known.keys())
    left_out = waiting | tables.keys()
    listing.scans = [entry for entry in listing.scans if entry.path not in left_out]


def _skip_forgotten(
    planned: PlannedBatch, listing: FileList, annotations: Annotations, private: PrivateFolder
) -> None:
    """Remove forgotten files, and files of patients in tables who were, from the listing."""
    forgotten = ForgottenList(private)

    def is_forgotten(entry: Entry) -> bool:
        patient = annotations.by_path.get(entry.path, Annotation()).patient
        keys = private.patient_keys(patient) if patient else set()
        return forgotten.has_file(planned.batch, entry) or any(map(forgotten.has_patient, keys))

    kept = [entry for entry in listing.scans if not is_forgotten(entry)]
    planned.forgotten += len(listing.scans) - len(kept)
    listing.scans = kept


def _without_forgotten(
    planned: PlannedBatch, new: list[NewFile], patients: Patients, private: PrivateFolder
) -> list[NewFile]:
    """Leave out new files whose own header, folder or name, or whose source, names a forgotten
    patient, and copies of forgotten files."""
    forgotten = ForgottenList(private)
    if forgotten.is_empty:
        return new

    def is_forgotten(entry: Entry) -> bool:
        source = patients.source_of(entry)
        return any(map(forgotten.has_patient, patients.keys_of(entry))) or (
            source is not None and forgotten.has_file(planned.batch, source)
        )

    kept = [file for file in new if not is_forgotten(file.entry)]
    planned.forgotten += len(new) - len(kept)
    return kept


def _count_patients(
    planned: PlannedBatch, new: list[Entry], patients: Patients, private: PrivateFolder
) -> None:
    """Count whose the new scans are, and by what."""
    found = [patients.of(entry) for entry in new]
    keys = {patient.key for patient in found if patient.key}
    planned.patients = len(keys) + sum(patient.key is None for patient in found)
    planned.patients_from = dict(Counter(patient.source or SCAN for patient in found))
    planned.placeholders = sum(map(patients.has_placeholder, new))
    shared = patients.shared_ids(new)
    planned.shared_ids = len(shared)
    for message in shared:
        private.log_message(message)


def _log_problems(annotations: Annotations, private: PrivateFolder) -> None:
    for problem in (*annotations.problems, *annotations.notices):
        name = (problem.path or b"no scan").decode("utf-8", "backslashreplace")
        private.log_message(f"{name}: label {problem.kind}: {problem}")


def _refuse_lost_lists(deliveries: DeliveryLists, opened: OpenStore) -> None:
    """New lists would begin with part 0, which the store has, so their files would be skipped."""
    batch = deliveries.batch
    if not deliveries.lists() and SCANS.numbers(opened.store, batch):
        raise StoreError(
            f"The store holds parts of batch {batch}, but its delivery lists are missing in "
            f"{opened.private.root}. Restore that folder from your backup, or deliver the batch "
            "under another NAME: scans that are there already become duplicates."
        )


def _refuse_full_disk(planned: PlannedBatch, opened: OpenStore) -> None:
    free, needed = opened.store.free_bytes(), planned.new * BYTES_PER_SCAN
    if free is not None and free < needed:
        raise StoreError(
            f"The store has {free / 1e9:.1f} GB left, and {planned.new} new scans may need "
            f"{needed / 1e9:.1f} GB. Make room, or set `store` to a larger disk; the batch stays "
            "listed and goes on from here."
        )
