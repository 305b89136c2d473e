"""Tooth numbers in FDI, universal and Palmer notation, and class names that are tooth numbers.

FDI: 11 to 48, and 51 to 85 for primary teeth. Universal: 1 to 32 from the upper right third molar
round to the lower right one, and A to T. Palmer: a quadrant (UR, UL, LL, LR, or its bracket) with
1 to 8 or, for primary teeth, A to E.
"""

import re
from collections.abc import Iterable

from pipeline.labels import Numbering, fold

FDI = {10 * quadrant + tooth for quadrant in range(1, 5) for tooth in range(1, 9)} | {
    10 * quadrant + tooth for quadrant in range(5, 9) for tooth in range(1, 6)
}
EXPECTED_TEETH: dict[Numbering, str] = {
    "fdi": "an FDI number (11 to 48, 51 to 85)",
    "universal": "a universal number (1 to 32, A to T)",
    "palmer": "a Palmer number (UR6, LL3, ULA)",
}
# The brackets of Palmer's notation, as box drawings and as dentistry symbols of Unicode.
BRACKETS = {"┘⏌": "ur", "└⎿": "ul", "┌⎾": "ll", "┐⏋": "lr"}
_BRACKETS = str.maketrans({sign: name for signs, name in BRACKETS.items() for sign in signs})
# What is written before a number: `tooth 11`, `FDI-11`, `#3`.
_NUMBER = re.compile(r"(?:tooth|teeth|fdi)?[\s_.#:-]*([0-9a-z]+?)(?:\.0+)?")
_LEADING_ZEROS = re.compile(r"^0+(?=\d)")
_QUADRANT = re.compile(r"(?:q|quad|quadrant)[\s_-]*([1-4])")
# More class names than this that look like teeth are teeth, also among other names.
MANY = 8


def _universal() -> dict[str, int]:
    upper, lower = [*range(18, 10, -1), *range(21, 29)], [*range(38, 30, -1), *range(41, 49)]
    primary = [*range(55, 50, -1), *range(61, 66), *range(75, 70, -1), *range(81, 86)]
    numbers = {str(number): tooth for number, tooth in enumerate(upper + lower, start=1)}
    return numbers | dict(zip("abcdefghijklmnopqrst", primary, strict=True))


def _palmer() -> dict[str, int]:
    numbers = {}
    for quadrant, name in enumerate(("ur", "ul", "ll", "lr"), start=1):
        places = [(str(place), 10 * quadrant + place) for place in range(1, 9)]
        places += [(letter, 10 * quadrant + 40 + n) for n, letter in enumerate("abcde", start=1)]
        for place, tooth in places:
            numbers |= {name + place: tooth, place + name: tooth}
    return numbers


TEETH: dict[Numbering, dict[str, int]] = {
    "fdi": {str(tooth): tooth for tooth in FDI},
    "universal": _universal(),
    "palmer": _palmer(),
}
QUADRANTS = {f"q{quadrant}" for quadrant in range(1, 5)}
# Quadrants 1 to 4, and teeth 1 to 8 within a quadrant, as DENTEX writes them.
ENUMERATION = {str(number) for number in range(1, 9)}
_ANY = QUADRANTS.union(*TEETH.values())


def tooth_key(text: str) -> str | None:
    """The bare number of a tooth or quadrant, in any notation; None if the text is none."""
    plain = fold(text).translate(_BRACKETS).strip()
    if found := _QUADRANT.fullmatch(plain):
        return f"q{found[1]}"
    if found := _NUMBER.fullmatch(plain):
        key = _LEADING_ZEROS.sub("", found[1])
        if key in _ANY:
            return key
    compact = re.sub(r"[\s_-]+", "", plain)
    return compact if compact in TEETH["palmer"] else None


class ToothReader:
    """Reader of the tooth numbers of one file, given all of them.

    If all are universal or Palmer numbers, but some not of the notation expected, none is read:
    14 is a tooth in both FDI and universal notation, and not the same one.
    """

    def __init__(self, written: Iterable[str], numbering: Numbering):
        self.numbering = numbering
        self.teeth = TEETH[numbering]
        keys = {tooth_key(text) for text in written}
        numbers = keys - {None}
        self.is_other = not numbers <= self.teeth.keys() and any(
            numbers <= teeth.keys() for name, teeth in TEETH.items() if name != numbering
        )

    def read(self, text: str) -> int | None:
        """The FDI number of a tooth; None if it cannot be used."""
        return None if self.is_other else self.teeth.get(tooth_key(text) or "")

    def expected(self) -> str:
        """What a number that cannot be used should have been, for a problem."""
        remedy = " throughout; set `numbering` if it is another notation" if self.is_other else ""
        return EXPECTED_TEETH[self.numbering] + remedy


class ToothClasses:
    """What the class names of one file that look like teeth mean.

    `kind` is `teeth` or `quadrants`, which are no findings; `other` for teeth of another notation;
    None if such names are class names like any other.
    """

    def __init__(self, written: Iterable[str], numbering: Numbering):
        self.teeth = TEETH[numbering]
        found = {tooth_key(name) for name in written}
        keys = found - {None}
        quadrants = QUADRANTS | ENUMERATION if numbering == "fdi" else QUADRANTS
        self.kind: str | None = None
        if not keys or (None in found and len(keys) <= MANY):
            return
        if keys <= self.teeth.keys():
            self.kind = "teeth"
        elif len(keys) > MANY or not all(map(str.isalpha, keys)):  # `a` and `b` may be any classes
            self.kind = "quadrants" if keys <= quadrants else "other"
