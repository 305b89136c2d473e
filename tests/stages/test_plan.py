"""Which folders become batches, and what planning counts besides scans."""

import io
import os
import zipfile

import numpy as np
import pytest

from pipeline import config
from pipeline.errors import ConfigError
from pipeline.report.batch_summary import PlannedBatch, format_summary
from pipeline.stages.plan import deliver, plan_batch, refuse_folder
from pipeline.upkeep.why import explain_file
from tests.builders.fakes import use_fakes
from tests.builders.scans import scan, write_files
from tests.builders.stores import failed_checks, process_folder, read_table, small_store


def settings_for(store, private=None):
    return config.load(store=str(store), private=private)


@pytest.mark.parametrize(
    ("batch", "store", "private", "message"),
    [
        ("data", "data", None, "is the store"),
        ("data", "data/store", None, "holds the store"),
        ("data", "data/in/deep/store", "elsewhere", "holds the store"),
        ("data/store/in", "data/store", None, "lies in the store"),
        ("data/in", "store", "data/in/private", "holds the private folder"),
        ("data/store.private/x", "data/store", None, "lies in the private folder"),
        ("data/in/../store/scans", "data/store", None, "lies in the store"),
        ("link", "data/store", None, "holds the store"),
        ("data", "link/store", None, "holds the store"),
    ],
)
def test_a_batch_that_holds_the_store_or_lies_in_it_is_refused(
    tmp_path, batch, store, private, message
):
    (tmp_path / "data" / "in").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "data")
    settings = settings_for(tmp_path / store, private and tmp_path / private)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match=rf"The batch folder .* {message} .*Name another"):
        refuse_folder(tmp_path / batch, settings)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("batch", "store"),
    [("data/in", "data/store"), ("data/store2", "data/store"), ("in", "in.store"), ("a/b", "a/bc")],
)
def test_a_batch_beside_the_store_is_taken(tmp_path, batch, store):
    refuse_folder(tmp_path / batch, settings_for(tmp_path / store))


@pytest.mark.parametrize("name", ["@eaDir", "#recycle", "$RECYCLE.BIN", ".Trash-1000"])
def test_a_folder_of_a_system_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="belongs to an operating system or storage appliance"):
        refuse_folder(tmp_path / name, settings_for(tmp_path / "store"))


def test_a_relative_batch_that_holds_the_default_store_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    opened = small_store(tmp_path)
    write_files(tmp_path, a_png=scan())
    with pytest.raises(ConfigError, match="holds the store"):
        deliver(type(tmp_path)("."), "b", opened)


def test_planned_batches_of_earlier_versions_are_read():
    assert PlannedBatch(batch="b", scans=1).other == {}


def zipped():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("a.png", b"x")
    return data.getvalue()


@pytest.fixture
def delivered(tmp_path, monkeypatch):
    """A disc as a viewer writes it, received: five scans, and what comes with them."""
    use_fakes(monkeypatch)
    icon = np.zeros((32, 32, 3), np.uint8)
    icon[..., 2] = 200
    folder = write_files(
        tmp_path / "disc",
        README_txt="read me",
        LICENSE_md="free",
        DICOMDIR_="",
        autorun_inf="[autorun]",
        viewer_exe=b"MZ" + bytes(90),
        index_html="<html>",
        a_jsonl="{}",
        b_jsonl="{}",
        boxes_npz=zipped(),
        icon_png=icon,
        more_zip=zipped(),
        broken_7z=b"not an archive",
        **{f"s{number}_png": scan() for number in range(5)},
        **{"Thumbs_db": "x", "~$teeth_xlsx": "x", "copy_part": "x"},
    )
    (folder / "DICOMDIR.").rename(folder / "DICOMDIR")
    (folder / "@eaDir").mkdir()
    write_files(folder / "@eaDir", thumb_jpg=scan())
    for path in folder.rglob("*"):
        os.utime(path, (10**9, 10**9))
    opened = small_store(tmp_path, novelty=config.Novelty(min_patients=1000))
    return opened, folder, process_folder(opened, folder)


def test_side_files_have_no_row_and_are_counted_by_kind(delivered):
    opened, _, summary = delivered
    planned = summary.planned
    assert planned.other == {
        "DICOMDIR file": 1,
        "JSON Lines file": 2,
        "NumPy file": 1,
        "document": 2,
        "program file": 2,
        "web page": 1,
    }
    assert (planned.scans, planned.label_files, planned.ignored) == (8, 0, 4)
    rows = read_table(opened.store, "scans")
    assert rows["reason"].dropna().tolist() == ["archive", "icon", "archive"]
    assert failed_checks(opened.store) == {}
    text = "\n".join(format_summary(summary, opened.settings))
    assert (
        "not scans: 1 DICOMDIR file, 2 documents, 2 program files, 1 web page, 2 JSON Lines files, "
        "1 NumPy file (labels in these forms are not read; deliver them as CSV, COCO or YOLO)"
    ) in text
    again = plan_batch("b", opened)
    assert (again.new, again.other) == (0, planned.other)


def test_why_explains_side_files_and_archives(delivered):
    opened, folder, _ = delivered
    [archive] = explain_file(opened, str(folder / "broken.7z")).attempts
    assert archive.reason == "archive"
    assert "a 7z archive by its name; unpack it" in archive.detail
    assert "unpack it" in archive.remedy
    for name, note in {
        "README.txt": "of the kind document",
        "a.jsonl": "of the kind JSON Lines file",
        "@eaDir/thumb.jpg": "a hidden or system file",
    }.items():
        assert note in " ".join(explain_file(opened, str(folder / name)).notes)


def test_a_batch_of_side_files_alone_holds_no_scans(tmp_path):
    opened = small_store(tmp_path)
    folder = write_files(tmp_path / "in", README_txt="x", a_xml="x", labels_csv="x")
    with pytest.raises(ConfigError, match="holds no scans"):
        deliver(folder, "b", opened)
