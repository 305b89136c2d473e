"""Names in label files: which scan they mean, near the label file first, and never a guess."""

import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ingest.labels.find_scan import Found, ScanFinder, name_parts

NONE = Found(None, 0)


def find(name, label_file, *scans):
    """What one name in one label file means, as text."""
    finder = ScanFinder(map(os.fsencode, scans))
    [found] = finder.find([name], os.fsencode(label_file)).values()
    return found.path.decode() if found.path else found.count


@pytest.mark.parametrize(
    "name",
    [
        "x.png",
        "./x.png",
        " x.png ",
        ".//./x.png",
        "sub/../x.png",
        ".\\x.png",
        "/x.png",
        "C:\\scans\\x.png",
        "c:/scans/x.png",
        "\\\\nas\\scans\\x.png",
        "/data/upload/7/x.png",
        "data/upload/7/x.png",
        "/data/upload/7/0a1b2c3d-x.png",
        "/data/local-files/?d=scans/x.png",
        "/data/local-files/?d=x.png",
        "file:///C:/scans/x.png",
        "https://host.example/scans/x.png?token=a/b",
        "s3://bucket/scans/x.png",
        "../../../x.png",
        "/home/ann/../bob/x.png",
        "x%2Epng",
        "X.PNG",
        "x",
        "X",
        "x.jpg",
        "x.DCM",
    ],
)
@pytest.mark.parametrize("label_file", ["set/t.csv", "set/labels/t.csv", "t.csv", "tables/a/t.csv"])
def test_a_name_is_found_however_it_is_written(name, label_file):
    assert find(name, label_file, "set/xrays/x.png", "set/xrays/y.png") == "set/xrays/x.png"


@pytest.mark.parametrize(
    ("name", "scan"),
    [
        ("ä ö.png", unicodedata.normalize("NFD", "ä ö.png")),
        (unicodedata.normalize("NFD", "ä.png"), "ä.png"),
        ("a%20b.png", "a b.png"),
        ("a b.png", "a%20b.png/a b.png"),
        ("a  b.png", "a b.png"),
        ("images/x.png", "images\\x.png"),
        ("Images\\X.png", "images/x.PNG"),
        ("1.2.840.113", "1.2.840.113.dcm"),
        ("1.2.840.113", "1.2.840.113"),
        ("x.png", "x.png.dcm"),
        ("x.jpeg", "x.jpg"),
        ("deadbeef-x.png", "deadbeef-x.png"),
    ],
)
def test_spellings_of_files_and_names_are_compared_in_one_form(name, scan):
    assert find(name, "t.csv", scan) == scan


@pytest.mark.parametrize("name", ["", " ", ".", "..", "/", "C:\\", "y.png", "x.pn", "1.2.840"])
def test_a_name_that_means_no_scan_is_missing(name):
    assert find(name, "t.csv", "x.png", "1.2.840.113") == 0


def test_a_dotted_image_id_is_no_name_with_a_suffix():
    assert find("1.2.113", "t.csv", "1.2.jpg") == 0


@pytest.mark.parametrize(
    ("name", "label_file", "expected"),
    [
        ("x.png", "t.csv", "x.png"),
        ("x.png", "a/t.csv", "a/x.png"),
        ("x.png", "a/b/t.csv", "a/x.png"),
        ("x.png", "b/t.csv", "b/c/d/x.png"),
        ("x.png", "e/t.csv", 3),
        ("d/x.png", "a/t.csv", 2),  # near by its name, farther away by its folder
        ("c/d/x.png", "e/f/t.csv", "b/c/d/x.png"),
        ("../x.png", "a/t.csv", "x.png"),
        ("../x.png", "a/b/t.csv", "a/x.png"),
        ("../../b/c/d/x.png", "a/e/t.csv", "b/c/d/x.png"),
    ],
)
def test_a_scan_nearer_to_the_label_file_comes_first(name, label_file, expected):
    assert find(name, label_file, "x.png", "a/x.png", "b/c/d/x.png") == expected


def test_a_path_from_a_folder_above_counts_more_than_an_equal_name_nearby():
    scans = "train/1.png", "test/1.png"
    assert find("test/1.png", "train/all.csv", *scans) == "test/1.png"
    assert find("/mnt/set/test/1.png", "train/all.csv", *scans) == "test/1.png"
    assert find("train/1.png", "train/all.csv", *scans) == "train/1.png"
    assert find("train/1.png", "tables/all.csv", "train/1.png", "old/train/1.png") == "train/1.png"


def test_two_scans_at_one_step_are_ambiguous_and_counted():
    scans = "a/b/x.png", "a/c/x.png", "d/x.png"
    assert find("x.png", "a/t.csv", *scans) == 2
    assert find("x.png", "t.csv", *scans) == 3
    assert find("c/x.png", "t.csv", *scans) == "a/c/x.png"


def test_the_right_case_comes_before_another_one_even_if_farther_away():
    assert find("X.png", "a/t.csv", "a/x.png", "b/X.png") == "b/X.png"
    assert find("X.png", "t.csv", "a/x.png", "b/x.PNG") == 2


def test_the_right_suffix_comes_before_another_one_and_another_must_be_the_only_one():
    assert find("x.jpg", "a/t.csv", "a/x.png", "b/x.JPG") == "b/x.JPG"
    assert find("x.jpg", "t.csv", "x.png", "x.dcm") == 2
    assert find("x.jpg", "a/t.csv", "a/x.png", "b/x.png") == "a/x.png"


def test_a_name_does_not_get_a_scan_that_another_name_of_the_file_means_completely():
    finder = ScanFinder([b"test/1.png"])
    found = finder.find(["train/1.png", "test/1.png"], b"all.csv")
    assert found == {"train/1.png": NONE, "test/1.png": Found(b"test/1.png", 1)}
    found = finder.find(["1.jpg", "1.png"], b"test/all.csv")
    assert found == {"1.jpg": NONE, "1.png": Found(b"test/1.png", 1)}


def test_of_two_names_that_match_one_scan_in_part_none_gets_it():
    finder = ScanFinder([b"1.png"])
    found = finder.find(["train/1.png", "test/1.png", "train\\1.png"], b"all.csv")
    assert set(found.values()) == {Found(None, 1)}
    found = finder.find(["train/1.png", "train\\1.png", "./train/1.png"], b"all.csv")
    assert set(found.values()) == {Found(b"1.png", 1)}


def test_names_that_are_not_valid_text_and_odd_paths_do_no_harm():
    scans = [b"\xff.png", b"\\", b"a\\", b" ", b"a\0b.png"]
    finder = ScanFinder(scans)
    assert finder.find([os.fsdecode(b"\xff.png")], b"\xfe/t.csv").popitem()[1].path == b"\xff.png"


NAMES = st.text("aB.é /\\:", min_size=1, max_size=12)


@given(NAMES)
def test_normalised_names_are_stable_and_have_no_empty_part(name):
    parts = name_parts(name)
    assert "" not in parts
    assert "." not in parts
    below = [part for part in parts if part != ".."]
    assert parts == ("..",) * (len(parts) - len(below)) + tuple(below)


@given(st.lists(NAMES, min_size=1, max_size=6, unique=True), NAMES, NAMES)
def test_a_found_scan_is_one_of_the_batch_and_order_does_not_matter(scans, name, label_file):
    paths = [path.encode() for path in scans]
    [found] = ScanFinder(paths).find([name], label_file.encode()).values()
    assert found.path is None or found.path in paths
    assert [found] == [*ScanFinder(paths[::-1]).find([name], label_file.encode()).values()]
    assert found.count == 1 or found.path is None


PARTS = st.lists(st.sampled_from(["a", "b", "c.d", "é"]), min_size=1, max_size=4)


@given(PARTS, PARTS)
def test_the_path_below_the_folder_of_the_label_file_is_always_found(folders, parts):
    path = "/".join([*folders, *parts, "x.png"])
    others = ["x.png", "/".join([*folders, "x.png"]), "/".join(["z", *parts, "x.png"])]
    name = "\\".join(["C:", *parts, "x.png"])
    assert find(name, "/".join([*folders, "t.csv"]), path, *{*others} - {path}) == path


def test_many_scans_of_equal_names_are_each_found():
    # One at a time against all others these were 25 million comparisons.
    scans = [b"batch/%05d/IM1" % number for number in range(5_000)]
    names = [f"{number:05d}/IM1" for number in range(5_000)]
    found = ScanFinder(scans).find(names, b"t.csv")
    assert [each.path for each in found.values()] == scans
