"""Labels from one folder per class: a scan's label is the name of its folder.

Folder names can contain patient names, so folders are classes only if every folder with scans is a
known class: one of classes.txt, of data.yaml or of the settings `class_folders` and `class_names`.
"""

import os
import re
from collections import Counter
from collections.abc import Mapping

from pipeline.ingest.labels.annotations import Annotations
from pipeline.ingest.labels.class_names import ClassReader
from pipeline.ingest.list_files import FileList
from pipeline.labels import clean_label, name_key

# Folders that arrange a data set; they are neither classes nor patients.
ARRANGING = re.compile(
    r"annotations?|data|dataset|images?|imgs?|inputs?|outputs?|labels?|masks?|pictures|radiographs|"
    r"scans|splits?|test(ing)?|train(ing)?|val(id(ation)?)?|x-?rays?"
)
MOST_CLASSES = 30  # more folders are patients or studies


def read_folders(listing: FileList, into: Annotations) -> None:
    """Label the scans in class folders that no table labels."""
    known = {clean_label(label) for label in (*into.declared, *into.settings.class_folders)}
    mapped = set(map(name_key, into.settings.class_names))
    folders = {os.path.dirname(entry.path) for entry in listing.pictures} - {b""}
    names = {folder: os.fsdecode(os.path.basename(folder)) for folder in folders}
    labels = {folder: clean_label(name) for folder, name in names.items()}
    unknown = sorted(
        folder
        for folder, label in labels.items()
        if label not in known - {None} and name_key(names[folder]) not in mapped
    )
    if unknown:
        if len(unknown) < len(folders):
            into.problem(
                "unknown_class",
                os.fsdecode(unknown[0]),
                f"{len(folders) - len(unknown)} folders are named after classes, but "
                f"{len(unknown)} are not, such as this one; no folder was used as a class. List "
                "every folder in classes.txt or in the setting `class_folders`",
            )
        else:
            _notice_folders(listing, labels, into)
        return
    if not folders:
        return
    file = into.add_file(b"", "folders")
    reader = ClassReader(names.values(), into.settings)  # every folder is known
    for entry in listing.pictures:
        if name := names.get(os.path.dirname(entry.path)):
            where = os.fsdecode(entry.path)
            file.add_entry(where, matched=True)
            label, tooth = into.class_of(reader, name, file, where, entry.path)
            into.of(entry.path).tooth = into.of(entry.path).tooth or tooth
            if label:
                _label_scan(label, entry.path, into)


def _notice_folders(
    listing: FileList, labels: Mapping[bytes, str | None], into: Annotations
) -> None:
    """Report folders that may be classes: named like labels, with scans that nothing labels."""
    scans: Counter[str] = Counter()
    for entry in listing.pictures:
        label, about = labels.get(os.path.dirname(entry.path)), into.by_path.get(entry.path)
        if about and (about.label or any(box.label for box in about.boxes)):
            return
        if label and not ARRANGING.fullmatch(label) and any(map(str.isalpha, label)):
            scans[label] += 1
    if not 1 < len(scans) <= MOST_CLASSES:
        return
    for label, count in scans.items():
        what = (
            f"{count} scans are in folders of this name, which is not used. If the names of these "
            f"{len(scans)} folders are classes, list them in the setting `class_folders`"
        )
        into.notice("class_folders", label, what)


def _label_scan(label: str, path: bytes, into: Annotations) -> None:
    annotation = into.of(path)
    if annotation.label not in (None, label):
        what = (
            f"is in the folder `{label}` but labelled `{annotation.label}` by a table, which counts"
        )
        into.problem("two_classes", os.fsdecode(path), what, path)
        return
    annotation.label = label
