"""COCO: labels in force as annotations, predictions in the results form, and scans to be labelled.

    annotations.json   scans with a label in force: a box for every crop that has one
    predictions.json   results for the same scans, as `COCO.loadRes` and `COCOeval` take them
    unlabelled.json    scans without any label: a box, with its score, for every predicted crop

Unlabelled scans have their own file because a box that is missing from `annotations.json` means,
to a detector in training, that nothing is there. Tools that keep unknown fields return `crop_id`.
"""

from collections.abc import Iterator

from pipeline.export.job import Export
from pipeline.export.out_folder import write_json
from pipeline.export.rows import ExportRows, box_of, picture_name, probability

ATTRIBUTES = ("crop_id", "region_kind", "tooth", "tooth_guess", "predicted", "p_abnormal")


def write(export: Export) -> dict[str, int]:
    """Write the three files; return how many boxes each has."""
    rows = export.rows.first_frames
    labelled, other = _dataset(export, rows), _dataset(export, rows)
    results: list[dict] = []
    for number, crops in enumerate(rows.scans(), start=1):
        has_label = any(row["label"] is not None for row in crops)
        into = labelled if has_label else other
        into["images"].append(_image(number, crops[0]))
        predicted = list(_predictions(number, crops, rows))
        if has_label:
            for row in crops:
                if row["label"] is not None:
                    into["annotations"].append(_annotation(number, row, row["label"], rows))
            results += predicted
        else:
            into["annotations"] += predicted
    for dataset in (labelled, other):
        for place, annotation in enumerate(dataset["annotations"], start=1):
            annotation["id"] = place
    write_json(export.out / "annotations.json", labelled)
    write_json(export.out / "predictions.json", results)
    write_json(export.out / "unlabelled.json", other)
    return {
        "labelled boxes": len(labelled["annotations"]),
        "predicted boxes": len(results) + len(other["annotations"]),
    }


def _dataset(export: Export, rows: ExportRows) -> dict:
    categories = [
        {"id": number, "name": name, "supercategory": "finding"}
        for number, name in enumerate(rows.classes, start=1)
    ]
    about = {"description": "For research, not for diagnosis.", **export.rows.provenance}
    return {"info": about, "images": [], "annotations": [], "categories": categories}


def _image(number: int, row: dict) -> dict:
    facts = {name: row[name] for name in ("scan_id", "batch", "side", "patient_key")}
    size = {"width": row["scan_w"], "height": row["scan_h"]}
    return {"id": number, "file_name": picture_name(row["scan_id"]), **size, **facts}


def _annotation(image: int, row: dict, label: str, rows: ExportRows) -> dict:
    x, y, w, h = box_of(row)
    return {
        "image_id": image,
        "category_id": rows.number(label) + 1,
        "bbox": [x, y, w, h],
        "area": w * h,
        "segmentation": [],
        "iscrowd": 0,
        "crop_id": row["crop_id"],
        "attributes": {name: row[name] for name in ATTRIBUTES if row[name] is not None},
    }


def _predictions(image: int, crops: list[dict], rows: ExportRows) -> Iterator[dict]:
    for row in crops:
        if row["predicted"] is not None:
            score = probability(row, rows.head_classes)
            yield _annotation(image, row, row["predicted"], rows) | {"score": score}
