"""Supervisely projects: `ann/NAME.png.json` for each image, `meta.json` for all.

An object has `classTitle` and `geometryType` with points in pixels, or a bitmap: the compressed PNG
of a mask that is as large as its box, and the box's corner.
"""

import base64
import binascii
import struct
import zlib

from pipeline.ingest.labels.forms.content import (
    Content,
    Entry,
    Image,
    dicts,
    is_class,
    shorten,
    text_of,
    texts,
)
from pipeline.ingest.labels.shapes import Bounds, around, box

NAME, ONE_SCAN = "supervisely", True
PNG_SIZE = struct.Struct(">16xII")  # width and height after signature, length and type
PNG_START = b"\x89PNG\r\n\x1a\n"


def matches(document) -> bool:
    return isinstance(document, dict) and all(
        isinstance(document.get(key), kind) for key, kind in (("objects", list), ("size", dict))
    )


def is_meta(document) -> bool:
    """Whether a document is the `meta.json` of a project, whose classes the others name, too."""
    if not isinstance(document, dict) or not isinstance(document.get("tags"), list):
        return False
    classes = document.get("classes")
    return isinstance(classes, list) and all("title" in each for _, each in dicts(classes))


def read(document: dict) -> Content:
    content = Content([Image(0, None)])
    if tags := _tags(document):
        classes = [
            name if value is None else value for name, value in tags.items() if _is(name, value)
        ]
        others = {name: value for name, value in tags.items() if not _is(name, value)}
        content.entries.append(Entry(0, "tags", classes=tuple(classes), attributes=others))
    for place, each in dicts(document["objects"]):
        content.entries.append(_entry(each, f"object {place}"))
    return content


def _is(name: str, value: str | None) -> bool:
    """Whether a tag is a class: one without a value, or one named as such."""
    return value is None or is_class(name)


def _tags(of: dict) -> dict[str, str | None]:
    """Values of tags by name; a tag may have none."""
    named = [(text_of(tag.get("name")), tag.get("value")) for _, tag in dicts(of.get("tags"))]
    return {name: text_of(value) for name, value in named if name}


def _entry(of: dict, where: str) -> Entry:
    kind = of.get("geometryType") or ("bitmap" if of.get("bitmap") else "polygon")
    bounds = _bounds(kind, of)
    if bounds is None:
        return Entry(
            0, where, unusable=f"is a `{shorten(kind)}` that gives no box; it was not used"
        )
    attributes = {name: value or "true" for name, value in _tags(of).items()}
    return Entry(0, where, bounds, classes=texts(of.get("classTitle")), attributes=attributes)


def _bounds(kind: str, of: dict) -> Bounds | None:
    if kind == "bitmap":
        return _bitmap_bounds(of.get("bitmap"))
    points = of.get("points")
    if kind not in ("rectangle", "polygon") or not isinstance(points, dict):
        return None
    return around(points.get("exterior"))


def _bitmap_bounds(bitmap) -> Bounds | None:
    if not isinstance(bitmap, dict) or not isinstance(bitmap.get("data"), str):
        return None
    origin = bitmap.get("origin")
    if not isinstance(origin, list) or len(origin) != 2:
        return None
    try:
        # Only the beginning is unpacked: no more than the header of the PNG is needed.
        packed = base64.b64decode(bitmap["data"], validate=True)
        start = zlib.decompressobj().decompress(packed, PNG_SIZE.size)
    except (binascii.Error, ValueError, zlib.error):
        return None
    if len(start) < PNG_SIZE.size or not start.startswith(PNG_START):
        return None
    return box(*origin, *PNG_SIZE.unpack(start))
