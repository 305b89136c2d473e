"""Find the columns of a table by their headings, as people write them.

Case, accents, blanks, `_`, `-` and other marks do not count: `Patient ID`, `patient_id` and
`PatientID` are one heading.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pipeline.labels import fold


class FoundColumns(NamedTuple):
    """Places of columns by their meaning, and of columns that mean what another one means."""

    places: dict[str, int]
    doubled: dict[int, str]


def heading_key(heading: str) -> str:
    """A heading without what does not count."""
    text = fold(unicodedata.normalize("NFKC", heading))
    return "".join(char for char in text if char.isalnum() or char == "%")


def places_of(headings: Sequence[str], names: Sequence[str]) -> list[int]:
    """The places of the columns with one of these names, in the order of the names.

    Of columns with equal headings, the last comes first.
    """
    keys, wanted = [heading_key(each) for each in headings], [heading_key(each) for each in names]
    found = [place for place, key in enumerate(keys) if key in wanted]
    return sorted(found, key=lambda place: (wanted.index(keys[place]), -place))


def find_columns(headings: Sequence[str], names: Mapping[str, Sequence[str]]) -> FoundColumns:
    """Find a column for every meaning by its names, the first of which that is there counts."""
    places, doubled = {}, {}
    for meaning, each in names.items():
        if found := places_of(headings, each):
            places[meaning] = found[0]
            doubled |= dict.fromkeys(found[1:], meaning)
    return FoundColumns(places, doubled)
