"""Files of the VGG Image Annotator 2: a project, or its exported annotations alone.

Each image has `filename` and `regions`, a list or, from version 1, an object; a region has
`shape_attributes` in pixels and `region_attributes`. VIA leaves the names of attributes to its
users, so the one with class names is chosen by its name.
"""

from collections.abc import Iterable, Mapping

from pipeline.ingest.labels.forms.content import (
    CLASS_ATTRIBUTES,
    Content,
    Entry,
    Image,
    Unusable,
    dicts,
    is_class,
    is_tooth,
    shorten,
    simplify,
    texts,
)
from pipeline.ingest.labels.shapes import Bounds, around, box, circle, ellipse

NAME, ONE_SCAN = "via", False
OF_EVERY_IMAGE = {"caption", "public_domain", "image_url"}


def matches(document) -> bool:
    if not isinstance(document, dict):
        return False
    if isinstance(document.get("_via_img_metadata"), dict):
        return True
    images = document.values()
    return all(isinstance(each, dict) for each in images) and any(
        "filename" in each and "regions" in each for each in images
    )


def read(document: dict) -> Content:
    found = document.get("_via_img_metadata", document)
    images = dicts(list(found.values()))
    regions = {place: _regions(image.get("regions")) for place, image in images}
    attributes = [
        _object(region.get("region_attributes")) for each in regions.values() for _, region in each
    ]
    key, what = class_attribute(attributes)
    content = Content()
    if what:
        content.unusable.append(Unusable("region_attributes", what))
    for place, image in images:
        name = image.get("filename")
        where = f"image {place}"
        content.images.append(Image(place, name if isinstance(name, str) else None, where))
        if stated := _stated(image.get("file_attributes")):
            content.entries.append(_of_file(place, where, stated))
        for number, region in regions[place]:
            content.entries.append(_entry(place, f"{where} region {number}", region, key))
    return content


def class_attribute(attributes: Iterable[Mapping]) -> tuple[str | None, str | None]:
    """Which attribute of all regions holds class names; if that is unclear, a message."""
    names = {key: None for each in attributes for key, value in each.items() if values_of(value)}
    names = [name for name in names if not is_tooth(name)]
    ranked = ([name for name in names if simplify(name) in each] for each in CLASS_ATTRIBUTES)
    known = next(filter(None, ranked), names)
    if len(known) == 1:
        return known[0], None
    listed = ", ".join(f"`{name}`" for name in known)
    what = f"have {listed}, of which none is `label`; name the one that holds classes `label`"
    return None, what if known else None


def values_of(value) -> tuple[str, ...]:
    """What a text, choice or set of checkboxes holds."""
    if isinstance(value, dict):
        return tuple(name for name, is_set in value.items() if is_set is True and name.strip())
    return texts(value)


def region_bounds(shape: Mapping) -> Bounds | None:
    """The box around a region with these `shape_attributes`; None for points and lines."""
    get = shape.get
    match get("name"):
        case "rect":
            return box(get("x"), get("y"), get("width"), get("height"))
        case "polygon":
            across, down = get("all_points_x"), get("all_points_y")
            if not isinstance(across, list) or not isinstance(down, list):
                return None
            return around(zip(across, down, strict=True)) if len(across) == len(down) else None
        case "circle":
            return circle(get("cx"), get("cy"), get("r"))
        case "ellipse":  # theta in radians, clockwise
            return ellipse(get("cx"), get("cy"), get("rx"), get("ry"), _degrees(get("theta")))
    return None


def _degrees(theta) -> float:
    return theta * 57.29577951308232 if isinstance(theta, int | float) else 0


def _entry(image: int, where: str, region: dict, key: str | None) -> Entry:
    shape = _object(region.get("shape_attributes"))
    attributes = _object(region.get("region_attributes"))
    bounds = region_bounds(shape)
    if bounds is None:
        what = f"is a `{shorten(shape.get('name'))}` that gives no box; it was not used"
        return Entry(image, where, unusable=what)
    classes = values_of(attributes.get(key)) if key else ()
    others = {
        name: " ".join(values) for name, value in attributes.items() if (values := values_of(value))
    }
    others.pop(key, None)
    return Entry(image, where, bounds, classes=classes, attributes=others)


def _stated(attributes) -> dict[str, tuple[str, ...]]:
    """What is stated about a whole image, without the attributes that VIA gives to every one."""
    return {
        name: found
        for name, value in _object(attributes).items()
        if name not in OF_EVERY_IMAGE and (found := values_of(value))
    }


def _of_file(image: int, where: str, values: dict[str, tuple[str, ...]]) -> Entry:
    classes = tuple(each for name, found in values.items() if is_class(name) for each in found)
    others = {name: " ".join(found) for name, found in values.items() if not is_class(name)}
    return Entry(image, f"{where} file_attributes", classes=classes, attributes=others)


def _regions(regions) -> list[tuple[int, dict]]:
    return dicts(list(regions.values()) if isinstance(regions, dict) else regions)


def _object(value) -> dict:
    return value if isinstance(value, dict) else {}
