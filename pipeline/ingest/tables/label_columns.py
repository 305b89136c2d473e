"""What the columns of a delivered table are, by their headings.

The first name of each meaning is the one in the documentation; others are as people, programs and
public data sets write them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.ingest.tables.headings import find_columns, heading_key, places_of

NAMES = (
    *("file", "image_id", "filename", "file_path", "image_file", "image_filename", "img_file"),
    *("image_file_name", "image_path", "path", "img_path", "image_name", "img_name", "scan_name"),
    *("picture_name", "fname", "image", "img", "scan", "picture", "radiograph", "xray", "x_ray"),
    *("image_index", "img_id", "scan_id", "datei", "dateiname", "bild", "bilddatei", "fichier"),
    *("archivo", "dosya", "dosya_adı", "görüntü", "파일", "파일명", "파일이름", "이미지", "영상"),
)
# They name scans only if most of them are names of scans.
PERHAPS_NAMES = ("id", "name", "uid", "key")
MEANINGS = {
    "label": (
        *(
            "label",
            "class",
            "finding",
            "diagnosis",
            "category",
            "labels",
            "class_name",
            "label_name",
        ),
        *("category_name", "findings", "finding_label", "finding_labels", "diagnoses", "disease"),
        *("pathology", "condition", "befund", "diagnose", "klasse", "diagnostic", "diagnóstico"),
        *("sınıf", "tanı", "진단", "진단명", "소견", "라벨"),
    ),
    "patient": (
        *("patient", "patient_id", "subject", "subject_id", "patient_no", "patient_number"),
        *("patient_code", "patient_key", "subject_no", "subject_number", "subject_code", "group"),
        *("patientennummer", "patienten_id", "hasta", "환자", "환자번호", "환자id"),
    ),
    "tooth": (
        *("tooth", "fdi", "tooth_number", "tooth_no", "tooth_id", "tooth_fdi", "fdi_number"),
        *("fdi_tooth", "zahn", "zahnnummer", "dent", "diente", "diş", "치아", "치아번호"),
    ),
    "bits": ("bits", "bits_stored", "bit_depth"),
}
GROUP = ("group",)  # names a patient where the cell of `patient` is empty

# Headings of right and bottom by those of left and top, and of width and height.
ENDS = {
    ("xmin", "ymin"): ("xmax", "ymax"),
    ("left", "top"): ("right", "bottom"),
    ("x1", "y1"): ("x2", "y2"),
    ("x0", "y0"): ("x1", "y1"),
    ("xtl", "ytl"): ("xbr", "ybr"),
    ("minx", "miny"): ("maxx", "maxy"),
    ("xleft", "ytop"): ("xright", "ybottom"),
    ("xstart", "ystart"): ("xend", "yend"),
}
STARTS = (("x", "y"), *ENDS)
SIZES = (("w", "h"), ("width", "height"))
# Width and height alone are those of the image.
COORDINATES = {name for pair in (*STARTS, *ENDS.values(), SIZES[0]) for name in pair}
BOX_WORDS = re.compile("^(boundingbox|boundbox|bndbox|bbox|box|bb|roi)|(px|pixels?)$")
# Headings of boxes in other forms, and parts of headings of labels and patients.
OTHER_BOX = {
    *("bbox", "bboxes", "box", "boxes", "boundingbox", "boundingboxes", "bndbox", "coordinates"),
    *("coords", "polygon", "polygons", "points", "segmentation", "shape", "roi", "xcenter"),
    *("ycenter", "xcentre", "ycentre", "cx", "cy", "xc", "yc", "centerx", "centery"),
}
LIKE_LABEL = re.compile("label|class|finding|diagnos|categor|disease|pathology|lesion|befund|진단")
LIKE_PATIENT = re.compile("patient|subject|mrn|pid|chartno|환자")
# About a patient, but not who it is.
FACTS = re.compile(".*(age|sex|gender|birth.*|dob|position|alter|geschlecht|height|weight)")
INDEX = re.compile("(unnamed(level)?[0-9]*)*")  # as pandas writes and names it


class BoxColumns(NamedTuple):
    """The places of the four columns of a box."""

    places: tuple[int, ...]
    has_corners: bool  # right and bottom instead of width and height


@dataclass
class LabelColumns:
    """The columns of one table that are read, and those that are not, by their places."""

    headings: list[str]
    names: list[int]  # columns that may name the scans, the likeliest first
    perhaps_names: list[int]  # the same if there are no `names`
    label: int | None
    patients: list[int]  # the first that is filled counts
    tooth: int | None
    bits: int | None
    box: BoxColumns | None
    part_of_box: list[int] = field(default_factory=list)  # of a box that lacks other columns
    unread: dict[int, str] = field(default_factory=dict)  # look like one to read; why they are not
    unknown: list[int] = field(default_factory=list)  # the others, without an index

    @property
    def places(self) -> set[int | None]:
        """The places of all columns that are read."""
        single = {self.label, self.tooth, self.bits}
        box = self.box.places if self.box else ()
        return {*single, *self.names, *self.patients, *box, *self.part_of_box}


def has_name_column(cells: Sequence[str]) -> bool:
    """Whether these cells are the header of a table about scans."""
    keys = set(map(heading_key, cells))
    return any(heading_key(name) in keys for name in NAMES)


def label_columns(headings: Sequence[str]) -> LabelColumns:
    """The columns of a table with these headings."""
    found = find_columns(headings, MEANINGS)
    places = found.places
    patients = [places["patient"]] if "patient" in places else []
    columns = LabelColumns(
        [*headings],
        places_of(headings, NAMES),
        places_of(headings, PERHAPS_NAMES),
        places.get("label"),
        [*dict.fromkeys([*patients, *places_of(headings, GROUP)[:1]])],
        places.get("tooth"),
        places.get("bits"),
        _box(headings),
    )
    used = {*places.values(), *columns.names, *columns.patients}
    used.update(columns.box.places if columns.box else ())
    for place, meaning in found.doubled.items():
        if place not in used:
            columns.unread[place] = f"`{headings[places[meaning]]}` is read as the {meaning}"
    for place in range(len(headings)):
        if place not in used and place not in columns.unread:
            _sort_in(place, columns)
    return columns


def _sort_in(place: int, columns: LabelColumns) -> None:
    """Sort in a column that is not read."""
    key = heading_key(columns.headings[place])
    bare = BOX_WORDS.sub("", key)
    if INDEX.fullmatch(key):
        return
    if columns.box is None and bare in COORDINATES:
        columns.part_of_box.append(place)
    elif bare in COORDINATES or bare in OTHER_BOX or key in OTHER_BOX:
        columns.unread[place] = "it looks like a box"
    elif LIKE_LABEL.search(key):
        columns.unread[place] = "it looks like a label"
    elif LIKE_PATIENT.search(key) and not FACTS.fullmatch(key):
        columns.unread[place] = "it looks like a patient"
    else:
        columns.unknown.append(place)


def _box(headings: Sequence[str]) -> BoxColumns | None:
    """The columns of boxes: those with right and bottom before those with width and height."""
    keys = [heading_key(heading) for heading in headings]
    bare = [BOX_WORDS.sub("", key) for key in keys]

    def find(*names: str) -> tuple[int, ...]:
        for known in (keys, bare):  # `x` before `bbox_x`
            if all(name in known for name in names):
                return tuple(len(known) - 1 - known[::-1].index(name) for name in names)
        return ()

    if found := find("x", "y", "w", "h"):
        return BoxColumns(found, has_corners=False)
    for start, end in ENDS.items():
        if found := find(*start, *end):
            return BoxColumns(found, has_corners=True)
    sizes = (find(*start, *size) for start in STARTS for size in SIZES)
    return next((BoxColumns(found, has_corners=False) for found in sizes if found), None)
