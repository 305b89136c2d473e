"""Label files of a batch: what is understood, and that the rest is told, never dropped."""

import pytest

from pipeline.ingest.listing import list_batch
from pipeline.stages.plan import read_annotations


@pytest.fixture
def batch(tmp_path, monkeypatch):
    """A folder to write files into, and a way to read its annotations."""
    monkeypatch.setattr("pipeline.ingest.listing.SECOND_LOOK_SECONDS", 0)

    class Batch:
        folder = tmp_path

        def write(self, **files):
            for name, text in files.items():
                path = tmp_path / name.replace("__", "/").replace("_DOT_", ".")
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(text if isinstance(text, bytes) else text.encode())
            return self

        def read(self):
            return read_annotations(tmp_path, list_batch(tmp_path))

    return Batch()


def kinds(annotations):
    return [problem.kind for problem in annotations.problems]


def test_yolo_boxes_get_their_class_and_their_place_as_shares(batch):
    batch.write(a_DOT_png="", a_DOT_txt="1 0.5 0.5 0.2 0.4\n", classes_DOT_txt="caries\nhealthy\n")
    [box] = batch.read().by_path[b"a.png"].boxes
    assert (box.label, box.shares, box.tooth) == ("healthy", True, None)
    assert (box.x, box.y, box.w, box.h) == pytest.approx((0.4, 0.3, 0.2, 0.4))


def test_a_class_may_be_named_and_its_spelling_does_not_matter(batch):
    batch.write(
        a_DOT_png="", a_DOT_txt="caries 0.5 0.5 0.2 0.4\n", classes_DOT_txt=" Caries \nhealthy"
    )
    assert batch.read().by_path[b"a.png"].boxes[0].label == "caries"


def test_the_classes_of_a_folder_above_hold_unless_the_folder_has_its_own(batch):
    batch.write(classes_DOT_txt="healthy\n", sub__a_DOT_png="", sub__a_DOT_txt="0 .5 .5 .1 .1")
    assert batch.read().by_path[b"sub/a.png"].boxes[0].label == "healthy"
    batch.write(sub__classes_DOT_txt="caries\n")
    assert batch.read().by_path[b"sub/a.png"].boxes[0].label == "caries"


@pytest.mark.parametrize(
    ("kind", "where", "line", "boxes"),
    [
        ("unknown_class", "a.txt line 2", "7 .5 .5 .1 .1", 2),
        ("unusable_line", "a.txt line 2", "0 .5 .5 .1", 1),
        ("unusable_line", "a.txt line 2", "0 .5 .5 nan .1", 1),
        ("unusable_line", "a.txt line 2", "0 .5 .5 -0.1 .1", 1),
    ],
)
def test_a_yolo_line_in_doubt_is_told_with_file_and_line(batch, kind, where, line, boxes):
    batch.write(a_DOT_png="", a_DOT_txt=f"0 .2 .2 .1 .1\n{line}\n", classes_DOT_txt="healthy")
    annotations = batch.read()
    [problem] = annotations.problems
    assert (problem.kind, problem.where) == (kind, where)
    assert len(annotations.by_path[b"a.png"].boxes) == boxes
    assert annotations.by_path[b"a.png"].problems == 1


def test_labels_of_a_missing_scan_and_boxes_without_classes_are_told(batch):
    batch.write(a_DOT_png="", a_DOT_txt="0 .5 .5 .1 .1")
    assert kinds(batch.read()) == ["unknown_class"]
    batch.write(classes_DOT_txt="healthy", gone_DOT_txt="0 .5 .5 .1 .1")
    [problem] = batch.read().problems
    assert (problem.kind, problem.where) == ("missing_scan", "gone.txt")


@pytest.mark.parametrize("comma", [",", ";", "\t"])
def test_a_table_tells_label_patient_tooth_and_bits(batch, comma):
    table = "file,label,patient,tooth,bits\na.png,Healthy, Ann 1 ,36,12\n".replace(",", comma)
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
def test_a_table_line_in_doubt_is_told_with_file_and_line(batch, kind, row):
    batch.write(a_DOT_png="", t_DOT_csv=f"file,label,tooth,x,y,w,h\n{row}\n")
    [problem] = batch.read().problems
    assert (problem.kind, problem.where) == (kind, "t.csv line 2")


def test_a_label_outside_classes_txt_is_told_and_not_used(batch):
    batch.write(
        a_DOT_png="", classes_DOT_txt="healthy\ncaries", t_DOT_csv="file,label\na.png,carries\n"
    )
    annotations = batch.read()
    assert kinds(annotations) == ["unknown_class"]
    assert annotations.by_path[b"a.png"].label is None


def test_a_name_that_means_two_scans_is_told_until_the_path_is_given(batch):
    batch.write(one__a_DOT_png="", two__a_DOT_png="", t_DOT_csv="file,label\na.png,healthy\n")
    assert kinds(batch.read()) == ["ambiguous"]
    batch.write(t_DOT_csv="file,label\none\\a.png,healthy\n")
    annotations = batch.read()
    assert annotations.problems == []
    assert annotations.by_path[b"one/a.png"].label == "healthy"


def test_two_patients_for_one_scan_are_told_and_the_first_stays(batch):
    batch.write(a_DOT_png="", t_DOT_csv="file,patient\na.png,one\na.png,two\n")
    annotations = batch.read()
    assert kinds(annotations) == ["two_patients"]
    assert annotations.by_path[b"a.png"].patient == "one"


def test_label_files_that_are_no_text_or_no_table_are_told(batch):
    batch.write(a_DOT_png="", bad_DOT_csv=b"\xff\xfe\x00", other_DOT_csv="name\na.png\n")
    assert kinds(batch.read()) == ["unreadable", "unusable_line"]


def test_the_digest_changes_with_what_is_said_not_with_where(batch):
    def digest(text):
        batch.write(a_DOT_png="", a_DOT_txt=text, classes_DOT_txt="healthy\ncaries")
        return batch.read().by_path[b"a.png"].digest()

    first = digest("0 .5 .5 .1 .1")
    assert digest("\n0 .5 .5 .1 .1") == first
    assert digest("1 .5 .5 .1 .1") != first
