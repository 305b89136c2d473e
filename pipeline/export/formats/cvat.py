"""CVAT for images 1.1: one XML file with a box for every label in force, and for suggestions.

    annotations.xml        to be uploaded to a task that has the pictures
    images/SCAN_ID.png     with --images

A crop without a label is suggested with its predicted class (`source="auto"`) where it was boxed by
people or the champion flags it; nothing is suggested for crops of the audit. The attribute
`crop_id` names the crop of a box.
"""

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from pipeline.export.job import Export
from pipeline.export.out_folder import write_text
from pipeline.export.rows import box_of, is_suggestion, picture_name

ATTRIBUTES = {  # of a box, and how CVAT edits them
    "crop_id": "text",
    "region_kind": "text",
    "tooth": "text",
    "predicted": "text",
    "p_abnormal": "text",
}


def write(export: Export) -> dict[str, int]:
    """Write the file; return how many boxes it has."""
    rows = export.rows.first_frames.for_reviewers
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    _add_task(root, rows.classes, len(rows.scan_ids))
    counts = {"labelled boxes": 0, "suggested boxes": 0}
    for number, crops in enumerate(rows.scans()):
        scan = crops[0]
        size = {"width": str(scan["scan_w"]), "height": str(scan["scan_h"])}
        name = picture_name(scan["scan_id"])
        image = SubElement(root, "image", {"id": str(number), "name": name, **size})
        for row in crops:
            if row["label"] is not None:
                _add_box(image, row, row["label"], "manual")
                counts["labelled boxes"] += 1
            elif is_suggestion(row):
                _add_box(image, row, row["predicted"], "auto")
                counts["suggested boxes"] += 1
    indent(root)
    text = tostring(root, encoding="unicode")
    write_text(export.out / "annotations.xml", f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n')
    return counts


def _add_task(root: Element, classes: list[str], scans: int) -> None:
    task = SubElement(SubElement(root, "meta"), "task")
    for name, text in (("name", "dental-pipeline"), ("size", str(scans)), ("mode", "annotation")):
        SubElement(task, name).text = text
    labels = SubElement(task, "labels")
    for name in classes:
        label = SubElement(labels, "label")
        SubElement(label, "name").text = name
        SubElement(label, "type").text = "rectangle"
        attributes = SubElement(label, "attributes")
        for attribute, kind in ATTRIBUTES.items():
            described = SubElement(attributes, "attribute")
            values = {"name": attribute, "mutable": "False", "input_type": kind}
            for key, text in (values | {"default_value": "", "values": ""}).items():
                SubElement(described, key).text = text


def _add_box(image: Element, row: dict, label: str, source: str) -> None:
    x, y, w, h = box_of(row)
    edges = {"xtl": x, "ytl": y, "xbr": x + w, "ybr": y + h}
    facts = {"label": label, "source": source, "occluded": "0", "z_order": "0"}
    place = {name: f"{value:.2f}" for name, value in edges.items()}
    box = SubElement(image, "box", {**facts, **place})
    for name in ATTRIBUTES:
        value = row[name]
        if value is not None:
            text = f"{value:.4f}" if isinstance(value, float) else str(value)
            SubElement(box, "attribute", {"name": name}).text = text
