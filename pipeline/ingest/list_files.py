"""List a batch folder: scans to receive, label files, and files that are neither.

Names decide, with a look at the first bytes of files whose names speak against a scan. Paths are
relative to the batch folder, as bytes. Objects on S3 appear complete or not at all, so only local
files can still be growing.
"""

import os
import time
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.ingest.batch_folder import AT_ONCE, BatchFolder, S3Folder, state_of
from pipeline.ingest.file_kinds import (
    ALWAYS_LABELS,
    DICOMDIR,
    START_BYTES,
    is_ignored,
    is_image,
    is_text,
    other_kind,
)
from pipeline.ingest.walk_folder import Entry, open_below, walk

LABEL_SUFFIXES = ALWAYS_LABELS | {b".txt"}
CLASS_LIST_SUFFIXES = {b".names", b".labels"}  # obj.names and _darknet.labels
# Names of lists of images, which lie beside lists of classes.
IMAGE_LISTS = {b"train", b"trainval", b"val", b"valid", b"validation", b"test"}
# A file modified in the last seconds may still be being written: it is checked twice.
FRESH_SECONDS, SECOND_LOOK_SECONDS = 5.0, 1.5
MASK = "mask"  # the kind of an entry that find_masks has found to be one, and its reason


@dataclass
class FileList:
    """The entries of a batch folder, sorted by path."""

    scans: list[Entry] = field(default_factory=list)  # with masks, once they are known
    labels: list[Entry] = field(default_factory=list)
    # Neither scans nor label files that are read, with their kinds by file_kinds.
    other: dict[Entry, str] = field(default_factory=dict)
    ignored: int = 0  # hidden files and what systems and programs leave behind; a folder is one
    growing: int = 0  # still being written, or waiting for such a table; left for the next run

    @property
    def pictures(self) -> list[Entry]:
        """The scans that are no masks: those that labels and names of files mean."""
        return [entry for entry in self.scans if entry.kind != MASK]

    @property
    def other_counts(self) -> dict[str, int]:
        """The number of other files by kind."""
        return dict(sorted(Counter(self.other.values()).items()))


def list_batch(folder: BatchFolder, follow_links: bool = False) -> FileList:
    """List a batch folder recursively.

    Symbolic links are listed as links unless `follow_links` is set; then only broken links and
    links to a folder above them are.
    """
    listing = FileList()
    entries = []
    for entry in _entries_of(folder, follow_links):
        if is_ignored(entry.path):
            listing.ignored += 1
        else:
            entries.append(entry)
    if isinstance(folder, Path):
        entries, listing.growing = _settled(_root(folder), entries, follow_links)
    entries.sort(key=lambda entry: entry.path)
    texts = [entry for entry in entries if suffix(entry) == b".txt"]
    others = _other_files(folder, set(entries) - set(texts), follow_links)
    labels = _label_files(set(entries) - others.keys())
    # After labels are known, of which there may be as many as scans: their content is not needed.
    others |= _other_files(folder, set(texts) - labels, follow_links)
    for entry in entries:
        if entry in labels:
            listing.labels.append(entry)
        elif entry in others:
            listing.other[entry] = others[entry]
        else:
            listing.scans.append(entry)
    return listing


def has_scans(folder: BatchFolder) -> bool:
    """Whether a batch folder holds a scan; stops at the first."""
    doubtful = []
    for entry in _entries_of(folder, follow_links=False):
        if is_ignored(entry.path) or suffix(entry) in ALWAYS_LABELS:
            continue
        if _other_kind(entry) is None:
            return True
        doubtful.append(entry)
    return len(_other_files(folder, doubtful, follow_links=False)) < len(doubtful)


def _other_kind(entry: Entry) -> str | None:
    # Those are folders that could not be listed.
    return None if entry.kind in ("unreadable", "deep") else other_kind(entry.path)


def _other_files(
    folder: BatchFolder, entries: Iterable[Entry], follow_links: bool
) -> dict[Entry, str]:
    """The files that are no scans by their names, nor by their content, with their kinds."""
    kinds = {entry: kind for entry in entries if (kind := _other_kind(entry))}
    # A DICOMDIR is a DICOM object; the standard fixes its name.
    files = [e for e, kind in kinds.items() if e.kind == "file" and e.size and kind != DICOMDIR]
    read = partial(read_start, folder, count=START_BYTES, follow_links=follow_links)
    with ThreadPoolExecutor(AT_ONCE if isinstance(folder, S3Folder) else 1) as threads:
        starts = threads.map(read, files)
        images = {entry for entry, start in zip(files, starts, strict=True) if is_image(start)}
    return {entry: kind for entry, kind in kinds.items() if entry not in images}


def read_start(folder: BatchFolder, entry: Entry, count: int, follow_links: bool) -> bytes:
    """The first `count` bytes of a file; fewer if it is shorter, none if it cannot be read."""
    try:
        if isinstance(folder, S3Folder):
            return folder.read_start(entry.path, count)
        descriptor = open_below(os.fsencode(folder), entry.path, os.O_RDONLY, follow_links)
        with open(descriptor, "rb") as file:
            return file.read(count) or b""
    except OSError:
        return b""


def _entries_of(folder: BatchFolder, follow_links: bool) -> Iterator[Entry]:
    return _objects(folder) if isinstance(folder, S3Folder) else walk(_root(folder), follow_links)


def _objects(folder: S3Folder) -> Iterator[Entry]:
    """Every object but the empty ones that represent folders."""
    try:
        for facts in folder.objects.list():
            if not facts.name.endswith("/"):
                yield Entry(facts.name.encode(), *state_of(facts), "file")
    except OSError as error:
        raise ConfigError(
            f"The batch folder {folder} cannot be listed: {error.strerror}. Correct its name, or "
            "check AWS_ENDPOINT_URL, the credentials and the permission to list the bucket."
        ) from None


def _root(folder: Path) -> bytes:
    root = os.fsencode(folder)
    if not os.path.isdir(root):
        problem = "does not exist" if not os.path.lexists(root) else "is not a folder"
        raise ConfigError(
            f"The batch folder {folder} {problem}. Give the folder that holds the scans: "
            "dental run path/to/folder"
        )
    return root


def _settled(root: bytes, entries: list[Entry], follow_links: bool) -> tuple[list[Entry], int]:
    """Leave out files that change between two checks; only fresh ones are checked twice.

    While a table is changing, the whole batch waits: it may assign scans to patients, and a scan's
    patient is fixed once the scan is received.
    """
    fresh_since = time.time_ns() - int(FRESH_SECONDS * 1e9)
    fresh = [entry for entry in entries if entry.mtime_ns > fresh_since and entry.kind == "file"]
    if not fresh:
        return entries, 0
    time.sleep(SECOND_LOOK_SECONDS)
    growing = {entry.path for entry in fresh if _changed(root, entry, follow_links)}
    if any(suffix(entry) == b".csv" for entry in fresh if entry.path in growing):
        return [], len(entries)
    return [entry for entry in entries if entry.path not in growing], len(growing)


def _changed(root: bytes, entry: Entry, follow_links: bool) -> bool:
    folder, name = os.path.split(entry.path)
    try:
        here = open_below(root, folder, os.O_RDONLY | os.O_DIRECTORY, follow_links)
    except OSError:
        return True
    try:
        now = os.stat(name, dir_fd=here, follow_symlinks=follow_links)
    except OSError:
        return True
    finally:
        os.close(here)
    return (now.st_size, now.st_mtime_ns) != (entry.size, entry.mtime_ns)


def _label_files(entries: Iterable[Entry]) -> set[Entry]:
    """Label files are CSV, JSON, XML and YAML files, lists of classes, and .txt files of images."""
    names = set()
    for entry in entries:
        if suffix(entry) not in LABEL_SUFFIXES:
            paths = entry.path, entry.stem  # for x.jpg, x.txt and some tools' x.jpg.txt
            names.update(comparable(os.path.basename(path)).casefold() for path in paths)
    folders = {os.path.dirname(entry.path) for entry in entries if is_class_list(entry)}
    return {entry for entry in entries if entry.kind == "file" and _is_label(entry, names, folders)}


def _is_label(entry: Entry, names: set[str], class_folders: set[bytes]) -> bool:
    """Whether a file is a label file, given all names of images and the folders of class lists.

    A .txt in labels/ without an image, or beside a class list, is one too: it is reported.
    """
    if suffix(entry) != b".txt":
        return suffix(entry) in ALWAYS_LABELS
    if is_text(entry.path):
        return False
    folder, name = os.path.split(entry.stem)
    if any(map(is_labels_folder, folder.split(b"/"))) or comparable(name).casefold() in names:
        return True
    return folder in class_folders and name.lower() not in IMAGE_LISTS


def is_class_list(entry: Entry) -> bool:
    """Whether a file lists the names of classes, one a line."""
    is_named = os.path.basename(entry.path).lower() == b"classes.txt"
    return is_named or suffix(entry) in CLASS_LIST_SUFFIXES


def is_labels_folder(name: bytes) -> bool:
    """Whether a folder of this name holds YOLO files: `labels`, or `labelTxt` of DOTA."""
    return name.lower() == b"labels" or name.lower().startswith(b"labeltxt")


def comparable(path: bytes | str) -> str:
    """NFC, since macOS delivers decomposed accents while tables are typed composed."""
    return unicodedata.normalize("NFC", os.fsdecode(path))


def suffix(entry: Entry) -> bytes:
    """The suffix of an entry's name, in lower case, with its dot."""
    return os.path.splitext(entry.path)[1].lower()
