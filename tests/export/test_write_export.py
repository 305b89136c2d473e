"""The folder of an export, what it must not have, and the list by which `forget` names it."""

import re
import stat
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from pipeline.cli import export
from pipeline.cli.__main__ import commands
from pipeline.config import Settings
from pipeline.errors import ConfigError
from pipeline.export.formats.dicom_sr import in_source
from pipeline.export.formats.registered import FORMATS
from pipeline.export.out_folder import make_out_folder
from pipeline.export.pictures import write_pictures
from pipeline.export.rows import PREDICTED, ExportRows, read_rows
from pipeline.export.write_export import Request, write_export
from pipeline.report.source_scan import read_source_scan
from pipeline.store.crop_query import CropFilter
from pipeline.store.features import load_predictions
from tests.builders import synthetic_store
from tests.store.test_stored_by_earlier_versions import PATIENT, unpack

DELIVERED = re.compile(rb"phantom-\d{6}|PHANTOM-\d|inbox", re.IGNORECASE)
WITH_PEOPLE = {"dicom-sr"}  # which needs --names


def contents(folder):
    """The bytes of every file below a folder by name, and of the members of archives."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes()
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    yield from ((name, archive.read(name)) for name in archive.namelist())


@pytest.mark.slow
@pytest.mark.parametrize("form", [name for name in FORMATS if name not in WITH_PEOPLE])
def test_no_file_has_a_delivered_name_or_patient(example, form):
    found = dict(contents(example.written(form)))
    assert found
    assert not [name for name, data in found.items() if DELIVERED.search(data)]
    assert not [name for name in found if DELIVERED.search(name.encode())]


@pytest.mark.slow
def test_every_format_is_written_before_the_first_champion(example, tmp_path):
    nothing = dict.fromkeys(PREDICTED[1:])
    crops = example.export.rows.crops.assign(**nothing)
    provenance = example.export.rows.provenance | {"head": None}
    for form in set(FORMATS) - WITH_PEOPLE:
        (tmp_path / form).mkdir()
        rows = ExportRows(crops, [], provenance)
        written = FORMATS[form].write(replace(example.export, rows=rows, out=tmp_path / form))
        assert written.get("labelled boxes", 79) == 79
        assert not written.get("predicted boxes")


@pytest.mark.parametrize("place", ["store/out", "store", ".", "private/out"])
def test_an_export_lies_away_from_the_store_and_the_private_folder(tmp_path, place):
    for name in ("store", "private"):
        (tmp_path / name).mkdir()
    settings = Settings(store=str(tmp_path / "store"))
    with pytest.raises(ConfigError, match="lies inside"):
        make_out_folder(tmp_path / place, settings, tmp_path / "private")
    assert sorted(tmp_path.iterdir()) == [tmp_path / "private", tmp_path / "store"]


def test_a_link_into_the_store_is_seen_through(tmp_path):
    (tmp_path / "store" / "here").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "store" / "here")
    with pytest.raises(ConfigError, match="lies inside the store"):
        make_out_folder(tmp_path / "link", Settings(store=str(tmp_path / "store")), None)


def test_a_folder_with_files_is_refused_and_an_empty_one_becomes_private(tmp_path):
    settings = Settings(store=str(tmp_path / "store"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    (tmp_path / "empty").mkdir(mode=0o755)
    with pytest.raises(ConfigError, match="has files already"):
        make_out_folder(tmp_path / "full", settings, None)
    with pytest.raises(ConfigError, match="cannot be made"):
        make_out_folder(tmp_path / "full" / "file" / "deeper", settings, None)
    for name in ("empty", "new/deep"):
        out = make_out_folder(tmp_path / name, settings, None)
        assert stat.S_IMODE(out.stat().st_mode) == 0o700


@pytest.mark.slow
def test_what_cannot_be_exported_is_refused_before_anything_is_written(example, tmp_path):
    out = tmp_path / "out"
    for request, message in (
        (Request("coko", out), "Did you mean `coco`"),
        (Request("npz", out, images=True), "no whole pictures"),
        (Request("dicom-sr", out), "Add --names"),
        (Request("coco", out, CropFilter(label="unheard")), "nothing with label `unheard`"),
        (Request("coco", out, CropFilter(side="exam")), "nothing with side `exam`"),
    ):
        with pytest.raises(ConfigError, match=message):
            write_export(example.settings, request)
    elsewhere = example.settings.model_copy(update={"private": tmp_path / "nowhere"})
    with pytest.raises(ConfigError, match="Set DENTAL_PRIVATE"):
        write_export(elsewhere, Request("csv", out, names=True))
    assert not out.exists()


@pytest.mark.slow
def test_pictures_are_the_decoded_scans_without_metadata(example, tmp_path):
    job = replace(example.export, out=tmp_path)
    found = write_pictures(job, FORMATS["yolo"].picture)
    assert found.written == len(job.rows.scan_ids)
    assert not found.missing
    scans = job.rows.crops.drop_duplicates("scan_id").set_index("scan_id")
    for path in tmp_path.rglob("*.png"):
        with Image.open(path) as picture:
            assert not picture.info
            assert picture.size == tuple(scans.loc[path.stem, ["scan_w", "scan_h"]])
        assert path.parent.name == scans.loc[path.stem, "side"]
    first = job.rows.scan_ids[0]
    frame, *_ = read_source_scan(example.settings, first, scans.loc[first, "batch"], 0)
    [path] = tmp_path.rglob(f"{first}.png")
    assert np.array_equal(Image.open(path), frame)


@pytest.mark.slow
def test_forget_names_the_exports_that_have_the_patient(tmp_path, monkeypatch):
    unpack("plain", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DENTAL_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("DENTAL_PRIVATE", str(tmp_path / "private"))

    def dental(*command):
        answer = CliRunner().invoke(commands, list(command), catch_exceptions=False)
        return answer.output.replace("\n", "")

    printed = dental("export", "voc", "all", "--images")
    assert "80 crops of 22 scans: 80 labelled boxes" in printed
    assert "10 pictures without metadata" in printed
    assert "12 pictures are missing" in printed
    assert (tmp_path / "all" / "export.json").exists()
    dental("export", "voc", "new", "--batch", "20261124")
    found = dental("forget", "--patient", PATIENT, "--yes")
    assert str(tmp_path / "all") in found
    assert str(tmp_path / "new") not in found
    assert "no trace is left" in found


def test_crops_of_later_frames_are_left_out_of_what_shows_the_first():
    regions = ["whole", "f0000-whole", "f0003-tooth-1-2-3-4", "box-1-2-3-4", "f0010-whole"]
    rows = ExportRows(pd.DataFrame({"region": regions}), [], {})
    assert rows.first_frames.crops["region"].tolist() == ["whole", "f0000-whole", "box-1-2-3-4"]


def test_a_class_called_abnormal_has_a_column_of_its_own(store, monkeypatch):
    monkeypatch.setattr(synthetic_store, "CLASSES", ("healthy", "abnormal", "caries"))
    made = synthetic_store.SyntheticStore(store, patients=2).add_trunk().add_head("h0", 0.5)
    made.promote("h0")
    found = load_predictions(store)
    assert np.allclose(found["p_abnormal"], 1 - found["p_healthy"])
    assert np.allclose(found["p_abnormal"], found["p_class_abnormal"] + found["p_caries"])
    assert "p_class_abnormal" in read_rows(store, CropFilter()).flat()


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_places_of_a_turned_scan_are_found_in_its_object(turns, mirrored):
    delivered = np.arange(35).reshape(5, 7)
    upright = np.rot90(delivered, -turns)
    upright = upright[:, ::-1] if mirrored else upright
    height, width = upright.shape
    for y in range(height):
        for x in range(width):
            # The centre of a pixel, since points are between pixels.
            [(left, top)] = in_source([(x + 0.5, y + 0.5)], (width, height), turns, mirrored)
            assert delivered[int(top), int(left)] == upright[y, x]


def test_help_and_document_name_every_format():
    document = (Path(__file__).parents[2] / "docs" / "export.md").read_text()
    assert set(re.split(r", | or ", export.FORMATS)) == set(FORMATS)
    assert not [name for name in FORMATS if f"`{name}`" not in document]
