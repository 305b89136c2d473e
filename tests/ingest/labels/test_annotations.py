"""Label files of a batch: annotations read from them, and problems reported for the rest."""

import json
from itertools import pairwise

import pytest

from pipeline.ingest.list_files import list_batch
from pipeline.stages.plan import read_annotations


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
def test_json_that_is_not_coco_is_reported(batch, text):
    batch.write(a_DOT_png="", x_DOT_json=text)
    [problem] = batch.read().problems
    assert problem.kind == "unusable_line"
    assert "not a COCO file" in problem.what


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
    annotations = read_annotations(batch.folder, list_batch(batch.folder), ("Healthy", "caries"))
    assert annotations.by_path[b"healthy/a.png"].label == "healthy"
    assert annotations.by_path[b"caries/b.png"].label == "impacted"
    assert kinds(annotations) == ["two_classes"]
