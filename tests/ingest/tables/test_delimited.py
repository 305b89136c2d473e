"""Text tables: where the header is, what separates cells, and what is wrong with damaged ones."""

import pytest

from pipeline.ingest.tables.delimited import read_delimited
from pipeline.ingest.tables.label_columns import has_name_column
from pipeline.ingest.tables.table import UnreadableTable


def read(text):
    return read_delimited(text, has_name_column)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    ("above", "number"),
    [
        ("", 2),
        ("\n  \n", 4),
        ("Findings of 2026\n,;\t|\n", 4),
        ("# made with care; by us, in May\n", 3),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_header_may_stand_below_other_lines(delimiter, above, number, end):
    text = above + "File Name,Label\na.png,caries\n".replace(",", delimiter)
    table = read(text.replace("\n", end))
    assert table.headings == ["File Name", "Label"]
    assert table.rows == [(number, ["a.png", "caries"])]


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;", "\n\nsep=;"])
def test_a_first_line_may_name_the_delimiter(first):
    table = read(f"{first}\nfile;note, or text\na.png;1,5\n")
    assert table.headings == ["file", "note, or text"]
    assert [row.cells for row in table.rows] == [["a.png", "1,5"]]


def test_without_a_known_heading_the_first_line_with_text_is_the_header():
    assert read("\nwhat;who, then;x\n1;2;3\n").headings == ["what", "who, then", "x"]
    assert read("").headings == read("\n \n").headings == []


def test_rows_without_a_value_are_left_out_and_numbers_stay_those_of_the_file():
    table = read('file,note\n,\n\na.png,"two\nlines"\n , \nb.png,\n')
    assert table.rows == [(5, ["a.png", "two\nlines"]), (7, ["b.png", ""])]


@pytest.mark.parametrize("first", [0, 1])
def test_the_numbers_of_rows_may_lack_a_heading(first):
    table = read('"file" "label"\n'.replace(" ", ",") + f"{first},a.png,x\n{first + 1},b.png,y\n")
    assert table.headings == ["", "file", "label"]
    assert read("file,label\n7,a.png,x\n9,b.png,y\n").headings == ["file", "label"]


def test_lines_that_are_no_csv_are_numbered_and_the_others_are_read():
    table = read('file,note\na.png,"left" side\nb.png,x\nc.png,"open\nd.png,\n')
    assert [row.number for row in table.rows] == [3]
    assert [number for number, _ in table.broken] == [2, 4]
    assert "up to line 5" in table.broken[1][1]
    assert "within a quoted field" in table.unfinished


def test_a_header_that_is_no_csv_is_refused_with_its_line():
    with pytest.raises(UnreadableTable, match="is not CSV") as caught:
        read('\n"file,label\na.png,caries\n')
    assert caught.value.line == 2


@pytest.mark.parametrize(
    ("text", "is_unfinished"),
    [
        ("file,patient,label\na.png,Ann,healthy\nb.png,", True),
        ("file,patient,label\na.png,Ann,healthy", False),
        ("file,patient,label\na.png,Ann\nb.png,Bob", False),
        ("file,patient,label\na.png,Ann,healthy\nb.png\n", False),
    ],
)
def test_a_table_that_ends_within_a_line_is_unfinished(text, is_unfinished):
    assert (read(text).unfinished is not None) == is_unfinished
