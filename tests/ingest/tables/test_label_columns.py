"""What columns are, by the headings that people and programs give them."""

import pytest

from pipeline.ingest.tables.label_columns import label_columns
from pipeline.ingest.tables.numbers import read_number, without_decimals


@pytest.mark.parametrize(
    ("header", "read"),
    [
        ("file,label,patient,tooth,bits", "name label patient tooth bits"),
        ("Image ID,group,bytes", "name patient -"),
        ("IMAGE-PATH, Diagnosis ,Subject_ID,Tooth No.", "name label patient tooth"),
        (",filename,class", "- name label"),
        ("Unnamed: 0,img,category,PatientID,fdi", "- name label patient tooth"),
        ("Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age", "name label - patient -"),
        ("Dateiname,Befund,Patienten-ID,Zahn", "name label patient tooth"),
        ("파일명,진단,환자번호,치아번호", "name label patient tooth"),
        ("dosya_adı,Tanı,Hasta,Diş", "name label patient tooth"),
    ],
)
def test_headings_are_read_as_people_write_them(header, read):
    columns = label_columns(header.split(","))
    places = {"name": columns.names[0], "label": columns.label, "tooth": columns.tooth}
    places |= {"patient": next(iter(columns.patients), None), "bits": columns.bits}
    by_place = {place: meaning for meaning, place in places.items()}
    assert [by_place.get(place, "-") for place in range(header.count(",") + 1)] == read.split()
    assert columns.unread == {}


@pytest.mark.parametrize(
    ("header", "places", "has_corners"),
    [
        ("x,y,w,h,file", (0, 1, 2, 3), False),
        ("H,W,Y,X", (3, 2, 1, 0), False),
        ("filename,width,height,class,xmin,ymin,xmax,ymax", (4, 5, 6, 7), True),
        ("x_min,y_min,x_max,y_max", (0, 1, 2, 3), True),
        ("bbox_xmin,bbox_ymin,bbox_xmax,bbox_ymax", (0, 1, 2, 3), True),
        ("x1,y1,x2,y2", (0, 1, 2, 3), True),
        ("x0,y0,x1,y1", (0, 1, 2, 3), True),
        ("left,top,right,bottom", (0, 1, 2, 3), True),
        ("Left,Top,Width,Height", (0, 1, 2, 3), False),
        ("x,y,width,height", (0, 1, 2, 3), False),
        ("X (px),Y (px),W (px),H (px)", (0, 1, 2, 3), False),
        ("xmin,ymin,width,height", (0, 1, 2, 3), False),
        ("bbox_x,bbox_y,bbox_w,bbox_h,x,y,w,h", (4, 5, 6, 7), False),
    ],
)
def test_boxes_are_read_in_the_forms_that_programs_write(header, places, has_corners):
    assert label_columns(header.split(",")).box == (places, has_corners)


def test_a_box_that_lacks_columns_is_no_box_and_the_size_of_an_image_is_no_part_of_one():
    columns = label_columns(["file", "x", "y", "w", "width", "height"])
    assert (columns.box.places, columns.unread) == ((1, 2, 4, 5), {3: "it looks like a box"})
    columns = label_columns(["file", "xmin", "ymin", "xmax", "width", "heights"])
    assert (columns.box, columns.part_of_box) == (None, [1, 2, 3])
    assert label_columns(["file", "width", "height"]).part_of_box == []


@pytest.mark.parametrize(
    ("header", "unread"),
    [
        ("file,label,class", {2: "`label` is read as the label"}),
        ("file,class,label", {1: "`label` is read as the label"}),
        ("file,patient,Patient Name", {2: "it looks like a patient"}),
        ("file,patient,patient_id,group", {2: "`patient` is read as the patient"}),
        ("file,bbox", {1: "it looks like a box"}),
        ("file,x_center,y_center", {1: "it looks like a box", 2: "it looks like a box"}),
        ("file,class_id,lesion type", {1: "it looks like a label", 2: "it looks like a label"}),
        ("file,patient_age,Patient Sex,notes,date", {}),
    ],
)
def test_columns_that_look_like_one_to_read_are_listed_with_the_reason(header, unread):
    assert label_columns(header.split(",")).unread == unread


def test_the_documented_headings_come_before_others():
    assert label_columns(["image", "image_id", "file"]).names == [2, 1, 0]
    assert label_columns(["subject", "group", "patient"]).patients == [2, 1]
    assert label_columns(["label", "file", "label"]).label == 2


@pytest.mark.parametrize(
    ("text", "number", "in_semicolons"),
    [
        ("1.5", 1.5, 1.5),
        ("1,5", 1.5, 1.5),
        ("-0,25", -0.25, -0.25),
        ("512,1250", 512.125, 512.125),
        ("1,234", None, 1.234),
        ("1.234,5", None, None),
        ("1,2,3", None, None),
        ("", None, None),
        ("12 px", None, None),
    ],
)
def test_a_decimal_comma_is_read_where_it_can_be_nothing_else(text, number, in_semicolons):
    for expected, comma_is_decimal in ((number, False), (in_semicolons, True)):
        found = read_number(text, comma_is_decimal)
        assert (found == expected) if expected is not None else (found != found)


def test_whole_numbers_lose_their_decimals():
    texts = ("18", "18.0", "18,0", "18.", "18.5", "1,8", "UR6", "")
    assert [*map(without_decimals, texts)] == ["18", "18", "18", "18", "18.5", "1,8", "UR6", ""]
