"""`dental check`, called in this process."""

import json

import pytest
from typer.testing import CliRunner

from pipeline.cli.__main__ import commands
from pipeline.s3 import Prefix
from tests.builders.dicom_files import dicom_file
from tests.builders.scans import encode, panoramic, scan, write_files

TABLE = (
    "file,label,patient\na.png,caries,Ann\nb.dcm,healthy,Ann\nc.png,龋齿,Bob\nd.png,caries,Eve\n"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three scans, of which a table names two and a third that is not there."""
    monkeypatch.setenv("DENTAL_STORE", str(tmp_path / "store"))
    folder = write_files(
        tmp_path / "Ann Smith",
        a_png=panoramic(),
        b_dcm=dicom_file(scan(), Modality="IO", PatientID="7"),
        c_png=scan(),
        labels_csv=TABLE,
        notes_pdf="%PDF-1.7",
        old_zip=b"PK\x03\x04",
    )
    write_files(folder, README="read me")
    return folder


def check(folder, *options, status=0):
    done = CliRunner().invoke(commands, ["check", str(folder), *options])
    assert done.exit_code == status, done.output
    return done.stdout


def everything(folder):
    return sorted(path for path in folder.parent.rglob("*"))


def test_a_folder_is_described_in_counts_and_nothing_is_written(folder):
    before = everything(folder)
    lines = dict(line.split(maxsplit=1) for line in check(folder).splitlines()[1:7])
    assert lines["scans"] == "5: 2 png, 1 dicom; 1 panoramic"
    assert lines["labels"] == "1 table: 3 of 4 lines match a scan"
    assert lines["classes"] == "findings 1 caries; normal 1 healthy; 1 of a class that is ignored"
    assert lines["patients"] == "2: 3 by table"
    assert lines["left-out"] == "1 archive, 1 unsupported_format; 1 document"
    assert lines["not-used"].startswith("label lines 1 missing_scan, 1 unknown_class")
    assert everything(folder) == before


def test_names_are_printed_on_request_alone(folder):
    named = check(folder, "--names")
    assert "not found: d.png" in named
    assert "(old.zip)" in named
    assert "龋齿: 1 line, ignored" in named
    for text in (check(folder), check(folder, "--json")):
        assert not [name for name in ("d.png", "old.zip", "龋齿", "Smith") if name in text]


def test_json_has_the_counts_of_every_label_file_and_reason(folder):
    found = json.loads(check(folder, "--json", "--names"))
    assert found["counts"]["patients_from"] == {"csv": 3}
    assert found["classes"]["healthy"] == {"lines": 1, "becomes": "normal"}
    [table] = found["label_files"]
    assert (table["form"], table["lines"], table["matched"]) == ("csv", 4, 3)
    assert table["unmatched"] == ["d.png"]
    assert {row["reason"] for row in found["left_out"]} >= {"archive", "unsupported_format"}


def test_the_status_is_2_when_most_lines_of_a_label_file_match_no_scan(folder):
    write_files(folder, labels_csv="file,label\na.png,caries\nx.png,caries\ny.png,caries\n")
    assert "UNMATCHED" in check(folder, status=2)


def test_a_size_behind_the_first_bytes_is_found(tmp_path):
    folder = write_files(tmp_path / "in", a_tif=encode(scan(400, 700), ".tif", (259, 1)))
    assert (folder / "a.tif").stat().st_size > 1 << 16
    assert json.loads(check(folder, "--json"))["counts"]["panoramics"] == 1


def test_objects_on_s3_are_checked_too(s3, tmp_path, monkeypatch):
    monkeypatch.setenv("DENTAL_STORE", str(tmp_path / "store"))
    Prefix.of("s3://bucket/in").put("a.png", encode(panoramic()))
    assert "scans     1: 1 png; 1 panoramic" in check("s3://bucket/in")
