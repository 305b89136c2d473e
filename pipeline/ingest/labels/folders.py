"""Labels from one folder per class: a scan's label is the name of its folder.

Folder names can contain patient names, so folders are classes only if every folder with scans is a
known class: one of classes.txt, of data.yaml or of the setting `class_folders`.
"""

import os
from collections.abc import Iterable

from pipeline.ingest.labels.annotations import Annotations
from pipeline.ingest.list_files import FileList
from pipeline.labels import clean_label


def read_folders(listing: FileList, classes: Iterable[str], into: Annotations) -> None:
    """Label the scans in class folders that no table labels."""
    known = {label for label in map(clean_label, classes) if label}
    folders = {os.path.dirname(entry.path) for entry in listing.pictures} - {b""}
    labels = {folder: clean_label(os.fsdecode(os.path.basename(folder))) for folder in folders}
    unknown = sorted(folder for folder, label in labels.items() if label not in known)
    if unknown:
        if len(unknown) < len(folders):
            into.problem(
                "unknown_class",
                os.fsdecode(unknown[0]),
                f"{len(folders) - len(unknown)} folders are named after classes, but "
                f"{len(unknown)} are not, such as this one; no folder was used as a class. List "
                "every folder in classes.txt or in the setting `class_folders`",
            )
        return
    for entry in listing.pictures:
        if label := labels.get(os.path.dirname(entry.path)):
            _label_scan(label, entry.path, into)


def _label_scan(label: str, path: bytes, into: Annotations) -> None:
    annotation = into.of(path)
    if annotation.label not in (None, label):
        what = (
            f"is in the folder `{label}` but labelled `{annotation.label}` by a table, which counts"
        )
        into.problem("two_classes", os.fsdecode(path), what, path)
        return
    annotation.label = label
