"""Pascal VOC: an XML file for every scan with a label in force, and the lists of its sides.

    Annotations/SCAN_ID.xml              a box for every crop with a label
    ImageSets/Main/train|val|test.txt    the scans of each side
    labelmap.txt                         the classes, which tools need when they are not VOC's own
    JPEGImages/SCAN_ID.png               with --images; the name of the folder is the form's

Coordinates count pixels from 0, and `xmax` and `ymax` are exclusive, as most tools write them.
"""

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from pipeline.export.job import Export
from pipeline.export.out_folder import write_text
from pipeline.export.rows import box_of, picture_name

FOLDER = "JPEGImages"
LISTS = {"train": "train", "validation": "val", "test": "test"}  # of a side


def write(export: Export) -> dict[str, int]:
    """Write the files; return how many boxes they have."""
    scans: dict[str, list[str]] = {side: [] for side in LISTS}
    boxes = 0
    for crops in export.rows.first_frames.scans():
        labelled = [row for row in crops if row["label"] is not None]
        if labelled:
            scan_id, boxes = crops[0]["scan_id"], boxes + len(labelled)
            write_text(export.out / "Annotations" / f"{scan_id}.xml", _document(labelled))
            scans[crops[0]["side"]].append(scan_id)
    for side, name in LISTS.items():
        lines = "".join(f"{scan_id}\n" for scan_id in scans[side])
        write_text(export.out / "ImageSets" / "Main" / f"{name}.txt", lines)
    labels = "".join(f"{name}:::\n" for name in export.rows.classes)
    write_text(export.out / "labelmap.txt", f"# label:color_rgb:parts:actions\n{labels}")
    return {"labelled boxes": boxes}


def picture(row: dict) -> str:
    """Where the picture of a scan goes."""
    return f"{FOLDER}/{picture_name(row['scan_id'])}"


def _document(labelled: list[dict]) -> str:
    scan = labelled[0]
    root = Element("annotation")
    _add(root, folder=FOLDER, filename=picture_name(scan["scan_id"]))
    _add(SubElement(root, "source"), database="dental-pipeline", batch=scan["batch"])
    _add(SubElement(root, "size"), width=scan["scan_w"], height=scan["scan_h"], depth=1)
    _add(root, segmented=0)
    for row in labelled:
        x, y, w, h = box_of(row)
        found = SubElement(root, "object")
        _add(found, name=row["label"], pose="Unspecified", truncated=0, difficult=0)
        _add(SubElement(found, "bndbox"), xmin=x, ymin=y, xmax=x + w, ymax=y + h)
        attributes = SubElement(found, "attributes")
        for name in ("crop_id", "region_kind", "tooth"):
            if row[name] is not None:
                _add(SubElement(attributes, "attribute"), name=name, value=row[name])
    indent(root)
    return tostring(root, encoding="unicode") + "\n"


def _add(parent: Element, **values: object) -> None:
    for name, value in values.items():
        SubElement(parent, name).text = str(value)
