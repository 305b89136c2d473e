"""Pascal VOC files: one XML a scan, with `filename` and `object`s of `name` and `bndbox`.

Coordinates are used as they are: VOC counts pixels from 1 and most tools from 0, and a file does
not tell which. roLabelImg adds turned boxes (`robndbox`), and LabelMe's first version wrote
polygons of `pt` instead of boxes.
"""

import math
from xml.etree.ElementTree import Element

from pipeline.ingest.labels.forms.content import Content, Entry, Image
from pipeline.ingest.labels.shapes import Bounds, around, box, numbers, rotated

NAME, ONE_SCAN = "voc", True
EDGES = ("xmin", "ymin", "xmax", "ymax")


def matches(document) -> bool:
    return isinstance(document, Element) and document.tag == "annotation"


def read(document: Element) -> Content:
    name = _text(document, "filename") or _text(document, "path")
    content = Content([Image(0, name)])
    for place, each in enumerate(document.iterfind("object"), start=1):
        if _text(each, "deleted") == "1":
            continue
        bounds, named = _bounds(each), _text(each, "name")
        what = "has no bndbox of xmin, ymin, xmax, ymax with an area; it was not used"
        unusable = None if bounds else what
        found = {"classes": (named,) if named else (), "attributes": _attributes(each)}
        content.entries.append(Entry(0, f"object {place}", bounds, **found, unusable=unusable))
    return content


def _text(of: Element | None, tag: str) -> str | None:
    found = of.findtext(tag) if of is not None else None
    return (found or "").strip() or None


def _attributes(of: Element) -> dict[str, str]:
    """Attributes as elements, as CVAT adds them to VOC, or as LabelMe's `tooth=36, moved=no`."""
    listed = (_text(of, "attributes") or "").split(",")
    pairs = [part.partition("=")[::2] for part in listed]
    elements = of.iterfind("attributes/attribute")
    pairs += [(_text(each, "name") or "", _text(each, "value") or "") for each in elements]
    stripped = [(name.strip(), value.strip('" ')) for name, value in pairs]
    return {name: value for name, value in stripped if name and value}


def _bounds(of: Element) -> Bounds | None:
    given = of.find("bndbox")
    given = of.find("segm/box") if given is None else given
    if given is not None:
        left, top, right, bottom = (_text(given, edge) for edge in EDGES)
        return around([(left, top), (right, bottom)])
    if (turned := of.find("robndbox")) is not None:
        found = numbers(_text(turned, key) for key in ("cx", "cy", "w", "h", "angle"))
        if found is None:
            return None
        x, y, w, h, radians = found
        return rotated(box(x - w / 2, y - h / 2, w, h), math.degrees(radians))
    points = of.iterfind("polygon/pt")
    return around([(_text(point, "x"), _text(point, "y")) for point in points])
