"""The formats of `dental export` by name."""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.export.formats import (
    coco,
    crop_pictures,
    cvat,
    dicom_sr,
    fiftyone,
    hugging_face,
    label_studio,
    npz,
    office,
    voc,
    yolo,
)
from pipeline.export.job import Export
from pipeline.export.rows import picture_name


def _in_images(row: dict) -> str:
    return f"images/{picture_name(row['scan_id'])}"


@dataclass(frozen=True)
class Format:
    """One format: what it is, what writes it, and where the picture of a scan goes, if anywhere.

    `write` returns what it wrote, in counts by name.
    """

    meaning: str
    write: Callable[[Export], dict[str, int]]
    picture: Callable[[dict], str] | None = None
    names_people: bool = False  # it refers to delivered objects, so it needs --names


FORMATS = {
    "coco": Format("COCO: annotations.json, predictions.json", coco.write, _in_images),
    "yolo": Format("YOLO: labels by side, with data.yaml", yolo.write, yolo.picture),
    "voc": Format("Pascal VOC: an XML file a scan", voc.write, voc.picture),
    "labelstudio": Format("Label Studio: pre-annotated tasks", label_studio.write, _in_images),
    "cvat": Format("CVAT for images 1.1", cvat.write, _in_images),
    "fiftyone": Format("FiftyOne: a dataset directory", fiftyone.write, fiftyone.picture),
    "npz": Format("NumPy: embeddings and facts", npz.write),
    "hf": Format("Hugging Face datasets: crops in Parquet", hugging_face.write),
    "png": Format("crops as PNG files by side and class", crop_pictures.write),
    "csv": Format("work-list, scans and crops as CSV", office.write_csv),
    "xlsx": Format("the same tables as an Excel file", office.write_xlsx),
    "dicom-sr": Format("DICOM structured reports (TID 1500)", dicom_sr.write, None, True),
}
