"""A small delivery in every form of label file in JSON and XML, as the tools write them.

Written by the tools' libraries (Datumaro 1.13, globox 2.5, pycocotools 2.0) or after the tools'
documentation, and shortened. `expected` are the boxes of each scan, in the order of the file.
"""

import base64
import json
import zlib
from pathlib import Path
from typing import NamedTuple

CARIES = "caries"


class Expected(NamedTuple):
    """A box that a form gives."""

    label: str | None
    tooth: int | None
    place: tuple[float, float, float, float]


class Example(NamedTuple):
    """A delivery in one form."""

    form: str
    scans: tuple[str, ...]
    files: dict[str, str]  # texts by path
    expected: dict[str, list[Expected]]  # boxes by scan

    def write(self, folder: Path) -> None:
        for name, text in {**dict.fromkeys(self.scans, ""), **self.files}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def png_bitmap(width: int, height: int) -> str:
    """The bitmap of a Supervisely object: a compressed PNG, of which only the header is needed."""
    header = width.to_bytes(4) + height.to_bytes(4) + b"\x01\0\0\0\0"
    png = b"\x89PNG\r\n\x1a\n" + len(header).to_bytes(4) + b"IHDR" + header
    return base64.b64encode(zlib.compress(png)).decode()


# Datumaro's export of COCO instances: a box, a polygon with its box, and a mask.
COCO = Example(
    "coco",
    ("images/a.jpg", "images/sub/b.jpg"),
    {
        "annotations/instances_default.json": json.dumps(
            {
                "licenses": [{"name": "", "id": 0, "url": ""}],
                "info": {"contributor": "", "year": ""},
                "categories": [
                    {"id": 1, "name": "Caries", "supercategory": ""},
                    {"id": 2, "name": "Root Canal", "supercategory": ""},
                ],
                "images": [
                    {"id": 1, "width": 100, "height": 50, "file_name": "a.jpg"},
                    {"id": 2, "width": 100, "height": 50, "file_name": "sub/b.jpg"},
                ],
                "annotations": [
                    {
                        "id": 1,
                        "image_id": 1,
                        "category_id": 1,
                        "segmentation": [],
                        "bbox": [10.0, 5.0, 20.0, 15.0],
                        "iscrowd": 0,
                    },
                    {
                        "id": 2,
                        "image_id": 1,
                        "category_id": 2,
                        "segmentation": [[40.0, 10.0, 60.0, 10.0, 50.0, 30.0]],
                        "iscrowd": 0,
                    },
                    {
                        "id": 3,
                        "image_id": 2,
                        "category_id": 1,
                        "segmentation": {
                            "counts": [1510, *[10, 40] * 14, 10, 292, 3, 2485],
                            "size": [50, 100],
                        },
                        "iscrowd": 1,
                    },
                ],
            }
        )
    },
    {
        "images/a.jpg": [
            Expected(CARIES, None, (10, 5, 20, 15)),
            Expected("root_canal", None, (40, 10, 20, 20)),
        ],
        "images/sub/b.jpg": [Expected(CARIES, None, (30, 10, 21, 10))],
    },
)
# labelme 5: written on Windows, one file a scan in a folder beside the scans.
LABELME = Example(
    "labelme",
    ("images/a.png", "images/b.png"),
    {
        "ann/a.json": json.dumps(
            {
                "version": "5.5.0",
                "flags": {},
                "shapes": [
                    {
                        "label": "1-çürük-26",
                        "points": [[30.0, 20.0], [10.0, 5.0]],
                        "group_id": None,
                        "description": "",
                        "shape_type": "rectangle",
                        "flags": {},
                        "mask": None,
                    },
                    {
                        "label": "2-kanal-11",
                        "points": [[40.0, 10.0], [60.0, 10.0], [50.0, 30.0]],
                        "group_id": None,
                        "shape_type": "polygon",
                        "flags": {},
                    },
                    {
                        "label": "1-çürük-48",
                        "points": [[50.0, 25.0], [53.0, 29.0]],
                        "shape_type": "circle",
                        "flags": {},
                    },
                ],
                "imagePath": "..\\images\\a.png",
                "imageData": "iVBORw0KGgo=",
                "imageHeight": 50,
                "imageWidth": 100,
            }
        ),
        "ann/b.json": json.dumps(
            {
                "version": "4.2.9",
                "flags": {"caries": True},
                "shapes": [],
                "imagePath": "..\\images\\b.png",
                "imageData": None,
            }
        ),
    },
    {
        "images/a.png": [
            Expected("curuk", 26, (10, 5, 20, 15)),
            Expected("kanal", 11, (40, 10, 20, 20)),
            Expected("curuk", 48, (45, 20, 10, 10)),
        ],
        "images/b.png": [],
    },
)


def _task(number: int, name: str, *results: dict, **more) -> dict:
    annotation = {"id": number, "completed_by": 1, "was_cancelled": False, "ground_truth": False}
    return {
        "id": number,
        "annotations": [{**annotation, "result": list(results)}, *more.get("others", ())],
        "file_upload": name,
        "drafts": [],
        "predictions": [],
        "data": {"image": f"/data/upload/7/{name}"},
        "meta": {},
    }


def _result(kind: str, labels: list[str], **place) -> dict:
    return {
        "original_width": 200,
        "original_height": 100,
        "image_rotation": 0,
        "value": {**place, kind: labels},
        "id": f"r{sorted(place.items())}",
        "from_name": "label",
        "to_name": "image",
        "type": kind,
        "origin": "manual",
    }


_RECTANGLE = _result("rectanglelabels", ["Caries"], x=10, y=5, width=20, height=15, rotation=0)
_TURNED = _result("rectanglelabels", ["Caries"], x=50, y=50, width=20, height=20, rotation=90)
_POLYGON = _result("polygonlabels", ["Root Canal"], points=[[40, 10], [60, 10], [50, 30]])
_ELLIPSE = _result("ellipselabels", ["Caries"], x=50, y=50, radiusX=5, radiusY=10, rotation=0)
_SKIPPED = {"id": 9, "was_cancelled": True, "result": [_ELLIPSE]}
LABEL_STUDIO = Example(
    "label_studio",
    ("a.png", "b.png"),
    {
        "project-7-at-2026.json": json.dumps(
            [
                _task(1, "1f2e3d4c-a.png", _RECTANGLE, _POLYGON, others=[_SKIPPED]),
                _task(2, "5a6b7c8d-b.png", _TURNED, _ELLIPSE),
            ]
        )
    },
    {
        "a.png": [
            Expected(CARIES, None, (0.1, 0.05, 0.2, 0.15)),
            Expected("root_canal", None, (0.4, 0.1, 0.2, 0.2)),
        ],
        # 40 × 20 pixels, turned by a quarter about (100, 50), lie to the left of it.
        "b.png": [
            Expected(CARIES, None, (0.4, 0.5, 0.1, 0.4)),
            Expected(CARIES, None, (0.45, 0.4, 0.1, 0.2)),
        ],
    },
)
LABEL_STUDIO_MIN = Example(
    "label_studio",
    ("a.png", "b.png"),
    {
        "project-7-min.json": json.dumps(
            [
                {
                    "image": "/data/upload/7/1f2e3d4c-a.png",
                    "id": 1,
                    "label": [
                        _RECTANGLE["value"] | {"original_width": 200, "original_height": 100},
                        _POLYGON["value"] | {"original_width": 200, "original_height": 100},
                    ],
                    "annotator": 1,
                    "annotation_id": 1,
                    "created_at": "2026-01-01T00:00:00.000000Z",
                    "updated_at": "2026-01-01T00:00:00.000000Z",
                    "lead_time": 4.5,
                },
                {
                    "image": "/data/upload/7/5a6b7c8d-b.png",
                    "id": 2,
                    "choice": "Caries",
                    "annotator": 1,
                    "annotation_id": 2,
                    "created_at": "2026-01-01T00:00:00.000000Z",
                    "updated_at": "2026-01-01T00:00:00.000000Z",
                    "lead_time": 4.5,
                },
            ]
        )
    },
    {"a.png": LABEL_STUDIO.expected["a.png"], "b.png": []},
)


def _region(shape: dict, **attributes) -> dict:
    return {"shape_attributes": shape, "region_attributes": attributes}


_VIA_IMAGES = {
    "a.png10": {
        "filename": "a.png",
        "size": 10,
        "regions": [
            _region(
                {"name": "rect", "x": 10, "y": 5, "width": 20, "height": 15},
                label="Caries",
                tooth="26",
            ),
            _region(
                {"name": "polygon", "all_points_x": [40, 60, 50], "all_points_y": [10, 10, 30]},
                label="Root Canal",
                tooth="",
            ),
        ],
        "file_attributes": {"caption": "", "public_domain": "no", "image_url": ""},
    },
    "b.png11": {
        "filename": "b.png",
        "size": 11,
        "regions": [
            _region({"name": "circle", "cx": 50, "cy": 25, "r": 5}, label={"Caries": True}),
            _region(
                {"name": "ellipse", "cx": 50, "cy": 25, "rx": 10, "ry": 5, "theta": 0},
                label="Caries",
            ),
        ],
        "file_attributes": {},
    },
}
_VIA_BOXES = {
    "a.png": [
        Expected(CARIES, 26, (10, 5, 20, 15)),
        Expected("root_canal", None, (40, 10, 20, 20)),
    ],
    "b.png": [
        Expected(CARIES, None, (45, 20, 10, 10)),
        Expected(CARIES, None, (40, 20, 20, 10)),
    ],
}
VIA = Example(
    "via",
    ("a.png", "b.png"),
    {
        "via_project.json": json.dumps(
            {
                "_via_settings": {"ui": {}, "core": {}, "project": {"name": "teeth"}},
                "_via_img_metadata": _VIA_IMAGES,
                "_via_attributes": {"region": {"label": {"type": "text"}}, "file": {}},
                "_via_data_format_version": "2.0.10",
                "_via_image_id_list": list(_VIA_IMAGES),
            }
        )
    },
    _VIA_BOXES,
)
# As exported by version 1, where regions are an object.
VIA_EXPORT = Example(
    "via",
    ("a.png", "b.png"),
    {
        "via_region_data.json": json.dumps(
            {
                key: each | {"regions": {str(n): r for n, r in enumerate(each["regions"])}}
                for key, each in _VIA_IMAGES.items()
            }
        )
    },
    _VIA_BOXES,
)


def _sly_object(kind: str, title: str, **more) -> dict:
    return {
        "id": 497521359,
        "classId": 1661571,
        "description": "",
        "geometryType": kind,
        "labelerLogin": "alex",
        "createdAt": "2026-08-07T11:09:51.054Z",
        "tags": [],
        "classTitle": title,
    } | more


SUPERVISELY = Example(
    "supervisely",
    ("ds0/img/a.png", "ds0/img/b.png"),
    {
        "meta.json": json.dumps(
            {
                "classes": [{"title": "Caries", "shape": "bitmap", "color": "#F00", "id": 1}],
                "tags": [{"name": "tooth", "value_type": "any_string", "color": "#0F0"}],
                "projectType": "images",
            }
        ),
        "ds0/ann/a.png.json": json.dumps(
            {
                "description": "",
                "tags": [],
                "size": {"height": 50, "width": 100},
                "objects": [
                    _sly_object(
                        "rectangle",
                        "Caries",
                        points={"exterior": [[10, 5], [30, 20]], "interior": []},
                        tags=[{"name": "tooth", "value": "26", "labelerLogin": "alex"}],
                    ),
                    _sly_object(
                        "polygon",
                        "Root Canal",
                        points={"exterior": [[40, 10], [60, 10], [50, 30]], "interior": []},
                    ),
                    _sly_object(
                        "bitmap",
                        "Caries",
                        bitmap={"data": png_bitmap(21, 10), "origin": [30, 10]},
                    ),
                ],
            }
        ),
        "ds0/ann/b.png.json": json.dumps(
            {
                "description": "",
                "tags": [{"name": "caries", "value": None}],
                "size": {"height": 50, "width": 100},
                "objects": [],
            }
        ),
    },
    {
        "ds0/img/a.png": [
            Expected(CARIES, 26, (10, 5, 20, 15)),
            Expected("root_canal", None, (40, 10, 20, 20)),
            Expected(CARIES, None, (30, 10, 21, 10)),
        ],
        "ds0/img/b.png": [],
    },
)
# labelImg, as written on Windows: the XML is called after another scan than `filename`.
VOC = Example(
    "voc",
    ("JPEGImages/a.jpg", "JPEGImages/b.jpg"),
    {
        "Annotations/0001.xml": """<annotation verified="yes">
	<folder>scans</folder>
	<filename>a.jpg</filename>
	<path>C:\\Users\\ann\\scans\\a.jpg</path>
	<source><database>Unknown</database></source>
	<size><width>100</width><height>50</height><depth>1</depth></size>
	<segmented>0</segmented>
	<object>
		<name>Caries</name>
		<pose>Unspecified</pose>
		<truncated>0</truncated>
		<difficult>0</difficult>
		<bndbox><xmin>10</xmin><ymin>5</ymin><xmax>30</xmax><ymax>20</ymax></bndbox>
	</object>
	<object>
		<name>Root Canal</name>
		<bndbox><xmin>40.0</xmin><ymin>10.0</ymin><xmax>60.0</xmax><ymax>30.0</ymax></bndbox>
		<attributes><attribute><name>tooth</name><value>36</value></attribute></attributes>
	</object>
</annotation>
""",
        "Annotations/b.xml": """<annotation><filename>b</filename><object><name>Caries</name>
<robndbox><cx>50</cx><cy>25</cy><w>20</w><h>10</h><angle>1.5707963267948966</angle></robndbox>
</object></annotation>
""",
    },
    {
        "JPEGImages/a.jpg": [
            Expected(CARIES, None, (10, 5, 20, 15)),
            Expected("root_canal", 36, (40, 10, 20, 20)),
        ],
        "JPEGImages/b.jpg": [Expected(CARIES, None, (45, 15, 10, 20))],
    },
)
CVAT = Example(
    "cvat",
    ("images/a.jpg", "images/sub/b.jpg"),
    {
        "annotations.xml": """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><id>1</id><name>teeth</name><size>2</size><mode>annotation</mode><labels>
    <label><name>Caries</name><attributes></attributes></label>
    <label><name>Root Canal</name><attributes></attributes></label>
  </labels></task></meta>
  <image id="0" name="a.jpg" width="100" height="50">
    <box label="Caries" occluded="0" xtl="10.00" ytl="5.00" xbr="30.00" ybr="20.00">
      <attribute name="tooth">26</attribute>
    </box>
    <polygon label="Root Canal" occluded="0" points="40.00,10.00;60.00,10.00;50.00,30.00">
    </polygon>
    <box label="Caries" xtl="40.00" ytl="20.00" xbr="60.00" ybr="30.00" rotation="90.00">
    </box>
  </image>
  <image id="1" name="sub/b.jpg" width="100" height="50">
    <ellipse label="Caries" cx="50.00" cy="25.00" rx="10.00" ry="5.00"></ellipse>
    <mask label="Caries" occluded="0" rle="3, 2, 3, 2, 2" left="30" top="10" width="4" height="3">
    </mask>
    <tag label="Caries"></tag>
  </image>
</annotations>
""",
    },
    {
        "images/a.jpg": [
            Expected(CARIES, 26, (10, 5, 20, 15)),
            Expected("root_canal", None, (40, 10, 20, 20)),
            Expected(CARIES, None, (45, 15, 10, 20)),
        ],
        "images/sub/b.jpg": [
            Expected(CARIES, None, (40, 20, 20, 10)),
            Expected(CARIES, None, (30, 10, 4, 3)),
        ],
    },
)
EXAMPLES = (
    COCO,
    LABELME,
    LABEL_STUDIO,
    LABEL_STUDIO_MIN,
    VIA,
    VIA_EXPORT,
    SUPERVISELY,
    VOC,
    CVAT,
)
