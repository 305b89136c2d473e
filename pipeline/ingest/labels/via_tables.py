"""Read tables of the VGG Image Annotator 2: a row for each region, with JSON in its cells."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pipeline.ingest.labels.add_content import LabelPart, add_content
from pipeline.ingest.labels.annotations import Annotations
from pipeline.ingest.labels.forms import via
from pipeline.ingest.list_files import Entry
from pipeline.ingest.tables.headings import find_columns
from pipeline.ingest.tables.table import Table, cell

SHAPE, OF_REGION, OF_FILE = "region_shape_attributes", "region_attributes", "file_attributes"
NEEDED = {name: (name,) for name in ("filename", SHAPE, OF_REGION)}
COLUMNS = NEEDED | {name: (name,) for name in ("file_size", OF_FILE)}


def is_via(headings: Sequence[str]) -> bool:
    """Whether a table with these headings is one of VIA."""
    return len(find_columns(headings, NEEDED).places) == len(NEEDED)


def read_via(table: Table, entry: Entry, into: Annotations) -> None:
    """Read a table of VIA as the JSON file with the same content."""
    name, rows = os.fsdecode(entry.path), _Rows()
    places = find_columns(table.headings, COLUMNS).places
    for number, what in table.broken:
        into.problem("unreadable", f"{name} {table.unit} {number}", what)
    for row in table.rows:
        texts = {each: cell(row.cells, place) for each, place in places.items()}
        where = f"{table.unit} {row.number}"
        if what := rows.add(texts, where):
            into.problem("unusable_line", f"{name} {where}", what)
    content = via.read({str(number): each for number, each in enumerate(rows.images.values())})
    content.images = [each._replace(where=rows.where[each.where]) for each in content.images]
    content.entries = [each._replace(where=rows.where[each.where]) for each in content.entries]
    found = into.finder.find(rows.names(), entry.path)
    add_content([LabelPart(entry, content, found)], via.NAME, entry.path, into)
    for number in {each.key for each in content.images} - {each.image for each in content.entries}:
        scan = content.images[number - 1]
        if path := found[scan.name].path:
            into.notice("empty_row", f"{name} {scan.where}", "has no region")
            into.empty.append((path, f"{name} {scan.where}"))


@dataclass
class _Rows:
    """Images of VIA's JSON by their name and size, which VIA takes for one, from rows."""

    images: dict[tuple[str, str], dict] = field(default_factory=dict)
    where: dict[str, str] = field(default_factory=dict)  # rows by their place in that JSON

    def names(self) -> Iterable[str]:
        return (name for name, _ in self.images)

    def add(self, texts: dict[str, str], where: str) -> str | None:
        """Add a row; why it cannot be used, if so."""
        values = {each: _json(texts.get(each, "")) for each in (SHAPE, OF_REGION, OF_FILE)}
        if bad := [each for each, value in values.items() if value is None]:
            return f"{bad[0]} is `{texts[bad[0]]}`, not a JSON object; it was not used"
        made = {"filename": texts["filename"], OF_FILE: values[OF_FILE], "regions": []}
        key = texts["filename"], texts.get("file_size", "")
        image = self.images.setdefault(key, made | {"place": len(self.images) + 1})
        place = f"image {image['place']}"
        self.where.setdefault(place, where)
        self.where.setdefault(f"{place} {OF_FILE}", where)
        if values[SHAPE] or values[OF_REGION]:
            region = {"shape_attributes": values[SHAPE], "region_attributes": values[OF_REGION]}
            image["regions"].append(region)
            self.where[f"{place} region {len(image['regions'])}"] = where
        return None


def _json(text: str) -> dict | None:
    """The object in a cell, an empty one for an empty cell; None for anything else."""
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
