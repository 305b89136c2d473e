"""A small delivery in every form of YOLO files, after the documentation of their tools.

`expected` are label, tooth and place of the boxes of `a`, as fractions of the image or in pixels.
"""

from typing import NamedTuple

NAMES = "Caries\nImpacted\n"
BOX = ("caries", None, (0.4, 0.3, 0.2, 0.4))
PIXELS = ("caries", None, (10.0, 20.0, 30.0, 40.0))


class YoloForm(NamedTuple):
    """One form: texts by path, and the boxes of the scan `a` that they give."""

    name: str
    files: dict[str, str]
    expected: list[tuple]
    scan: str = "images/a.png"


# Around the point (0.5, 0.5), each of a form of its own.
POLYGON = "0.4 0.3 0.6 0.35 0.6 0.7 0.45 0.6"
POINTS = "0.45 0.4 2 0.5 0.5 1 0 0 0"
YOLO_FORMS = [
    YoloForm(
        "boxes of LabelImg, with classes.txt beside them",
        {"a.txt": "0 0.5 0.5 0.2 0.4\n", "classes.txt": NAMES},
        [BOX],
        "a.png",
    ),
    YoloForm(
        "classes written as decimals by pandas",
        {
            "labels/a.txt": "0.0 0.5 0.5 0.2 0.4\n1.0 0.5 0.5 0.2 0.4",
            "data.yaml": "names: [caries, x]",
        },
        [BOX, ("x", *BOX[1:])],
    ),
    YoloForm(
        "predictions of Ultralytics with confidences",
        {"labels/a.txt": "0 0.5 0.5 0.2 0.4 0.87\n", "any name.yaml": "names:\n  0: caries\n"},
        [BOX],
    ),
    YoloForm(
        "segmentation of Ultralytics, and with confidences",
        {"labels/a.txt": f"0 {POLYGON}\n0 {POLYGON} 0.9\n", "data.yaml": "names: {'0': caries}"},
        [BOX, BOX],
    ),
    YoloForm(
        "oriented boxes of Ultralytics",
        {"labels/a.txt": "0 0.4 0.5 0.5 0.3 0.6 0.5 0.5 0.7\n", "data.yaml": "names: [caries]"},
        [BOX],
    ),
    YoloForm(
        "poses with visibility, their shape in data.yaml",
        {
            "labels/a.txt": f"0 0.5 0.5 0.2 0.4 {POINTS}\n",
            "data.yaml": "kpt_shape: [3, 3]\nnames: [caries]",
        },
        [BOX],
    ),
    YoloForm(
        "poses with visibility, their shape not stated",
        {"labels/a.txt": f"0 0.5 0.5 0.2 0.4 {POINTS}\n", "classes.txt": NAMES},
        [BOX],
    ),
    YoloForm(
        "poses without visibility, and predicted ones",
        {
            "labels/a.txt": "0 .5 .5 .2 .4 .1 .1 .2 .2\n0 .5 .5 .2 .4 .1 .1 .2 .2 .8\n",
            "data.yaml": "kpt_shape: [2, 2]\nnames: [caries]",
        },
        [BOX, BOX],
    ),
    YoloForm(
        "oriented boxes of DOTA in pixels, with difficulties",
        {
            "labelTxt/a.txt": "imagesource:GoogleEarth\ngsd:0.146343\n"
            "10.0 20.0 40.0 20.0 40.0 60.0 10.0 60.0 caries 0\n"
            "10 40 25 20 40 40 25 60 Deep Caries 1\n10 20 40 20 40 60 10 60 caries\n",
        },
        [PIXELS, ("deep_caries", *PIXELS[1:]), PIXELS],
    ),
    YoloForm(
        "darknet of Roboflow, names in `_darknet.labels`",
        {"train/a.txt": "0 0.5 0.5 0.2 0.4\n", "train/_darknet.labels": NAMES},
        [BOX],
        "train/a.jpg",
    ),
    YoloForm(
        "YOLO 1.1 of CVAT, names in `obj.names`",
        {
            "obj_train_data/a.txt": "0 0.5 0.5 0.2 0.4\n",
            "obj.names": NAMES,
            "obj.data": "classes = 2\nnames = data/obj.names\n",
            "train.txt": "data/obj_train_data/a.png\n",
        },
        [BOX],
        "obj_train_data/a.png",
    ),
    YoloForm(
        "split above",
        {"labels/train/a.txt": "0 0.5 0.5 0.2 0.4\n", "dental.yaml": "names: [caries]"},
        [BOX],
        "images/train/a.png",
    ),
    YoloForm(
        "split below",
        {"train/labels/a.txt": "0 0.5 0.5 0.2 0.4\n", "data.yml": "names: [caries]"},
        [BOX],
        "train/images/a.png",
    ),
    YoloForm(
        "classes by name, which no file declares",
        {"labels/a.txt": "caries 0.5 0.5 0.2 0.4\nDeep Caries 0.5 0.5 0.2 0.4\n"},
        [BOX, ("deep_caries", *BOX[1:])],
    ),
    YoloForm(
        "commas, as separators and in decimals",
        {
            "labels/a.txt": "0,0.5,0.5,0.2,0.4\n0 0,5 0,5 0,2 0,4\n0, .5, .5, .2, .4\n",
            "classes.txt": NAMES,
        },
        [BOX, BOX, BOX],
    ),
    YoloForm(
        "teeth as classes",
        {"labels/a.txt": "1 0.5 0.5 0.2 0.4\n", "data.yaml": "names: ['11', '36']"},
        [(None, 36, BOX[2])],
    ),
]
