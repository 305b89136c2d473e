"""Read the label files in JSON and XML: open each, find its form and the scans that it is about.

The forms are modules in forms/; content.py states what they offer. Files about one scan each are
counted by folder, and their class names are read together: whether 1 to 8 are teeth shows in all of
them.
"""

import os
from collections.abc import Iterable
from dataclasses import replace
from types import ModuleType

from pipeline.ingest.batch_folder import BatchFolder
from pipeline.ingest.labels.add_content import LabelPart, add_content
from pipeline.ingest.labels.annotations import Annotations
from pipeline.ingest.labels.find_scan import Match, settle
from pipeline.ingest.labels.forms import coco, cvat, label_studio, labelme, supervisely, via, voc
from pipeline.ingest.labels.forms.content import Content
from pipeline.ingest.labels.open_document import (
    STREAM_ERRORS,
    SUFFIXES,
    describe,
    open_document,
    report_damage,
)
from pipeline.ingest.list_files import Entry, FileList, suffix

FORMS: tuple[ModuleType, ...] = (coco, labelme, label_studio, via, supervisely, voc, cvat)
READ = "COCO, LabelMe, Label Studio, VIA, Supervisely, Pascal VOC, CVAT for images"
# Documents that come with label files and add nothing to them.
ADD_NOTHING = (supervisely.is_meta, label_studio.is_notes)


def read_documents(folder: BatchFolder, listing: FileList, into: Annotations) -> None:
    """Read every JSON and XML file of the batch."""
    of_one_scan: dict[str, list[tuple[Entry, Content]]] = {}
    for file in listing.labels:
        if suffix(file) not in SUFFIXES or (found := _read(folder, file, into)) is None:
            continue
        form, content = found
        if form.ONE_SCAN:
            of_one_scan.setdefault(form.NAME, []).append((file, content))
        else:
            names = [image.name for image in content.images if image.name is not None]
            scans = into.finder.find(names, file.path)
            add_content([LabelPart(file, content, scans)], form.NAME, file.path, into)
    for name, contents in of_one_scan.items():
        by_folder: dict[bytes, list[LabelPart]] = {}
        for part in _find_own_scans(contents, into):
            by_folder.setdefault(os.path.dirname(part.file.path), []).append(part)
        for home, parts in by_folder.items():
            add_content(parts, name, home, into)


def _read(folder: BatchFolder, file: Entry, into: Annotations) -> tuple[ModuleType, Content] | None:
    """The form and content of a file; None if it has none, which is reported if it should have."""
    document = open_document(folder, file, into.problem)
    form = next((each for each in FORMS if document is not None and each.matches(document)), None)
    if form is not None:
        try:
            return form, form.read(document)
        except STREAM_ERRORS as error:  # of a file that is read item by item
            report_damage(file, into.problem, error)
    elif any(adds_nothing(document) for adds_nothing in ADD_NOTHING):
        return None
    elif document is not None:
        what = f"is {describe(document)} and not a label file of a form that is read ({READ}); "
        into.problem("unusable_line", os.fsdecode(file.path), f"{what}it was not used")
    into.add_file(file.path, "unknown")
    return None


def _find_own_scans(
    contents: Iterable[tuple[Entry, Content]], into: Annotations
) -> list[LabelPart]:
    """Find the scans of files that are about one scan each.

    Of two files that mean the same scan by a part of its path, none gets it.
    """
    contents = list(contents)
    matches = {file.path: _match(file, content, into) for file, content in contents}
    found = settle(matches, {path: path for path in matches})
    parts = []
    for file, content in contents:
        image = content.images[0]
        image = image._replace(name=image.name or _own_name(file))
        part = replace(content, images=[image])
        parts.append(LabelPart(file, part, {image.name: found[file.path]}))
    return parts


def _match(file: Entry, content: Content, into: Annotations) -> Match:
    """Scans that a file may be about: by the name written in it, else by its own name.

    A scan that lies beside the file and has its name speaks against another written name.
    """
    beside = into.finder.at_stem(file.stem)
    for name in filter(None, (content.images[0].name, _own_name(file))):
        found = into.finder.find_beside(_with_folder(name, file.path), file.path)
        if found.paths and beside and not set(beside) & set(found.paths):
            return Match(sorted({*beside, *found.paths}), complete=False)
        if found.paths:
            return found._replace(complete=bool(beside))
    return Match([], complete=False)


def _own_name(file: Entry) -> str:
    """The name of the scan that a file is called after: x for x.xml, x.png for x.png.json."""
    return os.fsdecode(os.path.basename(file.stem))


def _with_folder(name: str, label_file: bytes) -> str:
    """A bare name with the folders of its file: ann/train/x.xml means the x.png of a `train`."""
    folder = os.fsdecode(os.path.dirname(label_file))
    return f"{folder}/{name}" if folder and not {"/", "\\"} & {*name} else name
