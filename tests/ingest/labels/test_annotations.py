"""Label files of a batch: annotations read from them, and problems reported for the rest."""

import json
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.ingest.labels.annotations import Annotation, Box
from pipeline.ingest.labels.class_names import LabelSettings
from pipeline.ingest.labels.problems import NOTICES, PROBLEMS
from pipeline.ingest.labels.read_all import read_annotations
from pipeline.ingest.list_files import MASK, list_batch


@pytest.fixture
def batch(tmp_path, monkeypatch):
    """A folder to write files into, and a way to read its annotations."""
    monkeypatch.setattr("pipeline.ingest.list_files.SECOND_LOOK_SECONDS", 0)

    class Batch:
        folder = tmp_path

        def write(self, **files):
            for name, text in files.items():
                path = tmp_path / name.replace("__", "/").replace("_DOT_", ".")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(text if isinstance(text, bytes) else text.encode())
            return self

        def read(self):
            return read_annotations(tmp_path, list_batch(tmp_path))

    return Batch()


def kinds(annotations):
    return [problem.kind for problem in annotations.problems]


def test_yolo_boxes_get_their_class_and_their_place_as_fractions(batch):
    batch.write(a_DOT_png="", a_DOT_txt="1 0.5 0.5 0.2 0.4\n", classes_DOT_txt="caries\nhealthy\n")
    [box] = batch.read().by_path[b"a.png"].boxes
    assert (box.label, box.shares, box.tooth) == ("healthy", True, None)
    assert (box.x, box.y, box.w, box.h) == pytest.approx((0.4, 0.3, 0.2, 0.4))


def test_a_yolo_class_may_be_a_name_in_any_case(batch):
    batch.write(
        a_DOT_png="", a_DOT_txt="caries 0.5 0.5 0.2 0.4\n", classes_DOT_txt=" Caries \nhealthy"
    )
    assert batch.read().by_path[b"a.png"].boxes[0].label == "caries"


def test_class_names_come_from_the_nearest_folder_that_has_them(batch):
    batch.write(classes_DOT_txt="healthy\n", sub__a_DOT_png="", sub__a_DOT_txt="0 .5 .5 .1 .1")
    assert batch.read().by_path[b"sub/a.png"].boxes[0].label == "healthy"
    batch.write(sub__classes_DOT_txt="caries\n")
    assert batch.read().by_path[b"sub/a.png"].boxes[0].label == "caries"


@pytest.mark.parametrize(
    ("kind", "where", "line", "boxes"),
    [
        ("unknown_class", "a.txt line 2", "7 .5 .5 .1 .1", 2),
        ("unknown_class", "a.txt line 2", "9" * 5_000 + " .5 .5 .1 .1", 2),
        ("unusable_line", "a.txt line 2", "0 .5 .5 .1", 1),
        ("unusable_line", "a.txt line 2", "0 .5 .5 nan .1", 1),
        ("unusable_line", "a.txt line 2", "0 .5 .5 -0.1 .1", 1),
    ],
)
def test_a_faulty_yolo_line_is_reported_with_file_and_line(batch, kind, where, line, boxes):
    batch.write(a_DOT_png="", a_DOT_txt=f"0 .2 .2 .1 .1\n{line}\n", classes_DOT_txt="healthy")
    annotations = batch.read()
    [problem] = annotations.problems
    assert (problem.kind, problem.where) == (kind, where)
    assert len(annotations.by_path[b"a.png"].boxes) == boxes
    assert annotations.by_path[b"a.png"].problems == 1


def test_boxes_without_a_scan_or_without_class_names_are_reported(batch):
    batch.write(a_DOT_png="", a_DOT_txt="0 .5 .5 .1 .1")
    assert kinds(batch.read()) == ["unknown_class"]
    batch.write(classes_DOT_txt="healthy", gone_DOT_txt="0 .5 .5 .1 .1")
    [problem] = batch.read().problems
    assert (problem.kind, problem.where) == ("missing_scan", "gone.txt")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_gives_label_patient_tooth_and_bits(batch, delimiter):
    table = "file,label,patient,tooth,bits\na.png,Healthy, Ann 1 ,36,12\n".replace(",", delimiter)
    batch.write(a_DOT_png="", labels_DOT_csv="\ufeff" + table)
    annotations = batch.read()
    about = annotations.by_path[b"a.png"]
    assert annotations.problems == []
    assert (about.label, about.patient, about.tooth, about.bits) == ("healthy", "Ann 1", 36, 12)


def test_an_image_id_is_a_name_without_suffix_and_a_group_is_a_patient(batch):
    batch.write(x5_DOT_jpg="", groups_DOT_csv="image_id,group,bytes\nx5,g003,77\n")
    annotations = batch.read()
    assert annotations.by_path[b"x5.jpg"].patient == "g003"
    assert annotations.problems == []


def test_a_table_may_give_several_boxes_in_pixels(batch):
    table = "file,label,tooth,x,y,w,h\na.png,caries,11,1,2,3,4\na.png,healthy,,5,6,7,8\n"
    batch.write(a_DOT_png="", boxes_DOT_csv=table)
    boxes = batch.read().by_path[b"a.png"].boxes
    assert [(b.x, b.y, b.w, b.h, b.shares, b.label, b.tooth) for b in boxes] == [
        (1, 2, 3, 4, False, "caries", 11),
        (5, 6, 7, 8, False, "healthy", None),
    ]


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("missing_scan", "gone.png,healthy,,,,,"),
        ("unusable_line", "a.png,healthy,99,,,,"),
        ("unusable_line", "a.png,healthy,,1,2,3,"),
        ("unknown_class", "a.png,not a word: Ann Smith,,,,,"),
    ],
)
def test_a_faulty_table_row_is_reported_with_file_and_line(batch, kind, row):
    batch.write(a_DOT_png="", t_DOT_csv=f"file,label,tooth,x,y,w,h\n{row}\n")
    [problem] = batch.read().problems
    assert (problem.kind, problem.where) == (kind, "t.csv line 2")


def test_a_label_outside_classes_txt_is_reported_and_not_used(batch):
    batch.write(
        a_DOT_png="", classes_DOT_txt="healthy\ncaries", t_DOT_csv="file,label\na.png,carries\n"
    )
    annotations = batch.read()
    assert kinds(annotations) == ["unknown_class"]
    assert annotations.by_path[b"a.png"].label is None


def test_a_name_that_matches_two_scans_is_reported_unless_it_is_a_path(batch):
    batch.write(one__a_DOT_png="", two__a_DOT_png="", t_DOT_csv="file,label\na.png,healthy\n")
    assert kinds(batch.read()) == ["ambiguous"]
    batch.write(t_DOT_csv="file,label\none\\a.png,healthy\n")
    annotations = batch.read()
    assert annotations.problems == []
    assert annotations.by_path[b"one/a.png"].label == "healthy"


def test_file_names_that_begin_with_punctuation_are_matched_exactly(batch):
    batch.write(**{"a.png": "", "~a.png": "", "=a.png": ""})
    batch.write(t_DOT_csv="file,tooth\na.png,36\n", sub__u_DOT_csv="file,bits\na.png,12\n")
    batch.write(a_DOT_txt="0 .5 .5 .1 .1", classes_DOT_txt="healthy")
    annotations = batch.read()
    assert annotations.problems == []
    [(path, about)] = annotations.by_path.items()
    assert (path, about.tooth, about.bits, len(about.boxes)) == (b"a.png", 36, 12, 1)


def test_two_patients_for_one_scan_are_reported_and_the_first_counts(batch):
    batch.write(a_DOT_png="", t_DOT_csv="file,patient\na.png,one\na.png,two\n")
    annotations = batch.read()
    assert kinds(annotations) == ["two_patients"]
    assert annotations.by_path[b"a.png"].patient == "one"


def test_two_labels_for_one_scan_are_reported_and_the_later_counts(batch):
    table = "file,label\na.png,caries\na.png,\na.png,healthy\na.png,healthy\n"
    batch.write(a_DOT_png="", t_DOT_csv=table)
    annotations = batch.read()
    [problem] = annotations.problems
    assert (problem.kind, problem.where) == ("two_classes", "t.csv line 4")
    assert annotations.by_path[b"a.png"].label == "healthy"


def test_label_files_that_are_not_text_or_not_a_table_are_reported(batch):
    batch.write(a_DOT_png="", bad_DOT_csv=b"\xff\xfe\x00", other_DOT_csv="name\na.png\n")
    assert kinds(batch.read()) == ["unreadable", "unusable_line"]


@pytest.mark.parametrize(
    ("notes", "message", "unread"),
    [
        ('"left" side', "expected after", "b"),
        ("x" * 200_000, "larger than field limit", "b"),
        ('"left side', "up to line 4 (unexpected end of data)", "bc"),
    ],
)
def test_malformed_csv_lines_are_reported_and_the_others_count(batch, notes, message, unread):
    table = f"file,label,notes\na.png,caries,\nb.png,caries,{notes}\nc.png,healthy,\n"
    batch.write(a_DOT_png="", b_DOT_png="", c_DOT_png="", t_DOT_csv=table)
    annotations = batch.read()
    [problem] = annotations.problems
    assert (problem.kind, problem.where) == ("unreadable", "t.csv line 3")
    assert message in problem.what
    read = {f"{name}.png".encode() for name in "abc" if name not in unread}
    assert annotations.by_path.keys() == read


def test_a_table_with_a_malformed_header_is_reported(batch):
    batch.write(a_DOT_png="", t_DOT_csv='"file,label\na.png,caries\n')
    [problem] = batch.read().problems
    assert (problem.kind, problem.where) == ("unreadable", "t.csv line 1")


def test_the_digest_changes_with_the_annotation_not_with_its_line(batch):
    def digest(text):
        batch.write(a_DOT_png="", a_DOT_txt=text, classes_DOT_txt="healthy\ncaries")
        return batch.read().by_path[b"a.png"].digest()

    first = digest("0 .5 .5 .1 .1")
    assert digest("\n0 .5 .5 .1 .1") == first
    assert digest("1 .5 .5 .1 .1") != first


def coco(**changes):
    return json.dumps(
        {
            "images": [{"id": 7, "file_name": "a.png"}],
            "categories": [{"id": 1, "name": "Root Canal"}],
            "annotations": [{"image_id": 7, "category_id": 1, "bbox": [1, 2.5, 3, 4]}],
            **changes,
        }
    )


def test_coco_boxes_get_their_category_and_their_place_in_pixels(batch):
    batch.write(a_DOT_png="", b_DOT_png="", one_DOT_json=coco())
    batch.write(two_DOT_json=coco(images=[{"id": 7, "file_name": "b.png"}]))
    annotations = batch.read()
    assert annotations.problems == []
    for name in (b"a.png", b"b.png"):
        [box] = annotations.by_path[name].boxes
        assert (box.x, box.y, box.w, box.h, box.shares) == (1, 2.5, 3, 4, False)
        assert (box.label, box.tooth) == ("root_canal", None)


@pytest.mark.parametrize(
    ("names", "problems"),
    [
        (["a", "a"], []),
        (["a", "b"], ["ambiguous"] * 2),
        (["a", "b", "a"], ["ambiguous"] * 3),
        (["a", "gone"], ["ambiguous"]),
        (["gone", "a"], ["missing_scan", "ambiguous"]),
    ],
)
def test_an_image_id_of_two_images_is_reported_and_its_boxes_are_not_used(batch, names, problems):
    images = [{"id": 7, "file_name": f"{name}.png"} for name in names]
    batch.write(a_DOT_png="", b_DOT_png="", x_DOT_json=coco(images=images))
    annotations = batch.read()
    assert kinds(annotations) == problems
    boxes = [box for about in annotations.by_path.values() for box in about.boxes]
    assert len(boxes) == (0 if problems else 1)


def test_dentex_numbers_become_fdi_numbers_and_its_findings_our_labels(batch):
    def annotation(quadrant, tooth, finding):
        numbers = {"category_id_1": quadrant, "category_id_2": tooth, "category_id_3": finding}
        return {"image_id": 7, "bbox": [1, 2, 3, 4], **numbers}

    findings = ["Impacted", "Caries", "Periapical Lesion", "Deep Caries"]
    dentex = coco(
        categories_1=[{"id": n, "name": n + 1, "supercategory": n + 1} for n in range(4)],
        categories_2=[{"id": n, "name": n + 1, "supercategory": n + 1} for n in range(8)],
        categories_3=[{"id": n, "name": name} for n, name in enumerate(findings)],
        annotations=[
            annotation(*numbers)
            for numbers in ((0, 7, 0), (1, 0, 1), (2, 5, 2), (3, 2, 3), (3, 9, 1))
        ],
    )
    batch.write(a_DOT_png="", dentex_DOT_json=dentex)
    annotations = batch.read()
    boxes = annotations.by_path[b"a.png"].boxes
    assert [(box.tooth, box.label) for box in boxes] == [
        (18, "impacted"),
        (21, "caries"),
        (36, "periapical_lesion"),
        (43, "deep_caries"),
        (None, "caries"),
    ]
    [problem] = annotations.problems
    assert (problem.kind, problem.where) == ("unusable_line", "dentex.json annotation 5")


@pytest.mark.parametrize(
    ("kind", "where", "changes", "boxes"),
    [
        ("missing_scan", "image 2", {"images": [{"id": 7, "file_name": "a.png"}, {"id": 8}]}, 1),
        (
            "missing_scan",
            "annotation 1",
            {"annotations": [{"image_id": 9, "bbox": [0, 0, 1, 1]}]},
            0,
        ),
        ("unusable_line", "annotation 1", {"annotations": [{"image_id": 7, "bbox": [0, 0, 1]}]}, 0),
        (
            "unusable_line",
            "annotation 1",
            {"annotations": [{"image_id": 7, "bbox": [0, 0, float("nan"), 1]}]},
            0,
        ),
        ("unknown_class", "annotation 1", {"categories": []}, 1),
        ("unknown_class", "annotation 1", {"categories": [{"id": 1, "name": "Ann: Smith"}]}, 1),
    ],
)
def test_a_faulty_coco_annotation_is_reported_with_its_number(batch, kind, where, changes, boxes):
    batch.write(a_DOT_png="", x_DOT_json=coco(**changes))
    annotations = batch.read()
    [problem] = annotations.problems
    assert (problem.kind, problem.where) == (kind, f"x.json {where}")
    assert sum(len(about.boxes) for about in annotations.by_path.values()) == boxes


def test_a_category_outside_classes_txt_is_reported_and_its_box_has_no_label(batch):
    batch.write(a_DOT_png="", x_DOT_json=coco(), classes_DOT_txt="healthy\n")
    annotations = batch.read()
    assert kinds(annotations) == ["unknown_class"]
    assert annotations.by_path[b"a.png"].boxes[0].label is None


def test_a_tooth_number_of_thousands_of_digits_is_reported_and_not_used(batch):
    annotation = {"image_id": 7, "category_id_1": 1, "category_id_2": 1, "bbox": [1, 2, 3, 4]}
    names = {f"categories_{place}": [{"id": 1, "name": "1" * 5_000}] for place in (1, 2)}
    batch.write(a_DOT_png="", x_DOT_json=coco(annotations=[annotation], **names))
    annotations = batch.read()
    assert kinds(annotations) == ["unusable_line"]
    assert annotations.by_path[b"a.png"].boxes[0].tooth is None


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "1" * 5_000])
def test_invalid_json_is_reported(batch, text):
    batch.write(a_DOT_png="", x_DOT_json=text)
    assert kinds(batch.read()) == ["unreadable"]


@pytest.mark.parametrize("text", ["[]", '{"images": [], "annotations": {}}', '"a"'])
def test_json_of_no_form_is_reported(batch, text):
    batch.write(a_DOT_png="", x_DOT_json=text)
    [problem] = batch.read().problems
    assert problem.kind == "unusable_line"
    assert "not a label file of a form that is read (COCO, LabelMe" in problem.what


@pytest.mark.parametrize("names", ["[Caries, healthy]", "{1: healthy, 0: caries}"])
def test_a_data_yaml_gives_class_names_to_labels_for_images(batch, names):
    batch.write(
        data_DOT_yaml=f"train: images/train\nnc: 2\nnames: {names}\n",
        images__train__a_DOT_png="",
        labels__train__a_DOT_txt="0 .5 .5 .1 .1\n1 .5 .5 .2 .2\n",
        labels__train__gone_DOT_txt="0 .5 .5 .1 .1\n",
    )
    annotations = batch.read()
    boxes = annotations.by_path[b"images/train/a.png"].boxes
    assert [box.label for box in boxes] == ["caries", "healthy"]
    [problem] = annotations.problems
    assert (problem.kind, problem.where) == ("missing_scan", "labels/train/gone.txt")


@pytest.mark.parametrize(
    ("picture", "labels"),
    [
        ("Images/a.png", "Labels/a.txt"),
        ("IMAGES/a.png", "labels/a.txt"),
        ("a\u0308.png", "\u00e4.txt"),
        ("images/\u00e4.png", "labels/a\u0308.txt"),
    ],
)
def test_boxes_match_images_whatever_the_case_of_images_and_form_of_accents(batch, picture, labels):
    batch.write(**{picture: "", labels: "0 .5 .5 .1 .1", "data.yaml": "names: [caries]"})
    annotations = batch.read()
    assert [path.decode() for path in annotations.by_path] == [picture]
    assert annotations.problems == []
    assert len(list_batch(batch.folder).scans) == 1


@pytest.mark.parametrize(
    ("kind", "message", "text"),
    [
        ("unusable_line", "nc is 3, but 1", "nc: 3\nnames: [healthy]"),
        ("unusable_line", "has no `names`", "nc: 3"),
        ("unusable_line", "has no `names`", "names: {left: healthy}"),
        ("unknown_class", "`Ann: Smith` is not a class name", "names: [healthy, 'Ann: Smith']"),
        ("unreadable", "is not YAML", "names: [healthy"),
        ("unreadable", "is not YAML", "names: !!python/object/apply:os.getcwd []"),
        ("unreadable", "is not YAML", "names: [!!bool x]"),
        ("unreadable", "is not YAML", "names: [!!timestamp foo]"),
        ("unreadable", "is not YAML", 'names: [!!int ""]'),
        ("unreadable", "is not YAML", "names: [!!timestamp {=: 1}]"),
        ("unreadable", "is not YAML", f"names: [1{':0' * 200}.]"),
        ("unknown_class", "`<list>` is not a class name", "names: [[healthy]]"),
        ("unknown_class", "`<NoneType>` is not a class name", "names: [healthy, ~]"),
        ("unknown_class", "`<int>` is not a class name", f"names: [0x{'f' * 5_000}]"),
        ("unusable_line", "nc is <list>, but 1", "names: [healthy]\nnc: [1]"),
    ],
)
def test_a_faulty_data_yaml_is_reported(batch, kind, message, text):
    batch.write(a_DOT_png="", data_DOT_yaml=text)
    [problem] = batch.read().problems
    assert problem.kind == kind
    assert message in problem.what


def test_numbers_as_class_names_of_a_data_yaml_are_used_as_text(batch):
    batch.write(a_DOT_png="", a_DOT_txt="1 .5 .5 .1 .1", data_DOT_yaml="names: [1.5, 36, true]")
    annotations = batch.read()
    assert annotations.problems == []
    assert annotations.by_path[b"a.png"].boxes[0].label == "36"


MERGED = "{key}: &{key} {{<<: [*{old}, *{old}, *{old}, *{old}, *{old}, *{old}]}}"


@pytest.mark.parametrize("line", ["{key}: &{key} [*{old}, *{old}]", MERGED])
def test_yaml_aliases_are_reported_and_not_expanded(batch, line):
    lines = ["a: &a {healthy: 0}"]
    lines += [line.format(key=key, old=old) for old, key in pairwise("abcdefghijklmnopqrstuvwx")]
    batch.write(a_DOT_png="", data_DOT_yaml="\n".join([*lines, "names: *x"]))
    [problem] = batch.read().problems
    assert problem.kind == "unreadable"
    assert "has aliases" in problem.what


def test_folders_are_classes_when_every_one_is_listed(batch):
    batch.write(healthy__a_DOT_png="", Deep_Caries__b_DOT_png="", c_DOT_png="")
    assert batch.read().by_path == {}
    batch.write(classes_DOT_txt="healthy\ndeep_caries\n")
    labels = {path: about.label for path, about in batch.read().by_path.items()}
    assert labels == {b"healthy/a.png": "healthy", b"Deep_Caries/b.png": "deep_caries"}


def test_no_folder_is_a_class_when_one_of_them_is_not_listed(batch):
    batch.write(healthy__a_DOT_png="", Smith__b_DOT_png="", classes_DOT_txt="healthy\n")
    annotations = batch.read()
    [problem] = annotations.problems
    assert (problem.kind, problem.where) == ("unknown_class", "Smith")
    assert not any(about.label for about in annotations.by_path.values())


def test_a_table_takes_precedence_over_class_folders_listed_in_the_settings(batch):
    batch.write(healthy__a_DOT_png="", caries__b_DOT_png="")
    batch.write(t_DOT_csv="file,label\ncaries/b.png,impacted\n")
    annotations = read_annotations(
        batch.folder, list_batch(batch.folder), LabelSettings(("Healthy", "caries"))
    )
    assert annotations.by_path[b"healthy/a.png"].label == "healthy"
    assert annotations.by_path[b"caries/b.png"].label == "impacted"
    assert kinds(annotations) == ["two_classes"]


def test_digests_are_those_of_earlier_versions():
    """Of scans listed by an earlier version; with others, every one would be delivered again."""
    assert Annotation().digest() == "320e29fb8e42d089"
    boxes = [
        Box(1.0, 2.0, 3.0, 4.0, False, "caries", 36, "t.csv line 2"),
        Box(0.1, 0.2, 0.3, 0.4, True, None, None, "a.txt line 1"),
    ]
    assert Annotation("caries", "ann", 36, 12, boxes, 2).digest() == "e1f5539970c73b5d"


def test_a_later_field_changes_a_digest_only_when_it_is_set():
    @dataclass
    class Later(Annotation):
        side: str | None = None
        outline: list = field(default_factory=list)

    assert Later("caries").digest() == Annotation("caries").digest()
    digests = {Later().digest(), Later(side="left").digest(), Later(outline=[[1, 2]]).digest()}
    assert len(digests) == 3


def test_dentex_unpacked_whole_is_labelled_completely(batch):
    kinds_of_dentex = "quadrant", "quadrant_enumeration", "quadrant-enumeration-disease"
    images = [{"id": n, "file_name": f"train_{n}.png"} for n in range(3)]
    boxes = [{"image_id": n, "category_id": 1, "bbox": [1, 2, 3, 4 + n]} for n in range(3)]
    for kind in kinds_of_dentex:
        home = f"training_data/{kind}"
        batch.write(**{f"{home}/train_{kind}.json": coco(images=images, annotations=boxes)})
        batch.write(**{f"{home}/xrays/train_{n}.png": "" for n in range(3)})
    annotations = batch.read()
    assert annotations.problems == []
    assert [len(about.boxes) for about in annotations.by_path.values()] == [1] * 9
    for path, about in annotations.by_path.items():
        assert about.boxes[0].h == 4 + int(path[-5:-4])
        assert about.boxes[0].where.rpartition("/")[0] == path.decode().rpartition("/xrays/")[0]
    assert [(file.form, file.entries, file.matched) for file in annotations.files] == [
        ("coco", 6, 6)
    ] * 3


@pytest.mark.parametrize(
    ("picture", "labels"),
    [
        ("images/train/x.jpg", "labels/train/x.txt"),
        ("train/images/x.jpg", "train/labels/x.txt"),
        ("train/images/x.jpg", "labels/train/x.txt"),
        ("images/train/x.jpg", "train/labels/x.txt"),
        ("set/images/train/x.jpg", "set/labels/train/x.txt"),
        ("xrays/train/x.jpg", "labels/train/x.txt"),
        ("train/x.jpg", "train/labels/x.txt"),
        ("train/x.jpg", "labels/train/x.txt"),
        ("train/xrays/x.jpg", "train/annotations/x.txt"),
        ("images/train/X.JPG", "Labels/Train/x.txt"),
        ("images/train/x.jpg", "labels/train/x.jpg.txt"),
        ("images/train/x.y.jpg", "labels/train/x.y.txt"),
    ],
)
def test_yolo_files_find_the_images_of_their_own_split(batch, picture, labels):
    def other(path):
        return path.replace("train", "test").replace("Train", "Test")

    batch.write(**{picture: "", other(picture): "", "data.yaml": "names: [caries, healthy]"})
    batch.write(**{labels: "0 .5 .5 .1 .1", other(labels): "1 .5 .5 .1 .1"})
    annotations = batch.read()
    assert annotations.problems == []
    found = {path.decode(): [b.label for b in a.boxes] for path, a in annotations.by_path.items()}
    assert found == {picture: ["caries"], other(picture): ["healthy"]}


def test_a_yolo_file_without_its_image_does_not_get_that_of_another_split(batch):
    batch.write(**{"train/images/y.jpg": "", "test/images/x.jpg": "", "data.yaml": "names: [a]"})
    batch.write(**{"train/labels/x.txt": "0 .5 .5 .1 .1", "test/labels/x.txt": "0 .5 .5 .2 .2"})
    annotations = batch.read()
    assert kinds(annotations) == ["missing_scan"]
    assert [len(about.boxes) for about in annotations.by_path.values()] == [1]


def test_two_yolo_files_for_one_image_elsewhere_are_ambiguous(batch):
    batch.write(**{"pictures/x.jpg": "", "data.yaml": "names: [a]"})
    batch.write(**{f"{name}/x.txt": "0 .5 .5 .1 .1" for name in ("ann", "bob")})
    annotations = batch.read()
    assert kinds(annotations) == ["ambiguous"] * 2
    assert annotations.by_path == {}


@pytest.mark.parametrize("form", ["coco", "csv"])
def test_train_and_test_with_equal_names_are_kept_apart(batch, form):
    for split, label in (("train", "caries"), ("test", "healthy")):
        batch.write(**{f"{split}/1.png": ""})
        if form == "csv":
            batch.write(**{f"{split}/labels.csv": f"file,label,x,y,w,h\n1.png,{label},1,2,3,4\n"})
            continue
        categories, images = [{"id": 1, "name": label}], [{"id": 7, "file_name": "1.png"}]
        text = coco(categories=categories, images=images)
        batch.write(**{f"{split}/_annotations.coco.json": text})
    annotations = batch.read()
    assert annotations.problems == []
    assert annotations.by_path[b"train/1.png"].boxes[0].label == "caries"
    assert annotations.by_path[b"test/1.png"].boxes[0].label == "healthy"


def test_the_problem_of_an_ambiguous_name_has_the_number_of_scans(batch):
    batch.write(**{f"{n}/a.png": "" for n in range(3)}, t_DOT_csv="file,label\na.png,healthy\n")
    [problem] = batch.read().problems
    assert (problem.kind, problem.where) == ("ambiguous", "t.csv line 2")
    assert "`a.png` matches 3 scans" in problem.what


def test_masks_are_not_in_the_way_of_names(batch):
    batch.write(**{"images/a.png": "", "masks/a.png": "", "t.csv": "file,label\na.png,healthy\n"})
    listing = list_batch(batch.folder)
    assert kinds(read_annotations(batch.folder, listing)) == ["ambiguous"]
    listing.scans = [
        replace(scan, kind=MASK) if scan.path == b"masks/a.png" else scan for scan in listing.scans
    ]
    annotations = read_annotations(batch.folder, listing)
    assert annotations.problems == []
    assert annotations.by_path.keys() == {b"images/a.png"}


def test_every_reader_counts_its_entries_its_scans_and_its_classes(batch):
    batch.write(**dict.fromkeys(("a.png", "b.png", "labels/notes.pdf"), ""))
    batch.write(**{"a.txt": "0 .5 .5 .1 .1\n1 .5 .5 .2 .2\n7 .1 .1 .1 .1", "b.txt": " \n"})
    batch.write(**{"gone.txt": "0 .5 .5 .1 .1", "classes.txt": "caries\nhealthy"})
    rows = "".join(f"gone{n}.png,healthy\n" for n in range(7))
    batch.write(**{"t.csv": f"file,label\na.png,Caries\nb.png,left side\n{rows}"})
    images = [{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "z.png"}]
    boxes = [{"image_id": n, "category_id": 1, "bbox": [1, 2, 3, 4]} for n in (7, 7, 8, 9)]
    text = coco(images=images, annotations=boxes, categories=[{"id": 1, "name": "Healthy"}])
    batch.write(**{"x.json": text, "y.json": "[]", "z.csv": "name,label\na.png,caries\n"})
    files = {file.path: file for file in batch.read().files}
    yolo, coco_file, table = files[b""], files[b"x.json"], files[b"t.csv"]
    assert (yolo.form, yolo.files, yolo.empty_files) == ("yolo", 3, 1)
    assert (yolo.entries, yolo.matched, yolo.unmatched) == (4, 3, ["gone.txt"])
    assert (yolo.classes, yolo.unused_classes) == ({"caries": 2, "healthy": 1}, {"7": 1})
    assert (table.form, table.entries, table.matched) == ("csv", 9, 2)
    assert table.unmatched == [f"gone{n}.png" for n in range(5)]
    assert (table.classes, table.unused_classes) == ({"caries": 1}, {"left side": 1})
    assert (coco_file.form, coco_file.entries, coco_file.matched) == ("coco", 6, 3)
    assert (coco_file.unmatched, coco_file.classes) == (["z.png"], {"healthy": 2})
    assert {files[b"y.json"].form, files[b"z.csv"].form} == {"unknown"}


def test_class_folders_count_their_scans(batch):
    batch.write(**{"healthy/a.png": "", "caries/b.png": "", "caries/c.png": ""})
    annotations = read_annotations(
        batch.folder, list_batch(batch.folder), LabelSettings(("healthy", "caries"))
    )
    [file] = annotations.files
    assert (file.form, file.entries, file.matched) == ("folders", 3, 3)
    assert file.classes == {"healthy": 1, "caries": 2}


def test_folders_that_may_be_classes_are_noticed_with_their_names(batch):
    batch.write(**{"train/healthy/a.png": "", "train/Deep Caries/b.png": "", "images/c.png": ""})
    batch.write(**{"test/healthy/d.png": "", "1001/e.png": "", "a.csv": "file,bits\na.png,12\n"})
    annotations = batch.read()
    found = {notice.where: notice for notice in annotations.notices}
    assert found.keys() == {"healthy", "deep_caries"}
    assert {notice.kind for notice in found.values()} == {"class_folders"}
    assert "2 scans" in found["healthy"].what
    assert "`class_folders`" in found["healthy"].what
    assert annotations.problems == []
    assert all(about.problems == 0 for about in annotations.by_path.values())


@pytest.mark.parametrize(
    "files",
    [
        {"train/a.png": "", "valid/b.png": "", "test/c.png": ""},
        {"healthy/a.png": "", "caries/b.png": "", "t.csv": "file,label\na.png,caries\n"},
        {f"p{n}/a.png": "" for n in range(40)},
        {"caries/a.png": ""},
    ],
)
def test_folders_that_are_no_classes_are_not_noticed(batch, files):
    assert batch.write(**files).read().notices == []


def test_empty_yolo_files_are_noticed_and_are_the_normal_class_on_request(batch):
    batch.write(**{"a.png": "", "a.txt": "", "b.png": "", "b.txt": "\n \n", "gone.txt": ""})
    batch.write(**{"c.png": "", "c.txt": "0 .5 .5 .1 .1", "classes.txt": "caries"})
    annotations = batch.read()
    assert [notice.where for notice in annotations.notices] == ["a.txt", "b.txt", "gone.txt"]
    assert {notice.kind for notice in annotations.notices} == {"empty_file"}
    assert not any(about.label for about in annotations.by_path.values())
    annotations = read_annotations(
        batch.folder, list_batch(batch.folder), LabelSettings(empty_label="healthy")
    )
    labels = {path: about.label for path, about in annotations.by_path.items()}
    assert labels == {b"a.png": "healthy", b"b.png": "healthy", b"c.png": None}


def test_an_empty_yolo_file_does_not_make_normal_what_another_file_labels(batch):
    batch.write(**{"a.png": "", "a.txt": "", "b.png": "", "b.txt": "", "c.png": "", "c.txt": ""})
    table = "file,label,x,y,w,h\na.png,caries,,,,\nb.png,caries,1,2,3,4\nc.png,,1,2,3,4\n"
    batch.write(**{"t.csv": table})
    annotations = read_annotations(
        batch.folder, list_batch(batch.folder), LabelSettings(empty_label="healthy")
    )
    assert [annotations.by_path[name].label for name in (b"a.png", b"b.png", b"c.png")] == [
        "caries",
        None,
        None,
    ]
    assert kinds(annotations) == ["two_classes"] * 2


def test_every_kind_of_problem_and_notice_is_documented():
    text = (Path(__file__).parents[3] / "docs/labels-and-review.md").read_text()
    for kind in (*PROBLEMS, *NOTICES):
        assert f"| `{kind}` |" in text
