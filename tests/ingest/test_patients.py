"""Whose a scan is: the order of the sources, placeholders, copies and forgotten patients."""

import os
import struct

import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from pipeline import config
from pipeline.errors import ConfigError
from pipeline.ingest.batch_folder import folder_at
from pipeline.ingest.labels.read_all import read_annotations
from pipeline.ingest.list_files import list_batch
from pipeline.ingest.patients import Patients
from pipeline.ingest.private_folder import open_private_folder
from pipeline.s3 import Prefix
from pipeline.stages.read_scan import scan_id_of
from tests.builders.dicom_files import dicom_file, edit_dicom

PIXELS = np.zeros((4, 4), np.uint8)


@pytest.fixture
def private(tmp_path):
    return open_private_folder(tmp_path / "private", may_create=True)


@pytest.fixture
def patients(tmp_path, private):
    """Deliver files, contents by name, under settings; the patient of each by name."""

    def deliver(settings=None, batch="b", **_):
        folder = tmp_path / "batch"
        listing = list_batch(folder)
        annotations = read_annotations(folder, listing)
        found = Patients(
            folder, listing, annotations, private, config.load(**(settings or {})), batch
        )
        return {os.fsdecode(entry.path): found.of(entry) for entry in listing.scans}

    return deliver


@pytest.fixture
def put(tmp_path):
    def put(files):
        for name, content in files.items():
            path = tmp_path / "batch" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            os.utime(path, (10**9, 10**9))

    return put


def dicom(**elements):
    return dicom_file(PIXELS, **elements)


def test_the_first_source_that_names_a_patient_decides(put, patients, private):
    settings = {"patient_folders": 1, "patient_names": "^(P[0-9]+)_"}
    header = {"PatientID": "D7", "StudyInstanceUID": "1.2.3"}
    put(
        {
            "f1/table.dcm": dicom(**header),
            "f1/header.dcm": dicom(**header),
            "f1/P5_folder.dcm": dicom(StudyInstanceUID="1.2.3"),
            "P5_name.dcm": dicom(StudyInstanceUID="1.2.3"),
            "study.dcm": dicom(StudyInstanceUID="1.2.3"),
            "alone.png": "x",
            "t.csv": "file,patient\nf1/table.dcm,T1\n",
        }
    )
    found = patients(settings)
    key = private.patient_key
    assert found == {
        "f1/table.dcm": (key("T1"), "csv"),
        "f1/header.dcm": (key("D7"), "dicom"),
        "f1/P5_folder.dcm": (key("f1"), "folder"),
        "P5_name.dcm": (key("P5"), "name"),
        "study.dcm": (private.keyed("study", "1.2.3"), "study"),
        "alone.png": (None, "scan"),
    }


def test_without_settings_folders_and_names_mean_nothing(put, patients):
    put({"Ann Smith/P5_a.png": "x"})
    assert patients() == {"Ann Smith/P5_a.png": (None, "scan")}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [(2, "P0012"), ("2", "P0012"), ("P0*([0-9]+)", "12"), (3, None), ("visit([0-9]+)", None)],
)
def test_a_folder_stands_for_a_patient_by_level_or_pattern(put, patients, private, rule, expected):
    put({"site/P0012/visit/a.png": "x"})
    key = private.patient_key(expected) if expected else None
    source = "folder" if expected else "scan"
    if rule == 3:
        key, source = private.patient_key("visit"), "folder"
    assert patients({"patient_folders": rule}) == {"site/P0012/visit/a.png": (key, source)}


@pytest.mark.parametrize("rule", ["(", "no group", "(a)(b)", 0])
def test_a_rule_that_names_no_patient_is_refused(rule):
    with pytest.raises(ConfigError, match=r"Setting `patient_folders` is .*Correct it"):
        config.load(patient_folders=rule)
    if rule:
        with pytest.raises(ConfigError, match="patient_names"):
            config.load(patient_names=rule)


@pytest.mark.parametrize(
    "written",
    [
        "ANONYMOUS",
        " anon ",
        "Anonymous^",
        "Unknown",
        "N/A",
        "0",
        "00000",
        "-",
        "?",
        "<none>",
        "NO_ID",
    ],
)
def test_a_placeholder_counts_as_no_patient_id(put, patients, written):
    put({"a.dcm": dicom(PatientID=written)})
    assert patients() == {"a.dcm": (None, "scan")}


def test_placeholders_are_a_setting(put, patients, private):
    put({"a.dcm": dicom(PatientID="ANON"), "b.dcm": dicom(PatientID="XRAY")})
    found = patients({"placeholder_ids": ("xray",)})
    assert found == {"a.dcm": (private.patient_key("ANON"), "dicom"), "b.dcm": (None, "scan")}


def test_a_table_may_number_its_groups_from_0_but_name_no_one_by_a_word(put, patients, private):
    put({"a.png": "x", "b.png": "y", "t.csv": "file,group\na.png,0\nb.png,unknown\n"})
    assert patients() == {"a.png": (private.patient_key("0"), "csv"), "b.png": (None, "scan")}


def test_spellings_of_a_whole_number_are_one_patient(put, patients, private):
    rows = ["1001", "1001.0", " 1001 ", "1001.", '"1001,0"', "１００１"]
    put({f"{n}.png": str(n) for n in range(len(rows))})
    put({"t.csv": "file,patient\n" + "".join(f"{n}.png,{row}\n" for n, row in enumerate(rows))})
    assert {key for key, _ in patients().values()} == {private.patient_key("1001")}
    assert private.patient_key("1001") == private.keyed("patient", "1001")
    others = {private.patient_key(each) for each in ("01001", "1001.5", "1.001.0", "p1001.0")}
    assert len(others | {private.patient_key("1001")}) == 5


def test_copies_belong_to_the_patient_of_their_source(put, patients, private):
    rf = "rf.e4d909c290d0fb1ca068ffaddf22cbd0"
    put({"orig/a.png": "a", "train/a_aug_3.png": "1", "valid/a-flipped.png": "2"})
    put({f"test/a_png.{rf}.jpg": "3", "b.png": "b", "b_rot90.png": "4"})
    put({"t.csv": "file,patient\norig/a.png,Ann\n"})
    found = patients()
    ann = private.patient_key("Ann")
    assert [found[name] for name in found if "a" in name.rpartition("/")[2][0]] == [
        (ann, "csv")
    ] * 4
    # A source without an ID is its own patient, by its bytes; receiving makes the same key.
    own = private.keyed("scan", scan_id_of(b"b"))
    assert found["b.png"] == (None, "scan")
    assert found["b_rot90.png"] == (own, "scan")


def test_copies_without_their_source_share_a_patient_over_the_sides_of_a_split(put, patients):
    names = ["train/images/a_jpg.rf.{}.jpg", "valid/images/a_jpg.rf.{}.jpg"]
    put({name.format(f"{n:032x}"): str(n) for n, name in enumerate(names)})
    put({"train/images/b_jpg.rf.0123456789abcdef.jpg": "b"})
    by_name = dict(patients())
    a_keys = {key for name, (key, _) in by_name.items() if "/a_" in name}
    assert len(a_keys) == 1
    assert {source for _, source in by_name.values()} == {"name"}
    assert by_name["train/images/b_jpg.rf.0123456789abcdef.jpg"].key not in a_keys
    assert {key for key, _ in patients(batch="other").values()}.isdisjoint(a_keys)


def test_the_nearest_source_counts_and_of_equally_near_ones_none(put, patients, private):
    put({"p1/1.png": "a", "p1/aug/1_aug_1.png": "b", "p2/1.png": "c", "2_aug_1.png": "d"})
    put({"x/2.png": "e", "y/2.png": "f"})
    found = patients({"patient_folders": 1})
    assert found["p1/aug/1_aug_1.png"] == (private.patient_key("p1"), "folder")
    assert found["2_aug_1.png"].source == "name"


def test_an_export_belongs_to_the_patient_of_its_dicom_object(put, patients, private):
    ann, bob = dicom(PatientID="Ann"), dicom(PatientID="Bob")
    put({"beside/a.dcm": ann, "beside/a.jpg": "1", "dicom/b": bob, "png/b.png": "2"})
    put({"monday/1.dcm": ann, "tuesday/1.dcm": bob, "tuesday/2.dcm": bob, "wednesday/2.png": "3"})
    put({"beside/1.2.840.7": bob, "beside/1.2.840.7.png": "5"})
    put({"wednesday/x.dcm": ann, "beside/c.txt": "no object", "beside/c.png": "4"})
    found = patients()
    assert found["beside/a.jpg"] == (private.patient_key("Ann"), "dicom")
    assert found["png/b.png"] == (private.patient_key("Bob"), "dicom")
    assert found["beside/1.2.840.7.png"] == (private.patient_key("Bob"), "dicom")
    # Folders that hold both kinds are visits, not formats: their numbers mean nothing.
    assert found["wednesday/2.png"] == (None, "scan")
    assert found["beside/c.png"] == (None, "scan")


def test_a_patient_is_found_behind_a_large_header_and_in_any_encoding(put, patients, private):
    big = dicom(PatientID="Ann")
    big = edit_dicom(
        big,
        lambda d: d.add_new(0x00090010, "LO", "X") or d.add_new(0x00091001, "OB", bytes(200_000)),
    )
    deflated = dicom_file(PIXELS, PatientID="Ann", syntax=DeflatedExplicitVRLittleEndian)
    implicit = dicom_file(PIXELS, PatientID="Ann", syntax=ImplicitVRLittleEndian)
    put(
        {
            "big": big,
            "deflated": deflated,
            "implicit": implicit,
            "no_preamble": dicom(PatientID="Ann")[128:],
        }
    )
    assert set(patients().values()) == {(private.patient_key("Ann"), "dicom")}


def test_damaged_and_hostile_headers_stop_nothing(put, patients):
    good = dicom(PatientID="Ann", PatientName="A" * 64)
    nested = struct.pack("<HH2sHL", 8, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    nested += struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    draw = np.random.default_rng(0)
    noise = bytes(draw.integers(0, 256, 5000, dtype=np.uint8))
    put({"cut": good[:200], "deep": good[:132] + nested * 20_000, "noise": good[:140] + noise})
    put({"long": good[:132] + struct.pack("<HH2sHL", 8, 8, b"UN", 0, 0xFFFFFFF0)})
    assert all(found.key is None for found in patients().values())


def test_ids_that_several_people_share_are_described_for_the_private_log(put, tmp_path, private):
    put({"a": dicom(PatientID="7", PatientName="Smith^Ann", PatientSex="F")})
    put({"b": dicom(PatientID="7", PatientName="SMITH^ANN ", PatientSex="F")})
    put({"c": dicom(PatientID="8", PatientName="Smith^Ann", PatientBirthDate="19700101")})
    put({"d": dicom(PatientID="8", PatientName="Jones^Bob", PatientBirthDate="19700101")})
    put(
        {
            "e": dicom(PatientID="ANON", PatientName="One"),
            "f": dicom(PatientID="ANON", PatientName="Two"),
        }
    )
    folder = tmp_path / "batch"
    listing = list_batch(folder)
    annotations = read_annotations(folder, listing)
    found = Patients(folder, listing, annotations, private, config.load(), "b")
    assert found.shared_ids(listing.scans) == [
        "PatientID 8 came with 2 names, 1 birth dates and 0 sexes; it may stand for several people"
    ]


def test_headers_of_objects_on_s3_are_read_by_their_beginning(s3, private):
    objects = Prefix.of("s3://bucket/in")
    objects.put("a", dicom(PatientID="Ann"))
    objects.put("empty.png", b"")
    folder = folder_at("s3://bucket/in")
    listing = list_batch(folder)
    found = Patients(
        folder, listing, read_annotations(folder, listing), private, config.load(), "b"
    )
    found.read_headers(listing.scans)
    assert [found.of(entry) for entry in listing.scans] == [
        (private.patient_key("Ann"), "dicom"),
        (None, "scan"),
    ]
