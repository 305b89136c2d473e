"""Hugging Face: a Parquet file of crops for every side, which `datasets.load_dataset` opens.

    data/SIDE-00000-of-00001.parquet    a row per crop: its picture, label, prediction and place
    README.md                           the dataset card, with the files of each split

The label is a ClassLabel, null for a crop without one. The schema of each file describes its
columns in the way of the library, under the key `huggingface`.
"""

import io
import json
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

from pipeline.export.embeddings import iter_pixels
from pipeline.export.job import Export
from pipeline.export.out_folder import write_text
from pipeline.store.features import class_column

FACTS = {  # columns after the picture and the labels, and their types
    **dict.fromkeys(("crop_id", "scan_id", "patient_key", "batch", "region_kind"), "string"),
    **dict.fromkeys(("tooth", "tooth_guess"), "int8"),
    **dict.fromkeys(("region_x", "region_y", "region_w", "region_h"), "int32"),
    **dict.fromkeys(("scan_w", "scan_h"), "int32"),
    **dict.fromkeys(("label_delivered", "predicted"), "string"),
    "p_abnormal": "float32",
    **dict.fromkeys(("flagged", "seen"), "bool"),
}
TYPES = {"string": pa.string(), "int8": pa.int8(), "int32": pa.int32()}
TYPES |= {"float32": pa.float32(), "bool": pa.bool_()}
GROUP = 500  # rows held in memory, and of a row group
PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write(export: Export) -> dict[str, int]:
    """Write the files; return how many crops they have, and how many are not stored any more."""
    schema, counts = _schema(export), dict[str, int]()
    files: dict[str, pq.ParquetWriter] = {}
    (export.out / "data").mkdir()
    try:
        for side, rows in _groups(export):
            if side not in files:
                files[side] = pq.ParquetWriter(export.out / _name(side), schema)
            files[side].write_table(pa.Table.from_pylist(rows, schema))
            counts[side] = counts.get(side, 0) + len(rows)
    finally:
        for file in files.values():
            file.close()
    write_text(export.out / "README.md", _card(sorted(files)))
    missing = len(export.rows.crops) - sum(counts.values())
    return counts | ({"crops that were deleted": missing} if missing else {})


def _name(side: str) -> str:
    return f"data/{side}-00000-of-00001.parquet"


def _groups(export: Export) -> Iterator[tuple[str, list[dict]]]:
    """Rows by side, up to `GROUP` at a time."""
    waiting: dict[str, list[dict]] = {}
    for row, pixels in iter_pixels(export):
        rows = waiting.setdefault(row["side"], [])
        rows.append(_row(export, row, pixels))
        if len(rows) == GROUP:
            yield row["side"], waiting.pop(row["side"])
    yield from waiting.items()


def _row(export: Export, row: dict, pixels) -> dict:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    name = f"{row['crop_id'].replace(':', '-')}.png"
    label = None if row["label"] is None else export.rows.number(row["label"])
    found = {"image": {"bytes": data.getvalue(), "path": name}, "label": label}
    if row["probabilities"] is not None:
        names = map(class_column, export.rows.head_classes)
        found |= dict(zip(names, row["probabilities"], strict=True))
    return found | {name: row[name] for name in FACTS}


def _schema(export: Export) -> pa.Schema:
    rows = export.rows
    chances = dict.fromkeys(map(class_column, rows.head_classes), "float32")
    columns = {**FACTS, **chances}
    features = {
        "image": {"_type": "Image"},
        "label": {"names": rows.classes, "_type": "ClassLabel"},
        **{name: {"dtype": kind, "_type": "Value"} for name, kind in columns.items()},
    }
    fields = [("image", PICTURE), ("label", pa.int64())]
    fields += [(name, TYPES[kind]) for name, kind in columns.items()]
    about = json.dumps({"info": {"features": features}})
    return pa.schema(fields, metadata={"huggingface": about})


def _card(sides: list[str]) -> str:
    files = [{"split": side, "path": _name(side)} for side in sides]
    facts = {
        "configs": [{"config_name": "default", "data_files": files}],
        "task_categories": ["image-classification"],
        "tags": ["medical", "dental", "x-ray"],
    }
    return (
        f"---\n{yaml.safe_dump(facts, sort_keys=False)}---\n\n# Crops of dental X-rays\n\n"
        "For research, not for diagnosis. Pseudonymised health data: crops may identify people, so "
        "keep them as you keep the scans. No patient is in two splits.\n"
    )
