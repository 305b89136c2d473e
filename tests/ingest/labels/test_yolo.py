"""Every form of YOLO files, what is reported of lines that cannot be used, and damaged files."""

import pytest

from pipeline.ingest.labels.class_names import LabelSettings
from pipeline.ingest.labels.read_all import read_annotations
from pipeline.ingest.labels.yolo.lines import read_line
from pipeline.ingest.list_files import list_batch
from tests import fuzz_yolo
from tests.builders.scans import write_files
from tests.builders.yolo_forms import YOLO_FORMS, YoloForm


def read(folder, files, **settings):
    fuzz_yolo.write(folder, {name: text.encode() for name, text in files.items()})
    return read_annotations(folder, list_batch(folder), LabelSettings(**settings))


@pytest.mark.parametrize("form", YOLO_FORMS, ids=lambda form: form.name)
def test_a_form_gives_its_boxes(tmp_path, form: YoloForm):
    annotations = read(tmp_path, {form.scan: "", **form.files})
    assert annotations.problems == []
    assert [entry.path.decode() for entry in list_batch(tmp_path).scans] == [form.scan]
    [(path, about)] = annotations.by_path.items()
    assert path.decode() == form.scan
    found = [(box.label, box.tooth, (box.x, box.y, box.w, box.h)) for box in about.boxes]
    assert found == [(label, tooth, pytest.approx(place)) for label, tooth, place in form.expected]
    assert {box.shares for box in about.boxes} == {"labelTxt/a.txt" not in form.files}


@pytest.mark.parametrize(
    "line",
    [
        "0",
        "0 0.5 0.5 0.2",
        "0 0.5 0.5 0.2 0.4 1.7",
        "0 0.5 0.5 0.2 0.4 x",
        "0 0.1 0.1 0.1 0.2 0.1 0.3",
        "0 0.1 0.1 0.2 0.2 0.3 0.1 7",
        "0.1 0.1 0.2 0.1 0.2 0.2 0.1 0.2 caries",
        "nan 0.5 0.5 inf 0.4",
        "images/a.png",
        "# class cx cy w h",
    ],
)
def test_other_lines_are_reported(tmp_path, line):
    annotations = read(tmp_path, {"a.png": "", "a.txt": line, "classes.txt": "caries"})
    assert [problem.kind for problem in annotations.problems] == ["unusable_line"]
    assert annotations.by_path[b"a.png"].boxes == []


def test_a_polygon_that_touches_the_edge_is_no_pose():
    polygon = "0 0.2 0.2 0.4 0.4 0.1 0.9 1 0.3 0.3 1"
    assert read_line(polygon, None, False).place == pytest.approx((0.1, 0.2, 0.9, 0.8))
    assert read_line("0 .5 .5 .2 .4 .4 .4 2", None, False).place == pytest.approx(
        (0.4, 0.3, 0.2, 0.4)
    )


def test_a_number_is_a_class_of_dota_in_its_folder_alone():
    line = "10 20 40 20 40 60 10 60 1 0"
    assert read_line(line, None, True) == ("1", (10, 20, 30, 40), False)
    assert read_line(line, None, False).written == "10"


def test_a_class_that_cannot_be_used_is_reported_once_by_its_name(tmp_path):
    boxes = "0 .5 .5 .1 .1\n0 .4 .4 .1 .1\n"
    files = {"a.png": "", "a.txt": boxes, "b.png": "", "b.txt": boxes, "classes.txt": "龋齿\n"}
    annotations = read(tmp_path, files)
    [problem] = annotations.problems
    assert (problem.kind, problem.where, problem.lines) == (
        "unknown_class",
        "classes.txt line 1",
        5,
    )
    assert 'class_names = {"龋齿" = "…"}' in str(problem)
    assert [about.problems for about in annotations.by_path.values()] == [2, 2]
    annotations = read(tmp_path, files, class_names={"龋齿": "caries"})
    assert annotations.problems == []
    assert {box.label for about in annotations.by_path.values() for box in about.boxes} == {
        "caries"
    }


def test_numbers_without_any_names_are_reported_once_a_folder_and_boxes_kept(tmp_path):
    boxes = "0 .5 .5 .1 .1\n1 .4 .4 .1 .1\n"
    annotations = read(tmp_path, {"a.png": "", "a.txt": boxes, "b.png": "", "b.txt": boxes})
    [problem] = annotations.problems
    assert (problem.kind, problem.lines) == ("unknown_class", 4)
    assert "obj.names" in problem.what
    assert [len(about.boxes) for about in annotations.by_path.values()] == [2, 2]


def test_teeth_of_yolo_files_are_noticed_and_counted_as_teeth(tmp_path):
    annotations = read(
        tmp_path, {"a.png": "", "a.txt": "0 .5 .5 .1 .1", "data.yaml": "names: ['11']"}
    )
    assert [notice.kind for notice in annotations.notices] == ["tooth_classes"]
    assert annotations.files[0].tooth_classes == {"11": 1}
    assert annotations.by_path[b"a.png"].no_findings == ["11"]


def test_lists_of_images_beside_names_of_classes_are_no_labels(tmp_path):
    write_files(tmp_path, obj_names="caries", train_txt="data/a.png", other_txt="0 .5 .5 .1 .1")
    assert [e.path for e in list_batch(tmp_path).labels] == [b"obj.names", b"other.txt"]


def test_damaged_yolo_files_lose_no_line_silently():
    assert fuzz_yolo.fuzz(500) == {}
