"""Problems found in label files: their codes, each documented in docs/labels-and-review.md."""

from dataclasses import dataclass

# Codes are stable: they are counted on the terminal and stored in records of runs.
PROBLEMS = {
    "unreadable": "A label file, or a line of it, that is not valid text, CSV, JSON, XML or YAML",
    "unusable_line": "A line or value that is incomplete, or a label file of another form",
    "unknown_class": "A class that is not declared or not a class name; its box has no label",
    "missing_scan": "A label for a scan that is not in the batch",
    "ambiguous": "A name that matches several scans, or one scan that several names may mean",
    "two_classes": "Two classes for one scan, or for nearly the same box",
    "two_patients": "Another patient for a scan that has one; the first counts",
    "box_outside": "A box whose middle lies outside the scan; it is not used",
    "clipped_box": "A box that extends beyond the scan; the part inside is used",
}
# Nothing is lost, but a setting may be meant. They do not count as problems of a scan.
NOTICES = {
    "class_folders": "A folder of scans whose name may be a class; see `class_folders`",
    "tooth_classes": "Classes of a label file that are teeth or quadrants, and so no findings",
    "numbering": "Classes or teeth of a label file in another notation; see `numbering`",
    "not_read": "A label file with columns, sheets or attributes that are not read",
    "empty_file": "A YOLO file without a line: no finding, or not annotated; see `empty_is_normal`",
}


@dataclass
class Problem:
    """An entry of a label file that was not used, or only in part, or a notice.

    `where` and `what` may contain file names.
    """

    kind: str  # a key of PROBLEMS or NOTICES
    where: str
    what: str
    path: bytes | None = None  # of the scan concerned, if any
    lines: int = 1  # with this problem, of which `where` and `path` are the first

    def __str__(self) -> str:
        more = f" ({self.lines} lines, of which this is the first)" if self.lines > 1 else ""
        return f"{self.where}: {self.what}{more}"
