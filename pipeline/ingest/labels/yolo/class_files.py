"""Read the files that name the classes of YOLO files, by number.

`classes.txt`, `obj.names` and `_darknet.labels` have one name a line. A YAML file has `names`, as a
list or by number; it may state their count as `nc` and, for poses, `kpt_shape`: how many key points
a box has, and how many numbers each of them.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import yaml

from pipeline.ingest.batch_folder import BatchFolder
from pipeline.ingest.labels.annotations import Annotations, read_lines, read_text
from pipeline.ingest.labels.class_names import ClassReader
from pipeline.ingest.labels.problems import Problem
from pipeline.ingest.list_files import Entry, is_class_list, suffix

MAX_CLASSES = 10_000
# PyYAML does not check the values of tags: `!!bool x` is a KeyError, `!!int ""` an IndexError,
# `!!timestamp x` an AttributeError.
YAML_ERRORS = (
    yaml.YAMLError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    OverflowError,
    RecursionError,
)


@dataclass
class Classes:
    """The class names that one file declares, by number, or that are written in label files."""

    reader: ClassReader
    names: Mapping[int, str]
    labels: set[str]  # of these names, and the only ones allowed if there are any
    key_points: tuple[int, int] | None = None  # of a pose: how many, and numbers of each
    are_declared: bool = True

    def name_of(self, text: str) -> str | None:
        """The class name that a line means, which may write its number; None for no such number."""
        number = class_number(text)
        return text if number is None else self.names.get(number)


def class_number(text: str) -> int | None:
    """A class as a number, also written as `0.0`, -1 for no whole one; None for a name."""
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if value.is_integer() else -1


def declared_classes(
    folder: BatchFolder, entries: Iterable[Entry], into: Annotations
) -> dict[bytes, Classes]:
    """The classes that files declare, by their folder; a list of names goes before a YAML file."""
    declared: dict[bytes, Classes] = {}
    entries = list(entries)
    for entry in entries:
        if suffix(entry) in (b".yaml", b".yml"):
            classes = _read_yaml(folder, entry, into)
            if classes is not None:
                declared[os.path.dirname(entry.path)] = classes
    for entry in filter(is_class_list, entries):
        home = os.path.dirname(entry.path)
        classes = _read_list(folder, entry, into)
        classes.key_points = declared[home].key_points if home in declared else None
        declared[home] = classes
    return declared


def classes_for(entry: Entry, declared: Mapping[bytes, Classes]) -> Classes | None:
    """The classes of the file's folder, else of the nearest folder above."""
    folder = os.path.dirname(entry.path)
    while folder not in declared:
        if not folder:
            return None
        folder = os.path.dirname(folder)
    return declared[folder]


def undeclared_classes(written: Iterable[str], into: Annotations) -> Classes:
    """The classes of label files that write them as names, where no file declares any."""
    names = {text for text in written if class_number(text) is None}
    return Classes(into.class_reader(names), {}, set(), are_declared=False)


def _read_list(folder: BatchFolder, entry: Entry, into: Annotations) -> Classes:
    lines = [line.strip() for line in read_lines(folder, entry, into.problem)]
    while lines and not lines[-1]:
        lines.pop()
    name = os.fsdecode(entry.path)
    where = {number: f"{name} line {number + 1}" for number in range(len(lines))}
    return _declare(dict(enumerate(lines)), where, into)


def _declare(names: Mapping[int, str], where: Mapping[int, str], into: Annotations) -> Classes:
    reader = into.class_reader(filter(None, names.values()))
    labels = {meaning.label for name in names.values() if (meaning := reader.read(name))} - {None}
    for number, name in names.items():
        is_new = name not in reader.problems
        if is_new and reader.is_finding(name) and reader.read(name) is None:
            problem = Problem("unknown_class", where[number], reader.problem(name))
            reader.problems[name] = problem
            into.problems.append(problem)
    reader.declared = labels
    return Classes(reader, names, labels)


def _read_yaml(folder: BatchFolder, entry: Entry, into: Annotations) -> Classes | None:
    """The class names of a YAML file by number; None, and a problem, if it has none."""
    where = os.fsdecode(entry.path)
    text = read_text(folder, entry, into.problem)
    if text is None:
        return None
    try:
        # Aliases of aliases grow ninefold a level: 300 bytes took seconds, 400 take minutes.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            into.problem("unreadable", where, "has aliases (*name); write its class names out")
            return None
        document = yaml.safe_load(text)
    except YAML_ERRORS:
        into.problem("unreadable", where, "is not YAML; its class names are missing")
        return None
    names = _by_number(document.get("names")) if isinstance(document, dict) else None
    if names is None:
        what = "has no `names`, a list of class names or names by number; it was not used"
        into.problem("unusable_line", where, what)
        return None
    if document.get("nc") not in (None, len(names)):
        count = _scalar(document["nc"])
        what = f"nc is {count}, but {len(names)} names are listed; the names were used"
        into.problem("unusable_line", where, what)
    classes = _declare(names, dict.fromkeys(names, where), into)
    classes.key_points = _key_points(document.get("kpt_shape"))
    return classes


def _by_number(names: object) -> dict[int, str] | None:
    """The names of a list, or of a mapping from numbers; None for anything else."""
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict):
        return None
    found = {}
    for key, name in names.items():
        number = int(key) if isinstance(key, str) and key.isdecimal() and len(key) < 6 else key
        if not isinstance(number, int) or not 0 <= number < MAX_CLASSES:
            return None
        found[number] = _scalar(name)
    return found


def _key_points(shape: object) -> tuple[int, int] | None:
    """`kpt_shape` of a pose, such as [17, 3]; None if it is none."""
    match shape:
        case [int(count), int(size)] if 0 < count < MAX_CLASSES and size in (2, 3):
            return count, size
    return None


def _scalar(value: object) -> str:
    """A string or number as text; `<its type>`, which is not a valid class name, for anything else.

    Python refuses to format a number of 5,000 digits.
    """
    if isinstance(value, str | float) or (isinstance(value, int) and value.bit_length() < 64):
        return str(value)
    return f"<{type(value).__name__}>"
