"""Labels that come back from annotation tools: files of COCO, CVAT, Label Studio and the like.

The images are those of `dental export`, named by their scan_id; a box means the crop at its place.
Labels as they are in force decide nothing, so a file that is given back untouched changes nothing.
Neither do missing boxes and unedited suggestions of a model.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from pipeline.errors import ConfigError
from pipeline.ingest.labels.forms.content import Entry
from pipeline.ingest.labels.open_document import SUFFIXES, describe, open_document
from pipeline.ingest.labels.read_documents import FORMS, READ
from pipeline.ingest.labels.shapes import Bounds
from pipeline.ingest.walk_folder import Entry as File
from pipeline.labels import clean_label
from pipeline.learn.decisions import Decision
from pipeline.learn.review_table import Line, ReviewTable, find_problem, label_of
from pipeline.store import catalog
from pipeline.store.store import Store

# Tools put something before the name of an uploaded file.
SCAN_ID = re.compile(r"([0-9a-f]{32})(?:\.[A-Za-z]+)?$")
# Of intersection over union: tools round to pixels or to hundredths of a percent.
LEAST_OVERLAP = 0.8


def is_document(file: Path) -> bool:
    """Whether a file is of an annotation tool, by its name."""
    return os.fsencode(file.suffix.lower()) in SUFFIXES


def read_review_document(
    store: Store,
    file: Path,
    reviewer: str,
    allowed: set[str],
    class_names: Mapping[str, str],
) -> ReviewTable:
    """Read the labels that a reviewer gave in an annotation tool.

    Raises ConfigError when the file cannot be read or is of no form that is read.
    """
    found, crops = ReviewTable(), _Crops(store)
    for name, entry in _entries(file):
        written = entry.classes[0] if len(entry.classes) == 1 else ""
        if entry.is_suggestion or not entry.classes:
            found.blank += 1
            continue
        crop_id = crops.at(name, entry)
        label = label_of(written, class_names)
        if crop_id is None or entry.unusable or not written:
            found.problems.append(f"{entry.where}: {_problem(name, entry)}")
        elif crops.labels.get(crop_id) == clean_label(label):
            found.blank += 1
        else:
            made = Decision(crop_id, "label", clean_label(label) or label, reviewer)
            if problem := find_problem(made, label, crops.known, allowed):
                found.problems.append(f"{entry.where}: {problem}")
            else:
                found.lines.append(Line(entry.where, made))
    return found


def _entries(file: Path) -> Iterator[tuple[str, Entry]]:
    """Yield the name of the image and the content of every annotation."""
    problems: list[str] = []
    try:
        state = file.stat()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from None
    delivered = File(os.fsencode(file.name), state.st_size, state.st_mtime_ns, "file")
    document = open_document(
        file.absolute().parent, delivered, lambda _, where, what: problems.append(f"{where} {what}")
    )
    if document is None:
        raise ConfigError(f"{problems[0]}.")
    form = next((each for each in FORMS if each.matches(document)), None)
    if form is None:
        raise ConfigError(f"{file} is {describe(document)}; expected one of {READ}, or a table.")
    content = form.read(document)
    names = {image.key: image.name or file.stem for image in content.images}
    for entry in content.entries:
        yield names.get(entry.image, ""), entry


def _problem(name: str, entry: Entry) -> str:
    if entry.unusable:
        return entry.unusable
    if len(entry.classes) > 1:
        return f"has {len(entry.classes)} classes; a crop has one"
    if not SCAN_ID.search(name):
        return f"image `{name}` is not named by a scan_id, as `dental export` names it"
    return "is at no crop of its scan; draw missed findings in `dental review`"


class _Crops:
    """The crops of a store by scan and place, and their labels in force."""

    def __init__(self, store: Store):
        with catalog.open_store(store) as con:
            places = catalog.query(con, "crop_places")
            labels = con.table("labels_now").to_arrow_table().to_pylist()
        self.labels = {row["crop_id"]: row["label"] for row in labels}
        self.known = set(places["crop_id"])
        self._of_scan = dict(list(places.groupby("scan_id")))

    def at(self, name: str, entry: Entry) -> str | None:
        """The crop that an annotation of the image `name` is about; None if there is none."""
        named = SCAN_ID.search(name)
        crops = self._of_scan.get(named[1]) if named else None
        if crops is None:
            return None
        if entry.bounds is None:  # a label of the whole scan
            return crops["crop_id"].iloc[0] if len(crops) == 1 else None
        bounds = entry.bounds
        if entry.shares:
            bounds = bounds.scaled(crops["scan_w"].iloc[0], crops["scan_h"].iloc[0])
        overlaps = _overlaps(crops, bounds)
        return crops["crop_id"].iloc[overlaps.argmax()] if overlaps.max() >= LEAST_OVERLAP else None


def _overlaps(crops: pd.DataFrame, box: Bounds) -> pd.Series:
    """Intersection over union of every crop's region with a box."""
    x, y, w, h = (crops[f"region_{side}"].astype(float) for side in "xywh")
    across = ((x + w).clip(upper=box.x + box.w) - x.clip(lower=box.x)).clip(lower=0)
    down = ((y + h).clip(upper=box.y + box.h) - y.clip(lower=box.y)).clip(lower=0)
    shared = across * down
    return shared / (w * h + box.w * box.h - shared)
