"""What any form of label file contains, in terms common to all: images and entries about them.

A form is a module with

    NAME: str                            as `LabelFile.form`
    ONE_SCAN: bool                       whether each file is about one scan, whose name it may bear
    matches(document) -> bool            whether a document is of this form
    read(document) -> Content            never raises for a damaged document

A document is what `json.loads` returns, or the root element of an XML file. Forms know no scans and
no classes: read_documents.py finds the scans, reads the class names and reports the problems.
"""

import reprlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.ingest.labels.shapes import Bounds

# Names of attributes that hold a class, the surest first, regardless of case, blanks, `_` and `-`.
CLASS_ATTRIBUTES = (
    {"label"},
    {"class", "classname"},
    {"finding", "diagnosis", "category", "disease", "pathology", "condition", "lesion"},
    {"name", "type"},
)
TOOTH_ATTRIBUTES = ("tooth", "fdi", "toothnumber", "toothno", "toothid", "fdinumber", "toothfdi")


class Image(NamedTuple):
    """An image that a label file is about."""

    key: Hashable  # by which entries mean it
    name: str | None  # as written
    where: str = ""  # in the file, for messages


class Entry(NamedTuple):
    """An annotation of an image: a box or, without one, a label of the whole scan."""

    image: Hashable
    where: str
    bounds: Bounds | None = None
    shares: bool = False  # whether the box is in fractions of the image
    classes: tuple[str, ...] = ()  # as written
    tooth: int | None = None
    attributes: Mapping[str, str] = {}
    unusable: str | None = None  # why the entry cannot be used
    doubt: str | None = None  # what of it cannot be used; its box is
    unnamed_class: tuple[str, str] | None = None  # the number of a class without a name, and why
    is_suggestion: bool = False  # made by a model, and not edited by a person


class Unusable(NamedTuple):
    """Part of a label file that cannot be attributed to an image."""

    where: str
    what: str
    name: str = ""  # as an entry whose scan was not found; else it does not count as an entry


@dataclass
class Content:
    """The content of one label file."""

    images: list[Image] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    unusable: list[Unusable] = field(default_factory=list)
    declared: set[str] = field(default_factory=set)  # class names that are listed, used or not


def simplify(attribute: str) -> str:
    """The name of an attribute regardless of case, blanks, `_` and `-`."""
    return "".join(each for each in attribute.casefold() if each.isalnum())


def is_tooth(attribute: str) -> bool:
    return simplify(attribute) in TOOTH_ATTRIBUTES


def is_class(attribute: str) -> bool:
    return any(simplify(attribute) in names for names in CLASS_ATTRIBUTES)


def texts(values) -> tuple[str, ...]:
    """Class names: the texts and numbers of a value or a list; others are left out."""
    found = values if isinstance(values, list) else [values]
    return tuple(text for value in found if (text := text_of(value)))


def text_of(value) -> str | None:
    """A text or number as stripped text; None for anything else and for an empty text.

    Python refuses to write a number of 5,000 digits.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, int) and value.bit_length() > 64:
        return None
    return str(value).strip() or None


_SHORT = reprlib.Repr()  # of values nested thousands of levels deep, too
_SHORT.maxlist, _SHORT.maxlevel = 8, 3


def shorten(value) -> str:
    """A value as text for a message; drawn shapes may have thousands of points."""
    text = value if isinstance(value, str) else _SHORT.repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def dicts(values) -> list[tuple[int, dict]]:
    """The numbered items of a list, with an empty one for each that is no object."""
    found = values if isinstance(values, list) else []
    return [(n, item if isinstance(item, dict) else {}) for n, item in enumerate(found, start=1)]
