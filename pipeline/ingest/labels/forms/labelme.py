"""LabelMe files: one JSON a scan, with `imagePath` and `shapes` of points in pixels.

The picture itself (`imageData`) is not used. Tools that write the same form, such as AnyLabeling,
add shapes.
"""

from pipeline.ingest.labels.forms.content import Content, Entry, Image, dicts, shorten, texts
from pipeline.ingest.labels.shapes import Bounds, around, circle, numbers

NAME, ONE_SCAN = "labelme", True
AROUND_POINTS = {"rectangle", "polygon", "mask", "rotation", "oriented_rectangle", "quadrilateral"}


def matches(document) -> bool:
    return (
        isinstance(document, dict)
        and isinstance(document.get("shapes"), list)
        and any(key in document for key in ("imagePath", "imageData", "flags"))
    )


def read(document: dict) -> Content:
    path = document.get("imagePath")
    content = Content([Image(0, path if isinstance(path, str) else None)])
    if flags := _set_flags(document):
        content.entries.append(Entry(0, "flags", classes=tuple(flags)))
    for place, shape in dicts(document["shapes"]):
        content.entries.append(_entry(shape, f"shape {place}"))
    return content


def _entry(shape: dict, where: str) -> Entry:
    kind = shorten(shape.get("shape_type") or "polygon")  # old versions wrote polygons only
    bounds = _bounds(kind, shape.get("points"))
    if bounds is None:
        return Entry(0, where, unusable=f"is a `{kind}` that gives no box; it was not used")
    attributes = shape.get("attributes")  # of AnyLabeling
    attributes = attributes if isinstance(attributes, dict) else {}
    attributes = attributes | dict.fromkeys(_set_flags(shape), "true")
    return Entry(0, where, bounds, classes=texts(shape.get("label")), attributes=attributes)


def _set_flags(of: dict) -> list[str]:
    flags = of.get("flags")
    return [name for name, value in flags.items() if value is True] if _is_dict(flags) else []


def _is_dict(value) -> bool:
    return isinstance(value, dict)


def _bounds(kind: str, points) -> Bounds | None:
    if not isinstance(points, list):
        return None
    if kind == "circle":  # the centre and a point on the circle
        ends = [numbers(point) if isinstance(point, list) else None for point in points]
        if len(ends) != 2 or not all(end and len(end) == 2 for end in ends):
            return None
        (x, y), (to_x, to_y) = ends
        return circle(x, y, ((to_x - x) ** 2 + (to_y - y) ** 2) ** 0.5)
    return around(points) if kind in AROUND_POINTS else None
