"""One folder per class: the label of a scan is the name of the folder it lies in.

Folder names may name people, so folders are classes only when every one that holds scans is a
known class: of classes.txt or data.yaml, or of the setting `class_folders`.
"""

import os
from collections.abc import Iterable

from pipeline.ingest.labels.annotations import Annotations
from pipeline.ingest.list_files import FileList
from pipeline.labels import clean_label


def read_folders(listing: FileList, classes: Iterable[str], into: Annotations) -> None:
    """Label the scans of class folders, where nothing else labels them."""
    known = {label for label in map(clean_label, classes) if label}
    folders = {os.path.dirname(entry.path) for entry in listing.scans} - {b""}
    labels = {folder: clean_label(os.fsdecode(os.path.basename(folder))) for folder in folders}
    strange = sorted(folder for folder, label in labels.items() if label not in known)
    if strange:
        if len(strange) < len(folders):
            into.problem(
                "unknown_class",
                os.fsdecode(strange[0]),
                f"{len(folders) - len(strange)} folders are named like classes, but "
                f"{len(strange)} are not, such as this one; no folder was taken for a class. List "
                "every folder in classes.txt or in the setting `class_folders`",
            )
        return
    for entry in listing.scans:
        if label := labels.get(os.path.dirname(entry.path)):
            _say(label, entry.path, into)


def _say(label: str, path: bytes, into: Annotations) -> None:
    about = into.of(path)
    if about.label not in (None, label):
        what = f"lies in the folder of `{label}` but a table says `{about.label}`, which counts"
        into.problem("two_classes", os.fsdecode(path), what, path)
        return
    about.label = label
