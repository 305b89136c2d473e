"""Plan a batch: list what is new in its folder since the last list, in parts."""

import os
from collections import Counter, defaultdict
from collections.abc import Container, Iterable

from pipeline.config import Settings
from pipeline.errors import ConfigError, StoreError
from pipeline.imaging.picture_area import is_panoramic
from pipeline.ingest.batch_folder import BatchFolder, folder_at, full_path
from pipeline.ingest.delivery_lists import DeliveryLists, NewFile, batch_name
from pipeline.ingest.file_kinds import is_system_folder
from pipeline.ingest.forgotten_list import ForgottenList
from pipeline.ingest.labels.annotations import Annotation, Annotations
from pipeline.ingest.labels.problems import Problem
from pipeline.ingest.list_files import FileList, has_scans
from pipeline.ingest.patients import SCAN, Patients
from pipeline.ingest.private_folder import PrivateFolder
from pipeline.ingest.split_folders import count_given_sides, count_split_folders
from pipeline.ingest.walk_folder import Entry
from pipeline.stages.delivery import Delivery, read_delivery
from pipeline.stages.planned_batch import PlannedBatch
from pipeline.store.open_store import OpenStore
from pipeline.store.tables import BYTES_PER_SCAN, SCANS


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
            ).with_public(f"a folder {how} the {what}; set `store` or `private` elsewhere")


def plan_batch(
    batch: str, opened: OpenStore, again: frozenset[bytes] = frozenset()
) -> PlannedBatch:
    """List what is new in the batch's folder, and the paths `again`.

    The caller holds the batch lock.
    """
    planned, found, new = find_new(batch, opened, again)
    settings, private = opened.settings, opened.private
    log_unread_tables(found, private)
    found.read_headers(file.entry for file in new)
    new = _without_forgotten(planned, new, found.patients, private)
    DeliveryLists(private, batch).add(new, found.patients.of, found.given_side, settings.part_size)
    planned.new = len(new)
    if new:
        count_scans(planned, [file.entry for file in new], found)
        for message in found.patients.shared_ids(file.entry for file in new):
            private.log_message(message)
        _log_problems(found.annotations, private)
        _refuse_full_disk(planned, opened)
    return planned


def find_new(
    batch: str, opened: OpenStore, again: frozenset[bytes] = frozenset()
) -> tuple[PlannedBatch, Delivery, list[NewFile]]:
    """Count and read what the batch's folder holds, and what of it is to be listed.

    Nothing is written, and of new scans nothing is read. Those that only their headers show to be
    of a forgotten patient are among them.
    """
    deliveries = DeliveryLists(opened.private, batch)
    _refuse_lost_lists(deliveries, opened)
    settings, private = opened.settings, opened.private
    known = deliveries.latest()
    found = read_delivery(deliveries.folder, known, private, settings, batch)
    planned = count_contents(batch, found, known)
    _skip_forgotten(planned, found.listing, found.annotations, private)
    new = deliveries.unlisted(found.listing, found.annotations, found.digest, again)
    return planned, found, new


def log_unread_tables(found: Delivery, private: PrivateFolder) -> None:
    """Log privately which tables cannot be read, and why."""
    for path, reason in found.unread_tables.items():
        name = path.decode("utf-8", "backslashreplace")
        private.log_message(f"{name}: {reason}, or take it out of the batch; its scans wait")


def count_contents(
    batch: str, found: Delivery, known: Container[bytes] = frozenset()
) -> PlannedBatch:
    """Count what a batch folder holds; paths in `known` were listed before."""
    listing, files = found.listing, found.annotations.files
    count_sides = count_given_sides if found.keep_splits else count_split_folders
    planned = PlannedBatch(
        batch,
        scans=found.scans,
        label_files=len(listing.labels),
        ignored=listing.ignored,
        growing=listing.growing,
        given_sides=count_sides(listing.pictures),
        splits_kept=found.keep_splits,
        # No Counter: dataclasses.asdict makes one of pairs of it, which JSON cannot write.
        problems=_lines_by_kind(found.annotations.problems),
        other=listing.other_counts,
        notices=dict(Counter(notice.kind for notice in found.annotations.notices)),
        unread_tables=len(found.unread_tables),
        waiting=sum(path not in known for path in found.waiting),
    )
    for file in files:
        form = planned.label_forms.setdefault(file.form, {})
        _count(form, "files", file.files)
        _count(form, "lines", file.entries)
        _count(form, "matched", file.matched)
        for label, count in file.classes.items():
            _count(planned.classes, label, count)
    planned.unused_classes = sum(sum(file.unused_classes.values()) for file in files)
    planned.unmatched_files = sum(file.is_unmatched for file in files)
    planned.teeth = sum(map(_teeth, found.annotations.by_path.values()))
    return planned


def _lines_by_kind(problems: Iterable[Problem]) -> dict[str, int]:
    lines: dict[str, int] = {}
    for problem in problems:
        _count(lines, problem.kind, problem.lines)
    return lines


def _teeth(annotation: Annotation) -> int:
    return sum(each.tooth is not None for each in (annotation, *annotation.boxes))


def count_scans(planned: PlannedBatch, new: Iterable[Entry], found: Delivery) -> None:
    """Count what new scans are, and whose, once their headers were read."""
    patients, headers, usable = found.patients, found.headers, []
    for entry in new:
        if rejection := headers.rejected.get(entry.path):
            _count(planned.unusable, rejection.reason)
        else:
            usable.append(entry)
    alone = [entry for entry in usable if patients.of(entry).source in (SCAN, None)]
    sources = {(patients.source_of(entry) or entry).path for entry in alone}
    planned.copies = sum(patients.source_of(entry) is not None for entry in alone)
    planned.patients = len({patients.of(entry).key for entry in {*usable} - {*alone}} | sources)
    planned.placeholders = sum(map(patients.has_placeholder, usable))
    planned.shared_ids = len(patients.shared_ids(usable))
    planned.split_conflicts = _split_conflicts(usable, found)
    for entry in usable:
        header = headers.found[entry.path]
        _count(planned.patients_from, patients.of(entry).source or SCAN)
        _count(planned.formats, header.format)
        if not header.has_size:
            planned.unknown_sizes += 1
        elif is_panoramic(header.width, header.height, header.modality):
            planned.panoramics += 1
            annotation = found.annotations.by_path.get(entry.path, Annotation())
            planned.whole_labels += _has_only_whole_label(annotation)


def _split_conflicts(scans: Iterable[Entry], found: Delivery) -> int:
    """The number of patients whose scans lie in folders of more than one side."""
    sides: dict[str | bytes, set[str]] = defaultdict(set)
    for entry in scans:
        if side := found.given_side(entry):
            source = found.patients.source_of(entry) or entry
            sides[found.patients.of(entry).key or source.path].add(side)
    return sum(len(given) > 1 for given in sides.values())


def _count(counts: dict[str, int], key: str, more: int = 1) -> None:
    counts[key] = counts.get(key, 0) + more


def _has_only_whole_label(annotation: Annotation) -> bool:
    return annotation.label is not None and not any(box.label for box in annotation.boxes)


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
        ).with_public("its delivery lists are missing in the private folder; restore them")


def _refuse_full_disk(planned: PlannedBatch, opened: OpenStore) -> None:
    free, needed = opened.store.free_bytes(), planned.new * BYTES_PER_SCAN
    if free is not None and free < needed:
        message = (
            f"The store has {free / 1e9:.1f} GB left, and {planned.new} new scans may need "
            f"{needed / 1e9:.1f} GB. Make room, or set `store` to a larger disk; the batch stays "
            "listed and goes on from here."
        )
        raise StoreError(message).with_public(message)
