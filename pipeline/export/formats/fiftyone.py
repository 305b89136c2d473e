"""FiftyOne: a dataset directory of type `fiftyone.types.FiftyOneDataset`.

    metadata.json         name, media type and classes
    samples.json          a sample per scan: `ground_truth` and `predictions`, both Detections
    data/SCAN_ID.png      with --images

A prediction has its class, confidence, `p_abnormal` and `embedding`. The form is the one without a
`version`, which every release of FiftyOne reads, with the types of fields taken from the values.
"""

from collections.abc import Iterator

import numpy as np

from pipeline.export.embeddings import iter_embeddings
from pipeline.export.job import Export
from pipeline.export.out_folder import write_json, write_json_list
from pipeline.export.rows import ExportRows, box_of, picture_name, probability, records

FACTS = ("crop_id", "region_kind", "tooth", "tooth_guess")


def write(export: Export) -> dict[str, int]:
    """Write the files, scan by scan; return how many boxes they have."""
    rows = export.rows.first_frames
    classes = {"ground_truth": rows.classes, "predictions": rows.head_classes}
    info = {"description": "For research, not for diagnosis.", **export.rows.provenance}
    about = {"name": "dental", "media_type": "image", "info": info | {"classes": classes}}
    write_json(export.out / "metadata.json", about)
    counts = {"labelled boxes": 0, "predicted boxes": 0}
    samples = _samples(export, rows, counts)
    write_json_list(export.out / "samples.json", samples, '{"samples": [', "]}")
    return counts


def picture(row: dict) -> str:
    """Where the picture of a scan goes."""
    return f"data/{picture_name(row['scan_id'])}"


def _samples(export: Export, rows: ExportRows, counts: dict[str, int]) -> Iterator[dict]:
    for crops in _scans(export, rows):
        sample = _sample(crops, rows)
        counts["labelled boxes"] += len(sample["ground_truth"]["detections"])
        counts["predicted boxes"] += len(sample["predictions"]["detections"])
        yield sample


def _scans(export: Export, rows: ExportRows) -> Iterator[list[dict]]:
    """The crops of every scan with their embeddings, once all crops of the scan were read."""
    left = rows.crops["scan_id"].value_counts().to_dict()
    waiting: dict[str, list[dict]] = {}
    shown = set(rows.crops["crop_id"])
    for found, values in iter_embeddings(export):
        for row, embedding in zip(records(found), values, strict=True):
            if row["crop_id"] not in shown:
                continue
            scan_id = row["scan_id"]
            waiting.setdefault(scan_id, []).append(row | {"embedding": embedding})
            left[scan_id] -= 1
            if not left[scan_id]:
                yield waiting.pop(scan_id)


def _sample(crops: list[dict], rows: ExportRows) -> dict:
    scan = crops[0]
    labelled = [_detection(row, row["label"]) for row in crops if row["label"] is not None]
    predicted = [
        {
            **_detection(row, row["predicted"]),
            "confidence": probability(row, rows.head_classes),
            "p_abnormal": float(row["p_abnormal"]),
            "flagged": row["flagged"],
            "embedding": short_numbers(row["embedding"]),
        }
        for row in crops
        if row["predicted"] is not None
    ]
    size = {"_cls": "ImageMetadata", "width": scan["scan_w"], "height": scan["scan_h"]}
    return {
        "filepath": picture(scan),
        "tags": [scan["side"]],
        "metadata": size,
        **{name: scan[name] for name in ("scan_id", "batch", "patient_key")},
        "ground_truth": {"_cls": "Detections", "detections": labelled},
        "predictions": {"_cls": "Detections", "detections": predicted},
    }


def _detection(row: dict, label: str) -> dict:
    x, y, w, h = box_of(row)
    width, height = row["scan_w"], row["scan_h"]
    facts = {name: row[name] for name in FACTS if row[name] is not None}
    shares = [x / width, y / height, w / width, h / height]
    return {"_cls": "Detection", "label": label, "bounding_box": shares, "tags": [], **facts}


def short_numbers(values: np.ndarray) -> list[float]:
    """The values of a float16 array in five digits, from which float16 gives the same again."""
    return [float(f"{value:.5g}") for value in values.tolist()]
