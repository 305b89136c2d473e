"""Label files in JSON and XML: every form as its tool writes it, variants of it, and damage."""

import json

import pytest

from pipeline.ingest.labels.class_names import LabelSettings
from tests.builders.label_forms import (
    EXAMPLES,
    LABEL_STUDIO,
    LABELME,
    SUPERVISELY,
    VIA,
    VOC,
    Expected,
)
from tests.fuzz_documents import fuzz, places_of


def boxes_of(annotations, scan):
    about = annotations.by_path.get(scan.encode())
    return [
        Expected(box.label, box.tooth, tuple(round(v, 6) for v in (box.x, box.y, box.w, box.h)))
        for box in (about.boxes if about else [])
    ]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: next(iter(example.files)))
def test_every_form_gives_its_boxes_with_classes_and_teeth(folder, example):
    example.write(folder.root)
    annotations = folder.read()
    assert annotations.problems == annotations.notices == []
    assert {scan: boxes_of(annotations, scan) for scan in example.scans} == example.expected
    [file] = annotations.files
    assert file.form == example.form
    assert file.entries == file.matched > 0
    assert sum(file.classes.values()) >= 3


@pytest.mark.parametrize(
    ("example", "scan"),
    [
        (LABELME, "images/b.png"),
        (SUPERVISELY, "ds0/img/b.png"),
        *((each, each.scans[-1]) for each in EXAMPLES if each.form == "cvat"),
        *((each, "b.png") for each in EXAMPLES if "min" in next(iter(each.files))),
    ],
)
def test_a_class_without_a_box_labels_the_whole_scan(folder, example, scan):
    example.write(folder.root)
    assert folder.read().by_path[scan.encode()].label == "caries"


def test_files_about_one_scan_are_counted_by_folder(folder):
    VOC.write(folder.root)
    [file] = folder.read().files
    assert (file.path, file.files, file.entries) == (b"Annotations", 2, 5)
    assert file.classes == {"caries": 2, "root_canal": 1}


def test_teeth_are_recognised_in_all_files_of_a_folder(folder):
    # 11 to 14 alone would be FDI numbers.
    for tooth in (1, 11, 12, 13, 14, 30):
        text = f"<annotation><object><name>{tooth}</name>{BOX}</object></annotation>"
        folder.write({f"{tooth}.png": "", f"{tooth}.xml": text})
    teeth = {about.boxes[0].tooth for about in folder.read().by_path.values()}
    assert teeth == {None}
    settings = LabelSettings(numbering="universal")
    teeth = {about.boxes[0].tooth for about in folder.read(settings).by_path.values()}
    assert teeth == {18, 23, 24, 25, 26, 46}


BOX = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>4</xmax><ymax>6</ymax></bndbox>"
OBJECT = f"<object><name>Caries</name>{BOX}</object>"
WHOLE = (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("path", "head", "scan"),
    [
        ("ann/0001.xml", "<filename>a.png</filename>", "images/a.png"),
        ("ann/0001.xml", "<filename>a</filename>", "images/a.png"),
        ("ann/0001.xml", "<filename>a.jpg</filename>", "images/a.png"),
        ("ann/0001.xml", "<filename>C:\\x\\a.png</filename>", "images/a.png"),
        ("ann/0001.xml", "<path>C:\\scans\\images\\a.png</path>", "images/a.png"),
        ("ann/a.xml", "<filename>000123.jpg</filename>", "images/a.png"),
        ("ann/a.xml", "", "images/a.png"),
        ("ann/train/a.xml", "<filename>a.png</filename>", "images/train/a.png"),
        ("train/ann/a.xml", "<filename>a.png</filename>", "train/images/a.png"),
    ],
)
def test_the_scan_of_a_voc_file_is_that_of_its_filename_else_of_its_own_name(
    folder, path, head, scan
):
    other = scan.replace("train", "test") if "train" in scan else "images/b.png"
    folder.write({scan: "", other: "", path: f"<annotation>{head}{OBJECT}</annotation>"})
    annotations = folder.read()
    assert annotations.problems == []
    assert boxes_of(annotations, scan) == [Expected("caries", None, WHOLE)]
    assert boxes_of(annotations, other) == []


@pytest.mark.parametrize(
    ("encoding", "stated"),
    [
        *(("utf-8", ""), ("utf-8-sig", ""), ("utf-8", "utf-8"), ("latin-1", "ISO-8859-1")),
        *(("utf-16", "utf-16"), ("cp1254", "windows-1254"), ("gbk", "GBK")),
    ],
)
def test_xml_is_read_in_the_encoding_that_it_states(folder, encoding, stated):
    head = f'<?xml version="1.0" encoding="{stated}"?>' if stated else ""
    name = "龋齿" if encoding == "gbk" else "çürük"
    text = f"{head}<annotation>{OBJECT.replace('Caries', name)}</annotation>"
    folder.write({"a.png": "", "a.xml": text.encode(encoding)})
    annotations = folder.read(LabelSettings(class_names={"龋齿": "caries", "çürük": "caries"}))
    assert annotations.problems == []
    assert boxes_of(annotations, "a.png") == [Expected("caries", None, WHOLE)]


def test_xml_and_json_in_an_unstated_encoding_are_reported(folder):
    text = f"<annotation>{OBJECT.replace('Caries', 'çürük')}</annotation>"
    folder.write({"a.png": "", "a.xml": text.encode("cp1252"), "b.json": '"ç"'.encode("cp1252")})
    problems = folder.read().problems
    assert {problem.kind for problem in problems} == {"unreadable"}
    assert all("save it as UTF-8" in problem.what for problem in problems)


def test_a_filename_that_contradicts_the_scan_beside_the_file_is_ambiguous(folder):
    text = f"<annotation><filename>a.png</filename>{OBJECT}</annotation>"
    folder.write({"a.png": "", "a_flip.png": "", "a_flip.xml": text})
    annotations = folder.read()
    assert [(p.kind, p.where) for p in annotations.problems] == [("ambiguous", "a_flip.xml")]
    assert annotations.by_path == {}


def test_two_files_of_one_form_for_one_scan_elsewhere_are_ambiguous(folder):
    text = f"<annotation>{OBJECT}</annotation>"
    folder.write({"a.png": "", "ann/a.xml": text, "bob/a.xml": text})
    annotations = folder.read()
    assert [problem.kind for problem in annotations.problems] == ["ambiguous"] * 2
    folder.write({"a.xml": text})
    annotations = folder.read()
    assert len(annotations.by_path[b"a.png"].boxes) == 1
    assert [problem.kind for problem in annotations.problems] == ["missing_scan"] * 2


def document(example, path, **changes):
    """A JSON file of an example with other values at its top."""
    return json.dumps(json.loads(example.files[path]) | changes)


def shape(kind, points):
    return document(
        LABELME,
        "ann/a.json",
        shapes=[{"label": "caries", "shape_type": kind, "points": points}],
    )


def task(**result):
    value = {"x": 10, "y": 10, "width": 10, "height": 10, "rectanglelabels": ["Caries"]}
    result = {"id": "1", "type": "rectanglelabels", "value": value} | result
    return json.dumps([{"data": {"image": "a.png"}, "annotations": [{"result": [result]}]}])


def region(attributes, **shape):
    drawn = {"name": "rect", "x": 1, "y": 2, "width": 3, "height": 4} | shape
    each = {"shape_attributes": drawn, "region_attributes": attributes}
    return json.dumps({"a.png1": {"filename": "a.png", "size": 1, "regions": [each]}})


def sly(**changes):
    each = {"classTitle": "caries", "geometryType": "rectangle"} | changes
    return json.dumps({"size": {"height": 9, "width": 9}, "objects": [each]})


def cvat(*shapes):
    inner = "".join(shapes)
    return f'<annotations><image id="0" name="a.png">{inner}</image></annotations>'


@pytest.mark.parametrize(
    ("name", "text", "where", "message"),
    [
        ("a.xml", "<annotation><object>", "a.xml line 1", "is not XML"),
        ("a.xml", "", "a.xml line 1", "is not XML"),
        (
            "a.xml",
            '<!DOCTYPE a [<!ENTITY b "cc">]><annotation>&b;</annotation>',
            "a.xml",
            "has XML entities",
        ),
        (
            "a.xml",
            '<?xml version="1.0" encoding="x"?><a/>',
            "a.xml",
            "nor in the encoding that it states",
        ),
        ("a.xml", "<gpx><trk/></gpx>", "a.xml", "is XML of `gpx` and not a label file"),
        ("a.xml", f"<annotation>{OBJECT.replace('4', 'x')}</annotation>", "object 1", "no bndbox"),
        ("a.xml", "<annotation><object/></annotation>", "a.xml object 1", "has no bndbox"),
        ("x.xml", cvat('<points label="a" points="1,2"/>'), "points 1", "gives no box"),
        ("x.xml", cvat('<polyline label="a" points="1,2;3,4"/>'), "polyline 1", "gives no box"),
        ("x.xml", cvat('<box label="a" xtl="1"/>'), "x.xml image 1 box 1", "gives no box"),
        ("x.xml", cvat("<tag/>"), "x.xml image 1 tag 1", "has no class"),
        ("x.xml", cvat('<mask label="a" rle="9" left="0"/>'), "mask 1", "gives no box"),
        ("x.xml", '<annotations><track label="a"/></annotations>', "track 1", "CVAT for images"),
        ("a.json", shape("point", [[1, 2]]), "a.json shape 1", "is a `point` that gives no box"),
        ("a.json", shape("linestrip", [[1, 2], [3, 4]]), "a.json shape 1", "is a `linestrip`"),
        ("a.json", shape("circle", [[1, 2]]), "a.json shape 1", "is a `circle`"),
        ("a.json", shape("rectangle", None), "a.json shape 1", "is a `rectangle`"),
        ("x.json", task(type="brushlabels", value={"format": "rle"}), "result 1", "brushlabels"),
        (
            "x.json",
            task(value={"x": 1, "y": 1, "width": 1, "height": 1, "rotation": 9}),
            "task 1 result 1",
            "gives no box",
        ),
        (
            "x.json",
            '[{"data": {"image": "a.png"}, "annotations": [], "predictions": [{"result": []}]}]',
            "x.json task 1",
            "has only predictions",
        ),
        ("x.json", task(value=None), "x.json task 1 result 1", "gives no box"),
        ("x.json", region({"label": "caries"}, name="point"), "image 1 region 1", "is a `point`"),
        ("x.json", region({"label": "caries"}, name="polyline"), "region 1", "is a `polyline`"),
        ("x.json", region({"label": "caries"}, width=None), "region 1", "is a `rect`"),
        (
            "x.json",
            region({"finding": "caries", "diagnosis": "pulpitis"}),
            "x.json region_attributes",
            "have `finding`, `diagnosis`, of which none is `label`",
        ),
        (
            "x.json",
            region({"label": "caries", "tooth": "99"}),
            "region 1",
            "tooth `99` is not an FDI",
        ),
        ("a.png.json", sly(geometryType="line"), "a.png.json object 1", "is a `line`"),
        ("a.png.json", sly(points={"exterior": [[1, 2]]}), "object 1", "is a `rectangle`"),
        (
            "a.png.json",
            sly(geometryType="bitmap", bitmap={"data": "eJw=", "origin": [1, 2]}),
            "a.png.json object 1",
            "is a `bitmap`",
        ),
        ("x.json", '{"name": "dental", "scripts": {}}', "x.json", "a JSON object of `name`, `scri"),
        ("x.json", '[{"image_id": 1, "score": 0.5}]', "x.json", "a JSON list of a JSON object of"),
        ("x.json", "[" * 900 + "]" * 900, "x.json", "is a JSON list and not a label file"),
        ("x.json", "null", "x.json", "is a JSON value and not a label file"),
    ],
)
def test_what_cannot_be_used_is_reported_with_its_place(folder, name, text, where, message):
    folder.write({"a.png": "", name: text})
    annotations = folder.read()
    [problem] = annotations.problems
    assert problem.kind in ("unusable_line", "unreadable")
    assert problem.where.endswith(where)
    assert message in problem.what


def test_documents_that_only_accompany_label_files_are_passed_over(folder):
    notes = {"categories": [{"id": 0, "name": "Caries"}], "info": {"year": 2026}}
    SUPERVISELY.write(folder.root)
    folder.write({"export/notes.json": json.dumps(notes)})
    annotations = folder.read()
    assert annotations.problems == []
    assert [file.form for file in annotations.files] == ["supervisely"]


@pytest.mark.parametrize(
    ("attributes", "label", "unread"),
    [
        ({"class": "caries", "remark": "small"}, "caries", "`remark`"),
        ({"kind": "caries"}, "caries", None),
        ({"type": "deep", "class": "caries"}, "caries", "`type`"),
        ({"Label": "caries", "type": "deep"}, "caries", "`type`"),
        ({"finding": {"caries": True, "healthy": False}}, "caries", None),
        ({"label": "", "tooth": "26"}, None, None),
    ],
)
def test_the_attribute_with_class_names_of_via_is_chosen_by_its_name(
    folder, attributes, label, unread
):
    folder.write({"a.png": "", "x.json": region(attributes)})
    annotations = folder.read()
    assert annotations.problems == []
    assert annotations.by_path[b"a.png"].boxes[0].label == label
    assert [notice.kind for notice in annotations.notices] == ["not_read"] * bool(unread)
    assert not unread or unread in annotations.notices[0].what


def test_statements_about_a_region_of_label_studio_are_read_with_it(folder):
    place = {"x": 10, "y": 10, "width": 10, "height": 10}
    results = [
        {"id": "1", "type": "rectangle", "value": place},
        {"id": "1", "type": "labels", "value": place | {"labels": ["Caries"]}},
        {"id": "1", "type": "number", "from_name": "tooth", "value": place | {"number": 26}},
        {"id": "2", "type": "rectangle", "value": place | {"x": 50}},
        {"id": "2", "type": "choices", "value": place | {"choices": ["Caries"]}},
    ]
    tasks = [{"data": {"image": "a.png"}, "annotations": [{"result": results}]}]
    folder.write({"a.png": "", "x.json": json.dumps(tasks)})
    annotations = folder.read()
    assert annotations.problems == annotations.notices == []
    assert boxes_of(annotations, "a.png") == [
        Expected("caries", 26, (0.1, 0.1, 0.1, 0.1)),
        Expected("caries", None, (0.5, 0.1, 0.1, 0.1)),
    ]


def test_ground_truth_takes_precedence_over_other_annotators(folder):
    tasks = json.loads(next(iter(LABEL_STUDIO.files.values())))
    tasks[0]["annotations"].append({"ground_truth": True, "result": []})
    folder.write({"a.png": "", "b.png": "", "x.json": json.dumps(tasks)})
    annotations = folder.read()
    assert boxes_of(annotations, "a.png") == []
    assert len(boxes_of(annotations, "b.png")) == 2


def test_two_classes_of_one_box_give_two_boxes(folder):
    value = {"x": 10, "y": 10, "width": 10, "height": 10}
    names = ["caries", "healthy"]
    folder.write({"a.png": "", "x.json": task(value=value | {"rectanglelabels": names})})
    found = {(box.label, box.tooth) for box in folder.read().by_path[b"a.png"].boxes}
    assert found == {("caries", None), ("healthy", None)}


def test_names_of_uploads_and_of_windows_are_found(folder):
    tasks = json.loads(next(iter(LABEL_STUDIO.files.values())))
    tasks[0]["data"] = {"scan": "/data/local-files/?d=set/a.png", "note": "left"}
    tasks[1]["data"] = {"image": "s3://bucket/set/b.png"}
    folder.write({"set/a.png": "", "set/b.png": "", "x.json": json.dumps(tasks)})
    annotations = folder.read()
    assert annotations.problems == []
    assert annotations.by_path.keys() == {b"set/a.png", b"set/b.png"}


def test_an_image_that_is_missing_is_reported_once_with_all_that_is_about_it(folder):
    VIA.write(folder.root)
    (folder.root / "b.png").unlink()
    annotations = folder.read()
    [problem] = annotations.problems
    assert (problem.kind, problem.where) == ("missing_scan", "via_project.json image 2")
    [file] = annotations.files
    assert (file.entries, file.matched, file.unmatched) == (6, 3, ["b.png"])


def keys_of_examples():
    """Every key of every JSON example, with the example and the path of its file."""
    for example in EXAMPLES:
        for path, text in example.files.items():
            if path.endswith(".json"):
                keys = {str(key) for _, key in places_of(json.loads(text))}
                yield from ((example, path, key) for key in sorted(keys))


def test_deep_nesting_anywhere_is_reported_or_not_read(folder):
    deep = "[" * 900 + "]" * 900
    for example, path, key in keys_of_examples():
        document = json.loads(example.files[path])
        holder = next(holder for holder, each in places_of(document) if str(each) == key)
        holder[int(key) if isinstance(holder, list) else key] = "DEEP"
        text = json.dumps(document).replace('"DEEP"', deep)
        folder.write(dict.fromkeys(example.scans, "") | {path: text})
        folder.read()
        (folder.root / path).unlink()


def test_damaged_label_files_of_every_form_are_read_or_reported():
    assert fuzz(500) == {}
