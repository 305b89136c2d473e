"""JSON of Label Studio: a list of tasks with `data` and `annotations`, or its short form JSON-MIN.

Coordinates are percent of the image. A rectangle is turned about its top left corner, in pixels, so
a turn needs the size of the image (`original_width`). Annotations that were skipped
(`was_cancelled`) and predictions of models are not used. When some annotations of a task are its
ground truth, only those count; else those of all annotators do.
"""

from collections.abc import Iterator

from pipeline.ingest.labels.find_scan import PICTURE_SUFFIX
from pipeline.ingest.labels.forms.content import (
    Content,
    Entry,
    Image,
    dicts,
    is_class,
    is_tooth,
    shorten,
    text_of,
    texts,
)
from pipeline.ingest.labels.shapes import Bounds, around, box, ellipse, numbers, rotated

NAME, ONE_SCAN = "label_studio", False
# What a value may have beside its geometry; the rest of JSON-MIN's items are about the task.
ABOUT_TASK = {
    "id",
    "annotator",
    "annotation_id",
    "created_at",
    "updated_at",
    "lead_time",
    "inner_id",
    "agreement",
    "total_annotations",
    "cancelled_annotations",
    "project",
}
STATEMENTS = ("choices", "text", "number", "rating")  # keys of values
SIZE = ("original_width", "original_height")


def matches(document) -> bool:
    if not isinstance(document, list):
        return _is_task(document) or _is_task_of_storage(document)
    return any(_is_task(item) or _is_short(item) for item in document)


def is_notes(document) -> bool:
    """Whether a document is the `notes.json` of an export, with nothing that its files lack."""
    return isinstance(document, dict) and document.keys() == {"categories", "info"}


def _is_task(item) -> bool:
    return (
        isinstance(item, dict)
        and isinstance(item.get("data"), dict)
        and any(isinstance(item.get(key), list) for key in ("annotations", "completions"))
    )


def _is_task_of_storage(item) -> bool:
    """Whether a document is one annotation with its task, as written to cloud storage."""
    return (
        isinstance(item, dict)
        and isinstance(item.get("result"), list)
        and isinstance(item.get("task"), dict)
        and isinstance(item["task"].get("data"), dict)
    )


def _is_short(item) -> bool:
    return isinstance(item, dict) and "annotation_id" in item and "annotator" in item


def read(document) -> Content:
    content = Content()
    for place, task in dicts(document if isinstance(document, list) else [document]):
        where = f"task {place}"
        if _is_short(task):
            content.images.append(Image(place, _image_name(task, {}), where))
            for number, result in enumerate(_short_results(task), start=1):
                content.entries.append(_entry(place, f"{where} result {number}", [result]))
            continue
        if _is_task_of_storage(task):
            task = {**task["task"], "annotations": [task]}
        data = task.get("data")
        data = data if isinstance(data, dict) else {}
        content.images.append(Image(place, _image_name(data, task), where))
        if task.get("predictions") and not task.get("annotations", task.get("completions")):
            what = "has only predictions of a model, which are not used"
            content.entries.append(Entry(place, where, unusable=what))
        for number, results in enumerate(_regions(task), start=1):
            content.entries.append(_entry(place, f"{where} result {number}", results))
    return content


def _image_name(data: dict, task: dict) -> str | None:
    """The name of the image: the value named `image`, else one that is the path of a picture."""
    named = {key: value for key, value in data.items() if isinstance(value, str)}
    if "image" in named:
        return named["image"]
    pictures = [value for value in named.values() if PICTURE_SUFFIX.search(value)]
    uploaded = task.get("file_upload")
    return pictures[0] if pictures else uploaded if isinstance(uploaded, str) else None


def _regions(task: dict) -> Iterator[list[dict]]:
    """The results of each region: its geometry, its labels and what else was chosen for it."""
    annotations = [each for _, each in dicts(task.get("annotations", task.get("completions")))]
    annotations = [each for each in annotations if not each.get("was_cancelled")]
    true = [each for each in annotations if each.get("ground_truth") is True]
    for annotation in true or annotations:
        regions: dict[object, list[dict]] = {}
        for place, result in dicts(annotation.get("result")):
            key = text_of(result.get("id")) or place
            regions.setdefault(key, []).append(result)
        yield from regions.values()


def _short_results(task: dict) -> Iterator[dict]:
    """The results of a task in JSON-MIN, in the long form."""
    for key, value in task.items():
        if isinstance(value, list):
            for _, item in dicts(value):
                size = {name: item.get(name) for name in SIZE}
                yield {"value": item, "type": _short_type(item), "from_name": key} | size
        elif key not in ABOUT_TASK and value != _image_name(task, {}):
            chosen = value.get("choices") if isinstance(value, dict) else value
            if is_class(key) or key in ("choice", "choices"):
                yield {"value": {"choices": chosen}, "type": "choices", "from_name": key}


def _short_type(item: dict) -> str:
    return next((key for key in item if key.endswith("labels")), "unknown")


def _entry(image: int, where: str, results: list[dict]) -> Entry:
    """One region, from its geometry and labels and from what else was stated about it."""
    drawn = list(filter(_is_drawn, results))
    labels = [name for each in results for name in _labels(_value(each))]
    attributes: dict[str, str] = {}
    chosen: list[str] = []
    for each in results:
        value, name = _value(each), text_of(each.get("from_name")) or "choices"
        stated = texts(next((value[key] for key in STATEMENTS if key in value), None))
        if "choices" in value and not labels and not is_tooth(name):
            chosen += stated
        elif stated:
            attributes[name] = " ".join(stated)
    classes = tuple(dict.fromkeys(labels or chosen))
    if not drawn:
        return Entry(image, where, classes=classes, attributes=attributes)
    bounds, kind = _bounds(drawn[0]), shorten(drawn[0].get("type"))
    unusable = None if bounds else f"is a `{kind}` that gives no box; it was not used"
    return Entry(image, where, bounds, True, classes, None, attributes, unusable)


def _value(result: dict) -> dict:
    value = result.get("value")
    return value if isinstance(value, dict) else {}


def _is_drawn(result: dict) -> bool:
    """Whether a result is about a region; what was chosen for one repeats its geometry."""
    is_statement = text_of(result.get("type")) in ("choices", "textarea", "number", "rating")
    return not is_statement or any(key in _value(result) for key in ("x", "points"))


def _labels(value: dict) -> tuple[str, ...]:
    """The names under `rectanglelabels`, `polygonlabels`, `labels` and so on."""
    lists = [found for key, found in value.items() if key.endswith("labels")]
    return tuple(name for found in lists for name in texts(found))


def _bounds(result: dict) -> Bounds | None:
    """The box around a region, in fractions of the image."""
    value = _value(result)
    if "points" in value:
        points = around(value["points"])
        return points and points.scaled(0.01, 0.01)
    size = numbers(result.get(name) or value.get(name) for name in SIZE)
    size = size if size and min(size) > 0 else None
    turn = value.get("rotation") or 0
    if turn and size is None:
        return None
    across, down = size or (100.0, 100.0)
    if "radiusX" in value:
        found = numbers(value.get(key) for key in ("x", "y", "radiusX", "radiusY"))
        if found is None:
            return None
        x, y, rx, ry = (
            each * side / 100 for each, side in zip(found, [across, down] * 2, strict=True)
        )
        drawn = ellipse(x, y, rx, ry, turn)
    else:
        percent = box(*(value.get(key) for key in ("x", "y", "width", "height")))
        drawn = percent and percent.scaled(across / 100, down / 100)
        drawn = rotated(drawn, turn, (drawn.x, drawn.y)) if drawn else None
    return drawn and drawn.scaled(1 / across, 1 / down)
