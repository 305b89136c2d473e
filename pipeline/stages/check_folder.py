"""Look at a folder before it is taken: what a run would make of it. Nothing is written.

The functions are those of planning, with keys for this one look, so that patients are counted
without a store or its key. Whether files of the folder were taken before is not considered.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

from pipeline.config import Settings
from pipeline.ingest.batch_folder import BatchFolder
from pipeline.ingest.labels.label_file import EXAMPLES, LabelFile
from pipeline.ingest.list_files import read_start
from pipeline.ingest.private_folder import temporary_keys
from pipeline.stages.delivery import Delivery, read_delivery
from pipeline.stages.plan import count_contents, count_scans, refuse_folder
from pipeline.stages.planned_batch import PlannedBatch

# Of label files: what of them was not read, and what was read by a guess.
SHOWN_NOTICES = ("not_read", "guessed", "tooth_classes", "numbering")
FINDING, NORMAL, IGNORED = "finding", "normal", "ignored"


@dataclass(frozen=True)
class LeftOut:
    """Files that a run would reject or leave, for one reason."""

    reason: str
    message: str  # of one of them
    files: int
    examples: list[str]  # delivered names


@dataclass
class FolderCheck:
    """What a run would make of a folder; everything but `counts` has delivered names."""

    counts: PlannedBatch
    label_files: list[LabelFile] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    normal_class: str = ""

    @property
    def classes(self) -> dict[str, dict]:
        """The classes of label files with their lines and what each becomes."""
        return {
            label: {"lines": lines, "becomes": NORMAL if label == self.normal_class else FINDING}
            for label, lines in sorted(self.counts.classes.items())
        }

    @property
    def ignored_classes(self) -> dict[str, int]:
        """Lines by class as written, of classes that no label comes of."""
        return _sums(file.unused_classes for file in self.label_files)

    @property
    def tooth_classes(self) -> dict[str, int]:
        """Lines by class, of classes that are teeth or quadrants; numbers, and so no names."""
        return _sums(file.tooth_classes for file in self.label_files)

    def values(self, with_names: bool) -> dict:
        """Everything found as plain values, with or without delivered names."""
        files, left_out = [], []
        for file in self.label_files:
            unused = sum(file.unused_classes.values())
            row = {"form": file.form, "files": file.files, "empty_files": file.empty_files}
            row |= {"lines": file.entries, "matched": file.matched, "ignored_class": unused}
            names = {"path": _text(file.path), "unmatched": file.unmatched}
            files.append(row | (names if with_names else {}))
        for each in self.left_out:
            row = asdict(each)
            if not with_names:
                del row["examples"]
            left_out.append(row)
        counts = {name: value for name, value in asdict(self.counts).items() if name != "batch"}
        found = {"counts": counts, "label_files": files, "classes": self.classes}
        found["tooth_classes"] = self.tooth_classes
        if with_names:
            found["ignored_classes"] = self.ignored_classes
            found["notices"] = self.notices
        return found | {"left_out": left_out}


def check_folder(folder: BatchFolder, settings: Settings) -> FolderCheck:
    """Read names, label files and the first bytes of every scan of a folder.

    Raises ConfigError for a folder that a run would refuse.
    """
    refuse_folder(folder, settings)
    found = read_delivery(folder, {}, temporary_keys(), settings, "check")
    found.headers.read_whole = lambda entry: read_start(
        folder, entry, entry.size, settings.follow_links
    )
    scans = found.listing.scans
    found.read_headers(scans)
    counts = count_contents("check", found)
    counts.new = len(scans)
    count_scans(counts, scans, found)
    notices = [str(each) for each in found.annotations.notices if each.kind in SHOWN_NOTICES]
    files = found.annotations.files
    return FolderCheck(counts, files, _left_out(found), notices, settings.normal_class)


def _left_out(found: Delivery) -> list[LeftOut]:
    """What a run would not use, the most files first."""
    files: dict[tuple[str, str], list[bytes]] = defaultdict(list)
    messages: dict[str, str] = {}
    for path, rejection in found.headers.rejected.items():
        message = messages.setdefault(rejection.reason, rejection.message)
        files[rejection.reason, message].append(path)
    for entry, kind in found.listing.other.items():
        files[kind, "is no scan, by its name"].append(entry.path)
    for path, reason in found.unread_tables.items():
        files["unread table", f"{reason}; scans wait for it"].append(path)
    if found.waiting:
        what = "a table beside them cannot be read and may name their patients"
        files["waiting", what] = sorted(found.waiting)
    rows = [
        LeftOut(reason, message, len(paths), [_text(path) for path in sorted(paths)[:EXAMPLES]])
        for (reason, message), paths in files.items()
    ]
    return sorted(rows, key=lambda row: (-row.files, row.reason))


def _sums(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for each in counts:
        for name, lines in each.items():
            found[name] += lines
    return dict(sorted(found.items()))


def _text(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")
