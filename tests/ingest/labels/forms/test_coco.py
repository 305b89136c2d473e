"""COCO files: shapes, spellings of IDs, large files, and the three parts of DENTEX."""

import json

import pytest

from pipeline.ingest.labels.class_names import LabelSettings


def coco(**changes):
    document = {
        "images": [{"id": 7, "file_name": "a.png"}],
        "categories": [{"id": 1, "name": "Caries"}],
        "annotations": [{"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4]}],
    }
    return json.dumps(document | changes)


def boxes_of(annotations, scan=b"a.png"):
    return [(*box[:4], box[4], box[5]) for box in map(values, annotations.by_path[scan].boxes)]


def values(box):
    return box.x, box.y, box.w, box.h, box.label, box.tooth


@pytest.mark.parametrize(
    "shape",
    [
        {"segmentation": [[1, 2, 4, 2, 4, 6]]},
        {"segmentation": [[1, 2, 2, 3], [3, 4, 4, 6]]},
        {"segmentation": [1, 2, 4, 2, 4, 6]},
        {"segmentation": [[1, 2], [4, 2], [4, 6]]},
        {"segmentation": {"size": [10, 10], "counts": [12, 4, 6, 4, 6, 4, 64]}},
        {"bbox": [], "segmentation": [[1, 2, 4, 2, 4, 6]]},
        {"bbox": [0, 0, 0, 0], "segmentation": [[1, 2, 4, 2, 4, 6]]},
        {"bbox": ["1", "2", "3", "4"]},
    ],
)
def test_a_polygon_or_mask_stands_in_for_a_box(folder, shape):
    annotation = {"image_id": 7, "category_id": 1} | shape
    folder.write({"a.png": "", "x.json": coco(annotations=[annotation])})
    annotations = folder.read()
    assert annotations.problems == []
    assert boxes_of(annotations) == [(1, 2, 3, 4, "caries", None)]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({}, "bbox is `None`"),
        ({"bbox": [1, 2, 3]}, "bbox is `[1, 2, 3]`"),
        ({"segmentation": [[1, 2, 3]]}, "its segmentation is no polygon or mask"),
        ({"segmentation": {"size": [9, 9], "counts": "?"}}, "its segmentation is no polygon"),
        ({"bbox": [1] * 10_000}, "[1, 1, 1"),
    ],
)
def test_a_shape_that_gives_no_box_is_reported_with_its_number(folder, shape, message):
    folder.write({"a.png": "", "x.json": coco(annotations=[{"image_id": 7} | shape])})
    [problem] = folder.read().problems
    assert (problem.kind, problem.where) == ("unusable_line", "x.json annotation 1")
    assert message in problem.what
    assert len(problem.what) < 200


@pytest.mark.parametrize("image", [7, 7.0, "7", "7.0", " 7 "])
@pytest.mark.parametrize("category", [1, 1.0, "1", "1.0"])
def test_ids_are_the_same_as_numbers_and_as_texts(folder, image, category):
    annotation = {"image_id": image, "category_id": category, "bbox": [1, 2, 3, 4]}
    folder.write({"a.png": "", "x.json": coco(annotations=[annotation])})
    annotations = folder.read()
    assert annotations.problems == []
    assert boxes_of(annotations) == [(1, 2, 3, 4, "caries", None)]


@pytest.mark.parametrize("image", ["07", 7.5, "7.5", None, [7], {"id": 7}])
def test_ids_that_only_look_alike_are_others(folder, image):
    annotation = {"image_id": image, "category_id": 1, "bbox": [1, 2, 3, 4]}
    folder.write({"a.png": "", "x.json": coco(annotations=[annotation])})
    [problem] = folder.read().problems
    assert (problem.kind, problem.where) == ("missing_scan", "x.json annotation 1")


def test_a_number_without_a_category_is_reported_and_the_box_has_no_label(folder):
    annotation = {"image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4]}
    folder.write({"a.png": "", "x.json": coco(annotations=[annotation])})
    annotations = folder.read()
    [problem] = annotations.problems
    assert (problem.kind, problem.path) == ("unknown_class", b"a.png")
    assert "category_id 2 is not in `categories`" in problem.what
    assert boxes_of(annotations) == [(1, 2, 3, 4, None, None)]
    assert annotations.files[0].unused_classes == {"2": 1}


def test_a_large_file_is_read_item_by_item_and_gives_the_same(folder, monkeypatch):
    annotations = [
        {"image_id": 7, "category_id": 1, "bbox": [n, 2.5, 3, 4], "extra": {"deep": [[n]]}}
        for n in range(50)
    ]
    folder.write({"a.png": "", "x.json": coco(annotations=[*annotations, {"image_id": 8}])})
    whole = folder.read()
    monkeypatch.setattr("pipeline.ingest.labels.open_document.MAX_LABEL_BYTES", 100)
    streamed = folder.read()
    assert streamed.problems == whole.problems
    assert streamed.by_path == whole.by_path
    assert streamed.by_path[b"a.png"].digest() == whole.by_path[b"a.png"].digest()
    assert streamed.files == whole.files


@pytest.mark.parametrize("size", [10, 10**6])
@pytest.mark.parametrize("key", ["id", "image_id", "category_id", "category_id_1", "bbox"])
def test_deep_nesting_is_reported_in_files_of_any_size(folder, monkeypatch, key, size):
    monkeypatch.setattr("pipeline.ingest.labels.open_document.MAX_LABEL_BYTES", size)
    usual = {"image_id": 7, "category_id_2": 1, "bbox": [1, 2, 3, 4]}
    text = coco(annotations=[usual, usual | {key: "deep"}])
    folder.write({"a.png": "", "x.json": text.replace('"deep"', "[" * 900 + "]" * 900)})
    annotations = folder.read()
    assert len(annotations.problems) == (key != "id" or size == 10)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (coco()[:-9] + "}}}}}}]]]", "is not JSON"),
        (coco()[:-9], "is not JSON"),
        (coco(info="deep").replace('"deep"', "[" * 20_000 + "]" * 20_000), "is not JSON"),
        (json.dumps([{"a": 1}] * 50), "is no COCO file, which may have more; split it"),
        (json.dumps({"shapes": [], "imageData": "x" * 200}), "is no COCO file"),
    ],
)
def test_a_large_file_that_cannot_be_read_is_reported(folder, monkeypatch, text, message):
    monkeypatch.setattr("pipeline.ingest.labels.open_document.MAX_LABEL_BYTES", 100)
    folder.write({"a.png": "", "x.json": text})
    annotations = folder.read()
    [problem] = annotations.problems
    assert problem.kind == "unreadable"
    assert message in problem.what
    assert annotations.by_path == {}
    assert [file.form for file in annotations.files] == ["unknown"]


def test_a_file_beyond_the_limit_is_reported_with_what_to_do(folder, monkeypatch):
    monkeypatch.setattr("pipeline.ingest.labels.open_document.MAX_LABEL_BYTES", 100)
    monkeypatch.setattr("pipeline.ingest.labels.open_document.MAX_STREAMED_BYTES", 150)
    monkeypatch.setattr("pipeline.ingest.labels.annotations.MAX_LABEL_BYTES", 100)
    folder.write({"a.png": "", "x.json": coco(info=" " * 150), "y.xml": "<a>" + " " * 150})
    problems = folder.read().problems
    assert [problem.where for problem in problems] == ["x.json", "y.xml"]
    assert all("split it" in problem.what for problem in problems)


FINDINGS = ["Impacted", "Caries", "Periapical Lesion", "Deep Caries"]


def categories(names):
    return [{"id": n, "name": name, "supercategory": name} for n, name in enumerate(names)]


@pytest.mark.parametrize(
    ("numbers", "lists", "expected"),
    [
        ({"category_id": 2}, {"categories": "1234"}, (None, None)),
        (
            {"category_id_1": 2, "category_id_2": 5},
            {"categories_1": "1234", "categories_2": "12345678"},
            (None, 36),
        ),
        (
            {"category_id_1": 2, "category_id_2": 5, "category_id_3": 3},
            {"categories_1": "1234", "categories_2": "12345678", "categories_3": FINDINGS},
            ("deep_caries", 36),
        ),
    ],
    ids=["quadrant", "enumeration", "disease"],
)
@pytest.mark.parametrize("as_number", [False, True])
def test_every_part_of_dentex_gives_teeth_and_only_the_last_findings(
    folder, numbers, lists, expected, as_number
):
    names = {
        key: categories([int(name) if as_number and name.isdecimal() else name for name in listed])
        for key, listed in lists.items()
    }
    annotation = {"image_id": 7, "bbox": [1, 2, 3, 4], **numbers}
    document = json.loads(coco(annotations=[annotation])) | {"categories": []} | names
    folder.write({"a.png": "", "train_quadrant.json": json.dumps(document)})
    annotations = folder.read()
    assert annotations.problems == []
    assert boxes_of(annotations) == [(1, 2, 3, 4, *expected)]


def test_categories_in_another_language_are_mapped_by_the_setting(folder):
    folder.write({"a.png": "", "x.json": coco(categories=[{"id": 1, "name": "Çürük"}])})
    settings = LabelSettings(class_names={"çürük": "caries"})
    assert boxes_of(folder.read(settings)) == [(1, 2, 3, 4, "caries", None)]
