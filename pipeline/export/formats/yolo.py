"""YOLO: a text file of boxes for every scan with a label in force, in folders by side.

    data.yaml                     names of the classes and the folders, as Ultralytics reads them
    labels/SIDE/SCAN_ID.txt       a line for every crop with a label: class, centre, size as shares
    images/SIDE/SCAN_ID.png       with --images
    boxes.csv                     which crop each line is: the form itself has no place for it

A scan without a label has no file: an empty one would mean that nothing is there.
"""

import csv

import yaml

from pipeline.export.job import Export
from pipeline.export.out_folder import write_text
from pipeline.export.rows import ExportRows, box_of, picture_name

SIDES = {"train": "train", "validation": "val", "test": "test"}  # of a patient, and its key here
COLUMNS = ("file", "line", "crop_id", "label")


def write(export: Export) -> dict[str, int]:
    """Write the files; return how many boxes they have."""
    rows = export.rows.first_frames
    listed = []
    for crops in rows.scans():
        labelled = [row for row in crops if row["label"] is not None]
        if not labelled:
            continue
        name = f"labels/{crops[0]['side']}/{crops[0]['scan_id']}.txt"
        write_text(export.out / name, "".join(_line(row, rows) for row in labelled))
        listed += [
            (name, place, row["crop_id"], row["label"])
            for place, row in enumerate(labelled, start=1)
        ]
    with (export.out / "boxes.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *listed])
    folders = {key: f"images/{side}" for side, key in SIDES.items()}
    for side in SIDES:  # which the trainer expects, also where no patient is on a side
        (export.out / "images" / side).mkdir(parents=True, exist_ok=True)
    described = {"path": ".", **folders, "names": dict(enumerate(rows.classes))}
    text = yaml.safe_dump(described, sort_keys=False, allow_unicode=True)
    write_text(export.out / "data.yaml", f"# For research, not for diagnosis.\n{text}")
    return {"labelled boxes": len(listed)}


def picture(row: dict) -> str:
    """Where the picture of a scan goes."""
    return f"images/{row['side']}/{picture_name(row['scan_id'])}"


def _line(row: dict, rows: ExportRows) -> str:
    x, y, w, h = box_of(row)
    width, height = row["scan_w"], row["scan_h"]
    shares = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
    # Eight digits: a pixel of a scan of any size that is taken comes back exactly.
    return " ".join([str(rows.number(row["label"])), *(f"{each:.8f}" for each in shares)]) + "\n"
