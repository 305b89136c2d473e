"""Add the content of label files to the annotations of a batch: boxes, labels, counts, problems."""

import os
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

from pipeline.ingest.labels.annotations import Annotations, Box
from pipeline.ingest.labels.find_scan import Found
from pipeline.ingest.labels.forms.content import Content, Entry, is_tooth
from pipeline.ingest.list_files import Entry as File

Scans = dict[Hashable, bytes | None]  # the scan of each image; None if it is missing or ambiguous


class LabelPart(NamedTuple):
    """A label file, its content, and the scans that its names mean."""

    file: File
    content: Content
    scans: Mapping[str | None, Found] = {}

    def where(self, where: str) -> str:
        """A place in the file, for messages."""
        return f"{os.fsdecode(self.file.path)} {where}".rstrip()


def add_content(parts: Sequence[LabelPart], form: str, path: bytes, into: Annotations) -> None:
    """Add the content of one label file, or of those of one folder, counted together as `path`."""
    counts = into.add_file(path, form, files=len(parts))
    name = os.fsdecode(path) or "."
    entries = [entry for part in parts for entry in part.content.entries]
    written = {each for entry in entries for each in entry.classes}
    written.update(*(part.content.declared for part in parts))
    attributes = [item for entry in entries for item in entry.attributes.items()]
    adder = _Adder(into, counts, written, {text for key, text in attributes if is_tooth(key)}, name)
    for part in parts:
        adder.add(part)
    if unread := sorted({f"`{key}`" for key, _ in attributes if not is_tooth(key)}):
        what = f"has attributes that are not read: {', '.join(unread)}"
        into.notice("not_read", name, what)


class _Adder:
    """Adds entries, with the class names and tooth numbers of their file."""

    def __init__(self, into: Annotations, counts, classes: set[str], teeth: set[str], name: str):
        self.into, self.counts = into, counts
        self.classes, self.teeth = into.class_reader(classes), into.tooth_reader(teeth, name)

    def add(self, part: LabelPart) -> None:
        images = self._images(part)
        for each in part.content.unusable:
            if each.name:
                self.counts.add_entry(each.name, matched=False)
            self.into.problem("unusable_line", part.where(each.where), each.what)
        for entry in part.content.entries:
            self._entry(entry, part.where(entry.where), images)

    def _images(self, part: LabelPart) -> Scans:
        seen: Scans = {}
        for image in part.content.images:
            where, found = part.where(image.where), part.scans.get(image.name, Found(None, 0))
            self.counts.add_entry(image.name or "an image without a name", found.path is not None)
            earlier = seen.setdefault(image.key, found.path)
            if earlier != found.path:
                seen[image.key] = None
                what = f"id `{image.key}` is used by another image too; none of its boxes was used"
                for path in filter(None, (earlier, found.path)):
                    self.into.problem("ambiguous", where, what, path)
            elif image.name is None:
                self.into.problem("missing_scan", where, "has no file name; it was not used")
            else:
                self.into.require_scan(image.name, found, where)
        return seen

    def _entry(self, entry: Entry, where: str, images: Scans) -> None:
        path = images.get(entry.image)
        if path is None:
            self.counts.entries += 1
            if entry.image not in images:
                what = f"there is no image with id `{entry.image}`"
                self.into.problem("missing_scan", where, what)
            return
        self.counts.add_entry("", matched=True)
        for what in filter(None, (entry.unusable, entry.doubt)):
            self.into.problem("unusable_line", where, what, path)
        is_empty = entry.bounds is None and not entry.classes and not entry.attributes
        if entry.unusable is None and is_empty:
            self.into.problem("unusable_line", where, "has no class; it was not used", path)
        if entry.unusable or is_empty:
            return
        labels, tooth = self._meaning(entry, where, path)
        if entry.bounds is None:
            self._label_scan(labels, tooth, where, path)
            return
        # Classes that differ give equal boxes, which are reported once the scan is known.
        for label in labels or [None]:
            box = Box(*entry.bounds, entry.shares, label, tooth, where)
            self.into.of(path).boxes.append(box)

    def _meaning(self, entry: Entry, where: str, path: bytes) -> tuple[list[str], int | None]:
        """The findings of an entry and its tooth."""
        meanings = [
            self.into.class_of(self.classes, name, self.counts, where, path)
            for name in entry.classes
        ]
        if entry.unnamed_class is not None:
            number, why = entry.unnamed_class
            self.counts.add_class(number, None)
            what = f"{why}; the box is cut without a label"
            self.into.problem("unknown_class", where, what, path)
        teeth = [entry.tooth, self._tooth(entry, where, path), *(each.tooth for each in meanings)]
        labels = dict.fromkeys(each.label for each in meanings if each.label)
        return list(labels), next(filter(None, teeth), None)

    def _tooth(self, entry: Entry, where: str, path: bytes) -> int | None:
        for key, text in entry.attributes.items():
            if not is_tooth(key):
                continue
            if tooth := self.teeth.read(text):
                return tooth
            what = f"{key} `{text}` is not {self.teeth.expected()}; it was not used"
            self.into.problem("unusable_line", where, what, path)
        return None

    def _label_scan(self, labels: list[str], tooth: int | None, where: str, path: bytes) -> None:
        about = self.into.of(path)
        for label in labels:
            if about.label not in (None, label):
                what = f"the scan was labelled `{about.label}` before; the later `{label}` counts"
                self.into.problem("two_classes", where, what, path)
            about.label = label
        about.tooth = tooth or about.tooth
