"""Write label files with Datumaro and globox and read them again: what ours must agree with.

Run in an environment of its own, since Datumaro's pins clash with the project's; it imports nothing
of the project. `python write_and_read.py FOLDER` takes the pictures in FOLDER/images and the boxes
in FOLDER/boxes.json, by picture: `[class, left, top, right, bottom]` in pixels. Every form is
written into FOLDER/TOOL-FORM with its pictures; FOLDER/read.json gets what the tool itself reads
there: `[picture, class, left, top, width, height]`.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import datumaro
import globox
import numpy as np
from datumaro.components.annotation import RotatedBbox

# Forms of Datumaro: the shapes to write, and the importer that reads the form.
DATUMARO = {
    "coco_instances": ("boxes", "coco_instances"),
    "coco_polygons": ("polygons", "coco_instances"),
    "coco_run_lengths": ("masks", "coco_instances"),
    "voc_detection": ("boxes", "voc_detection"),
    "cvat": ("boxes", "cvat"),
    "cvat_polygons": ("polygons", "cvat"),
    "yolo": ("boxes", "yolo"),
    "yolo_ultralytics": ("boxes", "yolo"),
    "dota": ("rotated", "dota"),
}
EXPORTERS = {
    "coco_polygons": "coco_instances",
    "coco_run_lengths": "coco_instances",
    "cvat_polygons": "cvat",
}


def shape(kind: str, box: list, label: int, size: tuple[int, int]) -> datumaro.Annotation:
    _, left, top, right, bottom = box
    width, height = right - left, bottom - top
    if kind == "polygons":
        points = [left, top, right, top, right, bottom, (left + right) / 2, bottom, left, bottom]
        return datumaro.Polygon(points, label=label)
    if kind == "rotated":
        centre = (left + right) / 2, (top + bottom) / 2
        return RotatedBbox(*centre, width, height, 20, label=label)
    if kind == "masks":
        mask = np.zeros(size, np.uint8)
        mask[round(top) : round(bottom), round(left) : round(right)] = 1
        return datumaro.Mask(mask, label=label)
    return datumaro.Bbox(left, top, width, height, label=label)


def by_datumaro(root: Path, boxes: dict[str, list], form: str) -> list:
    kind, importer = DATUMARO[form]
    classes = sorted({box[0] for each in boxes.values() for box in each})
    items = []
    for number, (name, found) in enumerate(boxes.items()):
        picture = datumaro.Image.from_file(path=str(root / "images" / name))
        shapes = [shape(kind, box, classes.index(box[0]), picture.size) for box in found]
        for place, each in enumerate(shapes, start=1):
            each.id = each.group = 10 * number + place
        subset = "val" if number == 0 else "train"
        items.append(
            datumaro.DatasetItem(Path(name).stem, subset=subset, media=picture, annotations=shapes)
        )
    out = root / f"datumaro-{form}"
    data = datumaro.Dataset.from_iterable(items, categories=classes)
    data.export(str(out), EXPORTERS.get(form, form), save_media=True)
    read = datumaro.Dataset.import_from(str(out), importer)
    names = read.categories()[datumaro.AnnotationType.label]
    found = [
        [item.id, names[each.label].name, *each.get_bbox()]
        for item in read
        for each in item.annotations
        if hasattr(each, "get_bbox")
    ]
    if kind in ("polygons", "masks") and importer == "coco_instances":
        leave_out_bbox(out)  # which Datumaro needs, and many tools do not write
    return found


def leave_out_bbox(folder: Path) -> None:
    """Leave the outlines alone to say where a finding is."""
    for file in folder.rglob("*.json"):
        document = json.loads(file.read_text(encoding="utf-8"))
        for each in document["annotations"]:
            del each["bbox"]
        file.write_text(json.dumps(document), encoding="utf-8")


def by_globox(root: Path, boxes: dict[str, list]) -> Iterator[tuple[str, list]]:
    annotations = globox.AnnotationSet()
    for name, found in boxes.items():
        size = datumaro.Image.from_file(path=str(root / "images" / name)).size
        each = globox.Annotation(name, (size[1], size[0]))
        for label, *corners in found:
            each.boxes.append(
                globox.BoundingBox(label=label, **dict(zip(CORNERS, corners, strict=True)))
            )
        annotations.add(each)
    writers = {
        "labelme": lambda out: annotations.save_labelme(out),
        "via": lambda out: annotations.save_via_json(out / "via.json", image_folder=out),
        "cvat": lambda out: annotations.save_cvat(out / "annotations.xml"),
        "pascal_voc": lambda out: annotations.save_pascal_voc(out),
    }
    readers = {
        "labelme": lambda out: globox.AnnotationSet.from_labelme(out),
        "via": lambda out: globox.AnnotationSet.from_via_json(out / "via.json", image_folder=out),
        "cvat": lambda out: globox.AnnotationSet.from_cvat(out / "annotations.xml"),
        "pascal_voc": lambda out: globox.AnnotationSet.from_pascal_voc(out),
    }
    for form, write in writers.items():
        out = root / f"globox-{form}"
        shutil.copytree(root / "images", out)
        write(out)
        yield (
            out.name,
            [
                [Path(each.image_id).stem, box.label, box.xmin, box.ymin, box.width, box.height]
                for each in readers[form](out)
                for box in each.boxes
            ],
        )


CORNERS = ("xmin", "ymin", "xmax", "ymax")


def main(root: Path) -> None:
    boxes = json.loads((root / "boxes.json").read_text(encoding="utf-8"))
    read = {f"datumaro-{form}": by_datumaro(root, boxes, form) for form in DATUMARO}
    read |= dict(by_globox(root, boxes))
    (root / "read.json").write_text(json.dumps(read), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
