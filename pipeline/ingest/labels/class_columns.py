"""Columns of a table that are classes: 1 where a scan has the class, 0 where it has not.

So Roboflow writes `_classes.csv`, and many public data sets their labels. A column of 0 and 1 may
also be anything else (smoker, flipped), so its values alone do not make it a class.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.ingest.labels.annotations import Annotations
from pipeline.ingest.tables.headings import heading_key
from pipeline.ingest.tables.label_columns import LabelColumns
from pipeline.ingest.tables.table import Table, cell
from pipeline.labels import clean_label, name_key

ROBOFLOW = b"_classes.csv"
YES, NO = {"1", "1.0", "1,0", "true", "yes"}, {"0", "0.0", "0,0", "false", "no", ""}
# About a scan or its patient, but no finding.
NO_CLASS = re.compile(
    "(is|has)?(sex|gender|male|female|smok.*|diabet.*|train(ing)?|test(ing)?|val(id(ation)?)?|split"
    "|fold|occluded|truncated|difficult|verified|reviewed|checked|flipped|augmented|crowd|used|valid"
    "|exclude.*|include.*|quality.*|duplicate.*|age|left|right|panoramic|periapical)"
)


@dataclass
class ClassColumns:
    """Places of class columns, and of others that may be some."""

    places: list[int] = field(default_factory=list)
    doubtful: list[int] = field(default_factory=list)
    is_guess: bool = False

    def of_row(self, cells: Sequence[str], headings: Sequence[str]) -> list[str]:
        """The classes of a row, as written in the header."""
        return [headings[place] for place in self.places if cell(cells, place).casefold() in YES]


def class_columns(
    table: Table, columns: LabelColumns, name: bytes, into: Annotations
) -> ClassColumns:
    """The class columns of a table with this file name; none if it has a column with labels.

    Columns of 0 and 1 are classes if the file is Roboflow's or their headings are known classes;
    else, if there are at least two and no other column is unknown.
    """
    if columns.label is not None or not table.rows:
        return ClassColumns()
    unknown = sorted({*columns.unknown, *columns.unread})
    found = [place for place in unknown if _is_binary(table.column(place))]
    if name.lower() == ROBOFLOW:
        return ClassColumns(found)
    mapped = set(map(name_key, into.settings.class_names))
    headings = {place: columns.headings[place] for place in found}
    known = [
        place
        for place, heading in headings.items()
        if name_key(heading) in mapped or clean_label(heading) in into.declared
    ]
    if known:
        return ClassColumns(known, [place for place in found if place not in known])
    found = [p for p in found if not NO_CLASS.fullmatch(heading_key(columns.headings[p]))]
    if len(found) > 1 and set(columns.unknown) <= set(found):
        return ClassColumns(found, is_guess=True)
    return ClassColumns(doubtful=found)


def _is_binary(texts: Sequence[str]) -> bool:
    values = {text.casefold() for text in texts}
    return values <= YES | NO and values != {""}
