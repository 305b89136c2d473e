"""What the class names of a label file mean: a finding, a tooth, or both.

A name is read by the first of these that applies:

1. the setting `class_names`;
2. a tooth number, if the names of the file are teeth (teeth.py): a tooth and no finding;
3. a finding and a tooth, as `1-caries-26` or `36 caries`;
4. a class name, with plain letters for those with accents.

Whether names are teeth is a question about all names of a file: 11 may be a tooth or a number.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.ingest.labels.problems import Problem
from pipeline.ingest.labels.teeth import ToothClasses, tooth_key
from pipeline.labels import Numbering, clean_label, name_key

TOKEN = re.compile(r"[^\s_\-/\\:,;|()\[\]#]+")
# Before a number, these make the name of a class: `class_11`, `type 12`.
GENERIC = {
    *("category", "cat", "class", "classes", "cls", "code", "finding", "grade", "group", "icdas"),
    *("id", "index", "kind", "label", "level", "no", "nr", "number", "object", "obj", "score"),
    *("stage", "typ", "type", "version"),
}
TOOTH_WORDS = {"tooth", "fdi"}


class Meaning(NamedTuple):
    """What a class name means. Both are None for one that is no finding, such as a quadrant."""

    label: str | None
    tooth: int | None


@dataclass(frozen=True)
class LabelSettings:
    """The settings that change what label files mean."""

    class_folders: Collection[str] = ()
    empty_label: str | None = None  # of scans whose YOLO file is empty
    class_names: Mapping[str, str] = field(default_factory=dict)
    numbering: Numbering = "fdi"


def class_names_line(name: str) -> str:
    """The line of dental.toml that maps a class name, with the label left open."""
    return f'class_names = {{{json.dumps(name, ensure_ascii=False)} = "…"}}'


class ClassReader:
    """Reader of the class names of one label file, given all names in it.

    `declared`, if any, are the only labels allowed besides those of the setting.
    """

    def __init__(
        self, written: Iterable[str], settings: LabelSettings, declared: Collection[str] = ()
    ):
        self.mapped = {name_key(name): label for name, label in settings.class_names.items()}
        self.declared = declared
        names = {name for name in written if name_key(name) not in self.mapped}
        self.teeth = ToothClasses(names, settings.numbering)
        plain = [name for name in names if not self._is_tooth(name)]
        self.place = _place_of_tooth(plain, self.teeth.teeth)
        self.problems: dict[str, Problem] = {}  # by class name, reported once with a count
        self.is_reported = False  # whether a notice about its teeth was given
        self._read: dict[str, Meaning | None] = {}
        self._findings: dict[str, bool] = {}

    def read(self, name: str) -> Meaning | None:
        """The meaning of a class name; None if it cannot be used."""
        if name not in self._read:
            self._read[name] = self._meaning(name)
        return self._read[name]

    def is_finding(self, name: str) -> bool:
        """Whether a class name is not that of a tooth or quadrant."""
        if name not in self._findings:
            self._findings[name] = name_key(name) in self.mapped or not self._is_tooth(name)
        return self._findings[name]

    def problem(self, name: str) -> str:
        """Describe why a class name cannot be used and what to do."""
        if not self.is_finding(name):
            return (
                f"`{name}` and the other classes look like teeth, of which some are none in the "
                "notation expected; none was used. Set `numbering` if they are universal or "
                f"Palmer numbers, or {class_names_line(name)} if they are findings"
            )
        finding = self._split(name)[0]
        known = ""
        if self.declared and clean_label(finding):
            known = f" of classes.txt or data.yaml ({', '.join(sorted(self.declared))})"
        remedy = class_names_line(finding)
        return f"`{finding}` is not a class name{known}; it was not used. In dental.toml: {remedy}"

    def _is_tooth(self, name: str) -> bool:
        return self.teeth.kind is not None and tooth_key(name) is not None

    def _meaning(self, name: str) -> Meaning | None:
        if label := self.mapped.get(name_key(name)):
            return Meaning(label, None)
        if self._is_tooth(name):
            if self.teeth.kind == "other":
                return None
            return Meaning(None, self.teeth.teeth.get(tooth_key(name) or ""))
        finding, tooth = self._split(name)
        if label := self.mapped.get(name_key(finding)):
            return Meaning(label, tooth)
        label = clean_label(finding)
        if label is None or (self.declared and label not in self.declared):
            return None
        return Meaning(label, tooth)

    def _split(self, name: str) -> tuple[str, int | None]:
        """The finding and the tooth in a name such as `1-caries-26`; the name if it has none."""
        found = _composite(name, self.place, self.teeth.teeth) if self.place is not None else None
        return found or (name, None)


def _place_of_tooth(names: Iterable[str], teeth: Mapping[str, int]) -> int | None:
    """Where names have a tooth beside their finding: 0 before it, -1 after it, None for nowhere.

    Every name that has a number there must have a tooth there, and no name may have one at the
    other end. So neither `type-1` and `type-11` nor `class_11` has a tooth.
    """
    places = []
    for place in (0, -1):
        numbered = [name for name in names if _has_number(name, place)]
        if numbered and all(_composite(name, place, teeth) for name in numbered):
            places.append(place)
    return places[0] if len(places) == 1 else None


def _has_number(name: str, place: int) -> bool:
    tokens = _tokens(name)
    return len(tokens) > 1 and tokens[place].group().isdecimal()


def _tokens(name: str) -> list[re.Match]:
    return [token for token in TOKEN.finditer(name) if token.group().lower() not in TOOTH_WORDS]


def _composite(name: str, place: int, teeth: Mapping[str, int]) -> tuple[str, int] | None:
    """Finding and tooth of a name with exactly one tooth, at `place`, and else a finding.

    A number before a finding with its tooth behind it is that of the class: `1-caries-26`.
    """
    tokens = _tokens(name)
    numbers = [teeth.get(token.group()) for token in tokens if token.group().isdecimal()]
    tooth = teeth.get(tokens[place].group()) if len(tokens) > 1 else None
    if tooth is None or len(numbers) - numbers.count(None) != 1:
        return None
    del tokens[place]
    if place == -1 and len(tokens) > 1 and tokens[0].group().isdecimal():
        del tokens[0]
    finding = name[tokens[0].start() : tokens[-1].end()]
    last = tokens[-1].group().casefold()
    is_name = sum(map(str.isalpha, finding)) > 1 or not finding.isascii()
    return (finding, tooth) if is_name and last not in GENERIC else None
