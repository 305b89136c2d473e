"""CVAT for images 1.1: one XML for all images, with their shapes in pixels and their tags.

Boxes and ellipses may be turned about their centre, by degrees clockwise. A tag is a label of the
whole scan.
"""

from xml.etree.ElementTree import Element

from pipeline.ingest.labels.forms.content import Content, Entry, Image, Unusable
from pipeline.ingest.labels.forms.rle import row_mask_bounds
from pipeline.ingest.labels.shapes import Bounds, around, ellipse, numbers, rotated

NAME, ONE_SCAN = "cvat", False
# Of an image, without being an annotation.
NOT_SHAPES = {"attribute"}


def matches(document) -> bool:
    return isinstance(document, Element) and document.tag == "annotations"


def read(document: Element) -> Content:
    content = Content(declared=set(filter(None, _texts(document, "meta//labels/label/name"))))
    for place, image in enumerate(document.iterfind("image"), start=1):
        name = image.get("name") or None
        content.images.append(Image(place, name, f"image {place}"))
        for number, each in enumerate(image, start=1):
            if each.tag not in NOT_SHAPES:
                where = f"image {place} {each.tag} {number}"
                content.entries.append(_entry(place, where, each))
    for number, track in enumerate(document.iterfind("track"), start=1):
        what = f"is a track of `{track.get('label')}` in a video; export as `CVAT for images`"
        content.unusable.append(Unusable(f"track {number}", what, "a track"))
    return content


def _texts(of: Element, path: str) -> list[str]:
    return [(each.text or "").strip() for each in of.iterfind(path)]


def _entry(image: int, where: str, of: Element) -> Entry:
    label = (of.get("label") or "").strip()
    attributes = {
        name: text
        for each in of.iterfind("attribute")
        if (name := each.get("name")) and (text := (each.text or "").strip())
    }
    found = {
        "classes": (label,) if label else (),
        "attributes": attributes,
        "is_suggestion": of.get("source") == "auto",
    }
    if of.tag == "tag":
        return Entry(image, where, **found)
    bounds = _bounds(of)
    what = "gives no box; it was not used"
    return Entry(image, where, bounds, **found, unusable=None if bounds else what)


def _bounds(of: Element) -> Bounds | None:
    get = of.get
    match of.tag:
        case "box":
            drawn = around([(get("xtl"), get("ytl")), (get("xbr"), get("ybr"))])
            return rotated(drawn, get("rotation"))
        case "polygon":
            return around(point.split(",") for point in (get("points") or "").split(";"))
        case "ellipse":
            return ellipse(get("cx"), get("cy"), get("rx"), get("ry"), get("rotation"))
        case "mask":
            return _mask_bounds(of)
    return None


def _mask_bounds(of: Element) -> Bounds | None:
    """The box around a mask, whose runs go along the rows of its part of the image."""
    place = numbers(of.get(key) for key in ("left", "top", "width", "height"))
    runs = numbers((of.get("rle") or "").split(","))
    if place is None or runs is None:
        return None
    left, top, width, height = map(int, place)
    drawn = row_mask_bounds([int(run) for run in runs], width, height)
    return drawn and drawn._replace(x=drawn.x + left, y=drawn.y + top)
