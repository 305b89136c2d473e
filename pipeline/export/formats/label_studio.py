"""Label Studio: a task for every scan, with labels in force and the champion's pre-annotations.

    tasks.json             to be imported into a project
    config.xml             the labelling interface of that project
    images/SCAN_ID.png     with --images, to be served as local files

The labels in force are an annotation; what the champion predicts for the same crops, and for the
suggestions among the others, is a prediction, except for crops of the audit. The id of a region is
its crop_id, as is its `meta`.
"""

from collections.abc import Iterator
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from pipeline.export.job import Export
from pipeline.export.out_folder import write_json_list, write_text
from pipeline.export.rows import ExportRows, box_of, is_suggestion, picture_name, probability

SERVED = "/data/local-files/?d=images/"  # below LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT
FACTS = ("scan_id", "batch", "side", "patient_key")


def write(export: Export) -> dict[str, int]:
    """Write the files; return how many boxes they have."""
    rows = export.rows.first_frames.for_reviewers
    counts = {"labelled boxes": 0, "predicted boxes": 0}
    write_json_list(export.out / "tasks.json", _tasks(rows, counts))
    write_text(export.out / "config.xml", _interface(rows.classes))
    return counts


def _tasks(rows: ExportRows, counts: dict[str, int]) -> Iterator[dict]:
    head = rows.provenance["head"]
    for crops in rows.scans():
        scan = crops[0]
        labelled = [_region(row, row["label"]) for row in crops if row["label"] is not None]
        predicted = [
            _region(row, row["predicted"]) | {"score": probability(row, rows.head_classes)}
            for row in crops
            if row["predicted"] is not None and (row["label"] is not None or is_suggestion(row))
        ]
        facts = {name: scan[name] for name in FACTS}
        task = {"data": {"image": SERVED + picture_name(scan["scan_id"]), **facts}}
        if labelled:
            task["annotations"] = [{"result": labelled, "was_cancelled": False}]
        if predicted:
            score = max(row["p_abnormal"] for row in crops if row["p_abnormal"] is not None)
            result = {"model_version": head, "score": float(score), "result": predicted}
            task["predictions"] = [result]
        counts["labelled boxes"] += len(labelled)
        counts["predicted boxes"] += len(predicted)
        yield task


def _region(row: dict, label: str) -> dict:
    x, y, w, h = box_of(row)
    width, height = row["scan_w"], row["scan_h"]
    place = {
        "x": 100 * x / width,
        "y": 100 * y / height,
        "width": 100 * w / width,
        "height": 100 * h / height,
        "rotation": 0,
    }
    return {
        "id": row["crop_id"],
        "from_name": "label",
        "to_name": "image",
        "type": "rectanglelabels",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {**place, "rectanglelabels": [label]},
        "meta": {"crop_id": row["crop_id"], "text": [row["crop_id"]]},
    }


def _interface(classes: list[str]) -> str:
    view = Element("View")
    SubElement(view, "Image", {"name": "image", "value": "$image", "zoom": "true"})
    labels = SubElement(view, "RectangleLabels", {"name": "label", "toName": "image"})
    for name in classes:
        SubElement(labels, "Label", {"value": name})
    indent(view)
    return tostring(view, encoding="unicode") + "\n"
