"""What one label file contains: its form, how many entries match a scan, and its classes."""

from dataclasses import dataclass, field
from typing import Literal

EXAMPLES = 5
Form = Literal[
    "yolo",
    "coco",
    "labelme",
    "label_studio",
    "via",
    "supervisely",
    "voc",
    "cvat",
    "csv",
    "folders",
    "unknown",
]


@dataclass
class LabelFile:
    """Contents of a label file, as counted by its reader; files about one scan count by folder.

    An entry is a line that names a scan: a row of a table, an image or an annotation of a JSON or
    XML file, a line of a YOLO file, a scan in a class folder. `path`, `unmatched`,
    `unused_classes` and `tooth_classes` are delivered names, for a terminal or the private folder
    only.
    """

    path: bytes  # relative to the batch folder; a folder if files count by folder
    form: Form
    files: int = 1
    empty_files: int = 0  # YOLO files without a line
    entries: int = 0
    matched: int = 0  # entries whose scan was found
    unmatched: list[str] = field(default_factory=list)  # up to five of the other names
    classes: dict[str, int] = field(default_factory=dict)  # entries by label
    unused_classes: dict[str, int] = field(default_factory=dict)  # entries by class as written
    tooth_classes: dict[str, int] = field(default_factory=dict)  # likewise, of teeth and quadrants

    @property
    def is_unmatched(self) -> bool:
        """Whether fewer than half of the entries match a scan."""
        return 2 * self.matched < self.entries

    def add_entry(self, name: str, matched: bool) -> None:
        """Count an entry about the scan `name`."""
        self.entries += 1
        self.matched += matched
        if not matched and len(self.unmatched) < EXAMPLES and name not in self.unmatched:
            self.unmatched.append(name)

    def add_class(self, written: str, label: str | None, is_tooth: bool = False) -> None:
        """Count an entry's class; `label` is None if it cannot be used or `is_tooth`."""
        unlabelled = self.tooth_classes if is_tooth else self.unused_classes
        counts, key = (unlabelled, written) if label is None else (self.classes, label)
        counts[key] = counts.get(key, 0) + 1
