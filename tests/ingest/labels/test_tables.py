"""Tables of labels: what each of their rows becomes, and what is reported of the rest."""

import io
import os

import openpyxl
import pytest

from pipeline.ingest.labels.class_names import LabelSettings
from pipeline.ingest.labels.read_all import read_annotations
from pipeline.ingest.list_files import list_batch
from tests.builders.via_table import VIA
from tests.fuzz_tables import fuzz


def workbook(*rows):
    book, data = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(data)
    return data.getvalue()


@pytest.fixture
def read(tmp_path):
    """Write files into a folder, with the scans a.png to d.png, and read its annotations."""

    def read(settings=None, scans="abcd", **files):
        for name, content in (files | {f"{scan}_png": "" for scan in scans}).items():
            path = tmp_path / ".".join(name.rsplit("_", 1)).replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            os.utime(path, (10**9, 10**9))
        return read_annotations(tmp_path, list_batch(tmp_path), settings)

    return read


def labels(annotations):
    return {os.fsdecode(path): about.label for path, about in annotations.by_path.items()}


def boxes(annotations):
    return [
        (box.x, box.y, box.w, box.h, box.label, box.tooth)
        for about in annotations.by_path.values()
        for box in about.boxes
    ]


def notices(annotations):
    return [(notice.kind, str(notice)) for notice in annotations.notices]


TEXT = "Datei;Befund;Patient;Zahn\na.png;Karies;Müller;18,0\nb.png;gesund;Großmann;\n"
EXCEL = workbook(
    ["Datei", "Befund", "Patient", "Zahn"],
    ["a.png", "Karies", "Müller", 18],
    ["b.png", "gesund", "Großmann", None],
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t_csv", TEXT.encode()),
        ("t_csv", TEXT.encode("cp1252")),
        ("t_csv", TEXT.encode("utf-16")),
        ("t_csv", b"sep=;\r\n" + TEXT.replace("\n", "\r\n").encode("cp1252")),
        ("t_TSV", TEXT.replace(";", "\t").encode("utf-8-sig")),
        ("t_tab", TEXT.replace(";", "\t").encode()),
        ("t_txt", TEXT.replace(";", "\t").encode("utf-16")),
        ("t_txt", TEXT.replace(";", "|").encode()),
        ("labels__t_txt", TEXT.encode("cp1252")),
        ("t_xlsx", EXCEL),
        ("t_xlsm", EXCEL),
        ("t_csv", EXCEL),
    ],
)
def test_one_table_in_every_form_gives_the_same_annotations(read, name, content):
    annotations = read(**{name: content})
    assert annotations.problems == []
    a, b = annotations.by_path[b"a.png"], annotations.by_path[b"b.png"]
    assert (a.label, a.patient, a.tooth) == ("karies", "Müller", 18)
    assert (b.label, b.patient, b.tooth) == ("gesund", "Großmann", None)
    assert annotations.unread_tables == {}


def test_a_guessed_encoding_is_noticed_with_its_name(read):
    text = "파일명,진단,환자\na.png,caries,김철수\n".encode("cp949")
    annotations = read(t_csv=text)
    assert annotations.by_path[b"a.png"].patient == "김철수"
    [(kind, what)] = notices(annotations)
    assert kind == "guessed"
    assert "t.csv: was read as cp949" in what


def test_files_of_images_and_lists_in_txt_files_are_no_tables(read):
    yolo = {"a_txt": "0 .5 .5 .1 .1", "classes_txt": "file\nlabel\n", "b_txt": "file,label\n"}
    annotations = read(**yolo, train_txt="./a.png\n./b.png\n", notes_txt="file: see a.png\n")
    assert {file.form for file in annotations.files} == {"yolo"}
    assert boxes(annotations)[0][4] == "file"


def test_a_txt_table_beside_class_names_is_no_yolo_file(read):
    annotations = read(classes_txt="caries\n", findings_txt="file\tlabel\na.png\tcaries\n")
    assert labels(annotations) == {"a.png": "caries"}
    assert [file.form for file in annotations.files] == ["csv"]


@pytest.mark.parametrize(
    ("header", "values"),
    [
        ("x,y,w,h", "10,20,30,40"),
        ("xmin,ymin,xmax,ymax", "10,20,40,60"),
        ("X_Min,Y_Min,X_Max,Y_Max", "10.0,20.0,40.0,60.0"),
        ("x1,y1,x2,y2", "10,20,40,60"),
        ("left,top,right,bottom", "10,20,40,60"),
        ("left,top,width,height", "10,20,30,40"),
    ],
)
@pytest.mark.parametrize("decimal", [".", ","])
def test_boxes_in_every_form_are_the_same_box(read, header, values, decimal):
    table = f"file,class,{header}\na.png,caries,{values}\n".replace(",", ";").replace(".0", ".50")
    annotations = read(t_csv=table.replace(".50", f"{decimal}0"))
    assert boxes(annotations) == [(10, 20, 30, 40, "caries", None)]
    assert notices(annotations) == []


@pytest.mark.parametrize(
    ("header", "values", "message"),
    [
        ("xmin,ymin,xmax,ymax", "40,20,10,60", "xmin, ymin, xmax, ymax are `40, 20, 10, 60`"),
        ("x,y,w,h", "1,2,3,", "x, y, w, h are `1, 2, 3, `"),
        ("x1,y1,x2", "1,2,3", "x1, y1, x2 are `1, 2, 3`"),
        ("x,y", "1,2", "x, y are `1, 2`, not a box in pixels"),
        ('"x",y,w,h', '"1,234",2,3,4', "x, y, w, h are `1,234, 2, 3, 4`"),
    ],
)
def test_what_is_no_box_is_reported_and_its_label_is_not_that_of_the_scan(
    read, header, values, message
):
    annotations = read(t_csv=f"file,label,{header}\na.png,caries,{values}\n")
    [problem] = annotations.problems
    assert (problem.kind, problem.where) == ("unusable_line", "t.csv line 2")
    assert message in problem.what
    assert (boxes(annotations), labels(annotations)) == ([], {"a.png": None})


def test_roboflow_annotations_are_read(read):
    table = (
        "filename,width,height,class,xmin,ymin,xmax,ymax\n"
        "a.png,640,480,Caries,10,20,40,60\na.png,640,480,Crown,1,2,3,4\n"
    )
    annotations = read(_annotations_csv=table)
    assert boxes(annotations) == [
        (10, 20, 30, 40, "caries", None),
        (1, 2, 2, 2, "crown", None),
    ]
    assert (annotations.problems, annotations.notices) == ([], [])


CLASSES = "filename, Caries, Deep Caries, healthy\na.png, 1, 0, 0\nb.png,0,0,1\n"


def test_roboflow_classes_are_read(read):
    annotations = read(_classes_csv=CLASSES + "c.png,1,1,0\nd.png,0,0,0\n")
    assert labels(annotations) == {
        "a.png": "caries",
        "b.png": "healthy",
        "c.png": "deep_caries",
        "d.png": None,
    }
    [problem] = annotations.problems
    assert (problem.kind, problem.where) == ("two_classes", "_classes.csv line 4")
    [(kind, what)] = notices(annotations)
    assert (kind, what) == ("empty_row", "_classes.csv line 5: has no class")


def test_a_row_without_a_class_is_normal_on_request_only(read):
    table = CLASSES + "c.png,0,0,0\n"
    annotations = read(LabelSettings(empty_label="healthy"), _classes_csv=table)
    assert labels(annotations)["c.png"] == "healthy"


@pytest.mark.parametrize(
    ("header", "found", "noticed"),
    [
        ("caries,crown", {"caries", "crown"}, ["only 0 and 1 in `caries`, `crown`, which were"]),
        ("caries,sex", {None}, ["without its column `caries` (it has only 0"]),
        ("smoker,diabetes", {None}, []),
    ],
)
def test_columns_of_0_and_1_are_classes_if_they_can_be_little_else(read, header, found, noticed):
    annotations = read(t_csv=f"file,patient,{header}\na.png,p,1,0\nb.png,q,0,1\n")
    assert set(labels(annotations).values()) == found
    assert len(notices(annotations)) == len(noticed)
    for (_, what), message in zip(notices(annotations), noticed, strict=True):
        assert message in what


def test_a_column_of_0_and_1_is_a_class_if_it_is_known_as_one(read):
    table = "file,age,Karies,sex\na.png,50,1,1\nb.png,60,0,1\n"
    annotations = read(t_csv=table, classes_txt="karies\n")
    assert labels(annotations) == {"a.png": "karies", "b.png": None}
    annotations = read(LabelSettings(class_names={"karies": "caries"}), t_csv=table)
    assert labels(annotations)["a.png"] == "caries"


def test_a_table_with_labels_has_no_class_columns(read):
    annotations = read(t_csv="file,label,caries,crown\na.png,healthy,1,0\nb.png,crown,0,1\n")
    assert labels(annotations) == {"a.png": "healthy", "b.png": "crown"}


def test_tables_of_via_are_read(read):
    annotations = read(via_csv=VIA)
    assert boxes(annotations) == [
        (1, 2, 3, 4, "caries", None),
        (15, 25, 10, 10, "crown", None),
        (1, 2, 4, 6, "crown", 36),
    ]
    assert labels(annotations)["c.png"] == "healthy"
    assert [file.form for file in annotations.files] == ["via"]
    assert annotations.problems == []
    assert notices(annotations) == [("empty_row", "via.csv line 6: has no region")]


@pytest.mark.parametrize(
    ("old", "new", "kind", "boxes_left"),
    [
        ('""circle""', '""point""', "unusable_line", 2),
        (', ""cy"": 30', "", "unusable_line", 2),
        ('{""name"": ""circle""', '{""name', "unusable_line", 2),
        ('a.png,9,{},2,0,"{""name"": ""c', 'z.png,9,{},2,0,"{""name"": ""c', "missing_scan", 2),
        ('""Crown""}"\nb', '""???""}"\nb', "unknown_class", 3),
    ],
)
def test_what_cannot_be_used_of_a_table_of_via_is_reported_with_its_line(
    read, old, new, kind, boxes_left
):
    assert old in VIA
    annotations = read(via_csv=VIA.replace(old, new))
    [problem] = annotations.problems
    assert (problem.kind, problem.where) == (kind, "via.csv line 3")
    assert len(boxes(annotations)) == boxes_left


def test_columns_that_look_like_one_to_read_are_noticed_by_name(read):
    table = "file,label,Diagnosis,Patient Name,bbox,notes\na.png,caries,x,Ann,[1],y\n"
    annotations = read(t_csv=table)
    assert labels(annotations) == {"a.png": "caries"}
    [(kind, what)] = notices(annotations)
    assert kind == "not_read"
    assert what.split("`")[1::2] == ["Diagnosis", "label", "Patient Name", "bbox"]


def test_of_two_columns_with_names_the_one_that_names_scans_is_read(read):
    table = "image_id,file_name,label\n1,a.png,caries\n2,b.png,healthy\n"
    annotations = read(t_csv=table)
    assert labels(annotations) == {"a.png": "caries", "b.png": "healthy"}
    assert annotations.problems == []
    assert "`image_id` (`file_name` names the scans)" in notices(annotations)[0][1]


def test_a_column_id_names_scans_if_most_of_them_are_there(read):
    annotations = read(t_csv="id,label\na,caries\nb,healthy\nz,crown\n")
    assert labels(annotations) == {"a.png": "caries", "b.png": "healthy"}
    assert "column `id` was read as that" in notices(annotations)[0][1]
    annotations = read(t_csv="id,label\na,caries\ny,healthy\nz,crown\n")
    [problem] = annotations.problems
    assert "`id`, `label`; it was not used" in problem.what


def test_rows_with_more_values_than_columns_are_not_read_in_the_wrong_columns(read):
    table = "file,note,label\na.png,big, left,caries\nb.png,small,crown\n"
    annotations = read(t_csv=table)
    assert labels(annotations) == {"a.png": None, "b.png": "crown"}
    [problem] = annotations.problems
    assert (problem.kind, problem.where) == ("unusable_line", "t.csv line 2")
    assert "4 values for 3 columns" in problem.what
    annotations = read(t_csv="file,label,note\na.png,caries,big, left\nb.png,crown,,,\n")
    assert labels(annotations) == {"a.png": "caries", "b.png": "crown"}
    assert "beyond the last column in 1 rows, the first in line 2" in notices(annotations)[0][1]


def test_rows_of_sheets_are_reported_with_the_numbers_of_the_sheet(read):
    table = workbook([], ["file", "tooth"], ["a.png", 99], [], ["gone.png", 11])
    annotations = read(t_xlsx=table)
    assert [(each.kind, each.where) for each in annotations.problems] == [
        ("unusable_line", "t.xlsx row 3"),
        ("missing_scan", "t.xlsx row 5"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\3\4", "no whole Excel file"),
        (bytes(range(256)) * 4, "not text in a known encoding"),
        (b'file,patient\na.png,"Ann\nb.png,Bob\n', "ends within a quoted field"),
        (b"file,patient,label\na.png,Ann,healthy\nb.png,", "ends within its last line"),
        ('file,patient\n"a.png,Zoë\n'[13:].encode(), "is not CSV"),
    ],
)
def test_a_table_that_cannot_be_read_is_listed_with_the_reason(read, content, message):
    assert message in read(t_csv=content).unread_tables[b"t.csv"]


@pytest.mark.parametrize("content", ["sep=;\n", "\n \n", workbook()])
def test_a_table_without_a_header_is_reported(read, content):
    [problem] = read(t_csv=content).problems
    assert (problem.kind, problem.what) == ("unusable_line", "has no header; it was not used")
    assert read(t_csv="").problems == []


def test_no_value_of_a_strange_table_is_lost_in_silence():
    assert fuzz(250) == {}
