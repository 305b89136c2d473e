"""Which files of a batch folder are ignored, counted, label files or scans."""

import os

import pytest

from pipeline.ingest.inbox import batch_folders, count_loose_files
from pipeline.ingest.list_files import has_scans, list_batch
from tests.builders.dicom_files import dicom_file
from tests.builders.scans import encode, scan

LONG_AGO = 10**9  # so that no file is checked twice


def put(folder, *names, content=b"x"):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (LONG_AGO, LONG_AGO))


def paths(entries):
    return sorted(os.fsdecode(entry.path) for entry in entries)


@pytest.mark.parametrize(
    "name",
    [
        "Thumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "Desktop.ini",
        ".DS_Store",
        "._a.png",
        "~$labels.xlsx",
        "a.png:Zone.Identifier",
        "a.png\uf03aZone.Identifier",
        "a.png.part",
        "a.dcm.crdownload",
        "a.png.filepart",
        "a.tmp",
        "labels.csv~",
        "Icon\r",
        "a.png@SynoEAStream",
    ],
)
def test_what_systems_and_transfers_leave_behind_is_ignored(tmp_path, name):
    put(tmp_path, "a.png", f"sub/{name}")
    found = list_batch(tmp_path)
    assert (paths(found.scans), found.ignored, found.other) == (["a.png"], 1, {})


@pytest.mark.parametrize(
    "folder",
    [
        "@eaDir",
        "@EADIR",
        "#recycle",
        "@Recycle",
        "$RECYCLE.BIN",
        ".Trash-1000",
        "System Volume Information",
        "__MACOSX",
        "lost+found",
        "#snapshot",
        "Temporary Items",
        "FOUND.000",
    ],
)
def test_a_folder_of_a_system_is_skipped_whole_and_is_no_batch(tmp_path, folder):
    put(tmp_path, "in/a.png", f"{folder}/a.png", f"in/{folder}/deep/b.png", f"in/{folder}/c.csv")
    found = list_batch(tmp_path)
    assert (paths(found.scans), paths(found.labels), found.ignored) == (["in/a.png"], [], 2)
    assert [path.name for path in batch_folders(tmp_path, False)] == ["in"]
    (tmp_path / "in" / "a.png").unlink()
    assert not has_scans(tmp_path)


@pytest.mark.parametrize("folder", ["2026.part", "export.tmp", "lost", "recycled scans", "tmp"])
def test_a_folder_with_an_ordinary_name_is_listed(tmp_path, folder):
    put(tmp_path, f"{folder}/a.png")
    assert paths(list_batch(tmp_path).scans) == [f"{folder}/a.png"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("README", "document"),
        ("ReadMeFirst.txt", "document"),
        ("README.roboflow.txt", "document"),
        ("LICENSE", "document"),
        ("Licence.md", "document"),
        ("COPYING", "document"),
        ("md5sums.txt", "document"),
        ("notes.txt", "document"),
        ("report.docx", "document"),
        ("letter.RTF", "document"),
        ("DICOMDIR", "DICOMDIR file"),
        ("dicomdir;1", "DICOMDIR file"),
        ("viewer.exe", "program file"),
        ("AUTORUN.INF", "program file"),
        ("Viewer.app/Contents/MacOS/viewer", "program file"),
        ("run.sh", "program file"),
        ("index.html", "web page"),
        ("style.css", "web page"),
        ("a.jsonl", "JSON Lines file"),
        ("labels.xlsx", "Excel file"),
        ("labels.tsv", "TSV file"),
        ("obj.data", "document"),
    ],
)
def test_files_that_are_no_scans_by_name_are_counted_by_kind(tmp_path, name, kind):
    put(tmp_path, "a.png", f"cd/{name}")
    found = list_batch(tmp_path)
    assert (paths(found.scans), found.other_counts) == (["a.png"], {kind: 1})
    assert paths(found.other) == [f"cd/{name}"]
    (tmp_path / "a.png").unlink()
    assert not has_scans(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["notes.pdf", "scans.zip", "a.gif", "IM0001", "1.2.840.10008.5", "a.dat", "licens.png"],
)
def test_every_other_file_is_a_scan(tmp_path, name):
    put(tmp_path, name)
    assert paths(list_batch(tmp_path).scans) == [name]
    assert has_scans(tmp_path)


@pytest.mark.parametrize("name", ["a.txt", "b.docx", "README", "c.exe", "d.ods"])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp", ".webp", "dicom"])
def test_an_image_is_a_scan_whatever_its_name(tmp_path, name, suffix):
    put(tmp_path, name, content=dicom_file(scan()) if suffix == "dicom" else encode(scan(), suffix))
    assert paths(list_batch(tmp_path).scans) == [name]
    assert has_scans(tmp_path)


def test_the_directory_of_a_dicom_disc_is_no_scan_although_it_is_dicom(tmp_path):
    put(tmp_path, "DICOMDIR", content=bytes(128) + b"DICM" + bytes(100))
    put(tmp_path, "DICOM/IM0001", content=dicom_file(scan()))
    found = list_batch(tmp_path)
    assert paths(found.scans) == ["DICOM/IM0001"]


def test_the_text_of_a_scan_is_a_label_file_and_is_not_opened(tmp_path, monkeypatch):
    put(tmp_path, "a.png", "a.txt", "images/b.png", "labels/b.txt", "labels/classes.txt")
    opened = []
    monkeypatch.setattr(
        "pipeline.ingest.list_files.read_start",
        lambda folder, entry, **_: opened.append(entry.path) or b"",
    )
    found = list_batch(tmp_path)
    assert paths(found.labels) == ["a.txt", "labels/b.txt", "labels/classes.txt"]
    assert opened == []


def test_a_readme_between_label_files_is_no_label_file(tmp_path):
    put(tmp_path, "images/b.png", "labels/b.txt", "labels/README.txt", "labels/classes.txt")
    found = list_batch(tmp_path)
    assert paths(found.labels) == ["labels/b.txt", "labels/classes.txt"]
    assert found.other_counts == {"document": 1}


def test_loose_files_of_an_inbox_are_counted_without_what_systems_leave(tmp_path):
    put(tmp_path, "a.png", "labels.csv", "Thumbs.db", ".hidden", "b.png.part", "day/c.png")
    assert count_loose_files(tmp_path) == 2
    assert [path.name for path in batch_folders(tmp_path, False)] == ["day"]
