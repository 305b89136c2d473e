"""Which side a folder gives to the scans in it."""

import pytest

from pipeline.ingest.split_folders import given_side
from pipeline.ingest.walk_folder import Entry


@pytest.mark.parametrize(
    ("path", "side"),
    [
        ("train/a.png", "train"),
        ("Train Set/a.png", "train"),
        ("training/1/a.png", "train"),
        ("images/val/a.png", "validation"),
        ("VALID/images/a.png", "validation"),
        ("set/validation/p1/a.png", "validation"),
        ("test-set/a.png", "test"),
        ("test/train/a.png", "test"),
        ("a/train.png", None),
        ("test.png", None),
        ("trained/a.png", None),
    ],
)
def test_the_outermost_folder_that_names_a_side_gives_it(path, side):
    assert given_side(Entry(path.encode(), 1, 1, "file")) == side
