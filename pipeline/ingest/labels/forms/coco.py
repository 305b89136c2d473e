"""COCO files, with the teeth and findings of DENTEX, which extends the form.

COCO lists `images` (id, file_name), `annotations` (image_id, category_id, bbox in pixels: left,
top, width, height; or `segmentation`, polygons or a mask) and `categories` (id, name). DENTEX
numbers the quadrant (category_id_1), the tooth in it (category_id_2) and the finding
(category_id_3), named in categories_1 to _3; its part with quadrants alone has category_id.
Source: Hamamci et al., DENTEX, MICCAI 2023.

The lists may be long: they are only iterated, so that a large file can be read item by item.
"""

import re
from collections.abc import Hashable, Mapping

from pipeline.ingest.labels.forms.content import Content, Entry, Image, Unusable, shorten
from pipeline.ingest.labels.forms.rle import coco_mask_bounds
from pipeline.ingest.labels.shapes import Bounds, around, box, pairs_of
from pipeline.ingest.labels.teeth import FDI

NAME, ONE_SCAN = "coco", False
# The key of an annotation's finding, and the list that names these numbers.
FINDINGS = (("category_id", "categories"), ("category_id_3", "categories_3"))
NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]{0,17}))(?:\.0+)?")


def matches(document) -> bool:
    return isinstance(document, Mapping) and all(
        _is_list(document.get(key)) for key in ("images", "annotations")
    )


def _is_list(value) -> bool:
    return hasattr(value, "__iter__") and not isinstance(value, str | Mapping)


def read(document: Mapping) -> Content:
    content = Content()
    for place, image in enumerate(document["images"], start=1):
        key = _key(image.get("id")) if isinstance(image, dict) else None
        if key is None:
            what = "has no `id`; it was not used"
            content.unusable.append(Unusable(f"image {place}", what, "an image without `id`"))
            continue
        name = image.get("file_name")
        named = name if isinstance(name, str) else None
        content.images.append(Image(key, named, f"image {place}"))
    names = {
        key: _names(document.get(key))
        for key in ("categories", *(f"categories_{number}" for number in (1, 2, 3)))
    }
    content.declared = {name for _, key in FINDINGS for name in names[key].values()}
    for place, annotation in enumerate(document["annotations"], start=1):
        annotation = annotation if isinstance(annotation, dict) else {}
        content.entries.append(_entry(annotation, f"annotation {place}", names))
    return content


def _key(value) -> Hashable:
    """An ID regardless of how it is written: 3, 3.0, "3" and "3.0" are one; None if it is none."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and (number := NUMBER.fullmatch(value.strip())):
        return int(number[1])
    return value if isinstance(value, int | str) else None


def _names(categories) -> dict[Hashable, str]:
    """The names of one list of categories, by ID."""
    return {
        _key(item["id"]): text if isinstance(text := item["name"], str) else shorten(text)
        for item in (categories if _is_list(categories) else ())
        if isinstance(item, dict) and _key(item.get("id")) is not None and "name" in item
    }


def _entry(annotation: dict, where: str, names: dict[str, dict]) -> Entry:
    image = _key(annotation.get("image_id"))
    bounds = _bounds(annotation)
    if bounds is None:
        given = annotation.get("bbox")
        what = (
            f"bbox is `{shorten(given)}`, not [left, top, width, height] in pixels; it was not used"
        )
        if given is None and annotation.get("segmentation"):
            what = "has no bbox, and its segmentation is no polygon or mask; it was not used"
        return Entry(image, where, unusable=what)
    tooth, doubt = _tooth(annotation, names)
    suggested = "score" in annotation  # of results, which a model made
    found: dict = {"bounds": bounds, "tooth": tooth, "doubt": doubt, "is_suggestion": suggested}
    for key, named in FINDINGS:
        if (number := annotation.get(key)) is not None:
            name = names[named].get(_key(number))
            unnamed = shorten(number), f"{key} {shorten(number)} is not in `{named}`"
            found |= {"unnamed_class": unnamed} if name is None else {"classes": (name,)}
            break
    return Entry(image, where, **found)


def _bounds(annotation: dict) -> Bounds | None:
    """The box that is given, else the one around the segmentation."""
    bbox, drawn = annotation.get("bbox"), annotation.get("segmentation")
    if isinstance(bbox, list) and len(bbox) == 4 and (given := box(*bbox)):
        return given
    if isinstance(drawn, dict):
        return coco_mask_bounds(drawn)
    if not isinstance(drawn, list) or not drawn:
        return None
    polygons = drawn if all(isinstance(each, list) for each in drawn) else [drawn]
    points = [pairs_of(each) for each in polygons]
    return None if None in points else around(point for each in points for point in each)


def _tooth(annotation: dict, names: dict[str, dict]) -> tuple[int | None, str | None]:
    """The FDI number if both quadrant and tooth are given, and why it cannot be used."""
    numbers = [annotation.get("category_id_1"), annotation.get("category_id_2")]
    if None in numbers:
        return None, None
    named = [names[f"categories_{n}"].get(_key(each)) for n, each in enumerate(numbers, start=1)]
    tooth = "".join(name or "?" for name in named)
    if len(tooth) == 2 and tooth.isdecimal() and int(tooth) in FDI:
        return int(tooth), None
    return (
        None,
        f"quadrant and tooth {shorten(numbers)} give `{tooth}`, not an FDI number; not used",
    )
