"""Every format, opened by its own library or as its documentation defines it."""

import csv
import io
import json
from collections import Counter
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from defusedxml import ElementTree
from openpyxl import load_workbook
from PIL import Image
from pycocotools.coco import COCO
from python_calamine import CalamineWorkbook

from pipeline.export.formats.registered import FORMATS
from pipeline.ingest.labels.forms import coco as coco_form
from pipeline.ingest.labels.forms import cvat as cvat_form
from pipeline.ingest.labels.forms import label_studio as label_studio_form
from pipeline.ingest.labels.forms import voc as voc_form
from pipeline.learn.review_table import read_review_table
from tests.export.conftest import RELABELLED, WITHDRAWN

pytestmark = pytest.mark.slow
UNLABELLED = WITHDRAWN.partition(":")[0]


def coco(path):
    with redirect_stdout(io.StringIO()):
        return COCO(str(path))


def test_the_example_has_a_reviewed_label_and_a_scan_without_one(example):
    assert example.labelled[RELABELLED][0] == "caries"
    assert WITHDRAWN not in example.labelled


def test_coco_has_every_label_in_force_and_its_place(example):
    found = coco(example.written("coco") / "annotations.json")
    names = {number: each["name"] for number, each in found.cats.items()}
    boxes = {
        each["crop_id"]: (names[each["category_id"]], tuple(each["bbox"]))
        for each in found.anns.values()
    }
    assert boxes == example.labelled
    files = {image["file_name"] for image in found.imgs.values()}
    assert files == {f"{crop_id.split(':')[0]}.png" for crop_id in example.labelled}


def test_coco_results_are_loaded_beside_the_annotations(example):
    out = example.written("coco")
    with redirect_stdout(io.StringIO()):
        results = coco(out / "annotations.json").loadRes(str(out / "predictions.json"))
    predicted = example.predictions
    assert set(predicted.index) - {each["crop_id"] for each in results.anns.values()} == {WITHDRAWN}
    for each in results.anns.values():
        row, name = predicted.loc[each["crop_id"]], results.cats[each["category_id"]]["name"]
        assert name == row["predicted"]
        assert each["score"] == max(row["probabilities"])


def test_coco_has_a_scan_without_a_label_in_a_file_of_its_own(example):
    found = coco(example.written("coco") / "unlabelled.json")
    assert [image["scan_id"] for image in found.imgs.values()] == [UNLABELLED]
    assert [each["crop_id"] for each in found.anns.values()] == [WITHDRAWN]


def test_yolo_lines_give_back_every_label_and_pixel(example):
    out = example.written("yolo")
    described = yaml.safe_load((out / "data.yaml").read_text())
    with (out / "boxes.csv").open() as file:
        crops = {(row["file"], int(row["line"])): row["crop_id"] for row in csv.DictReader(file)}
    sizes = pd.DataFrame(example.export.rows.crops).set_index("crop_id")[["scan_w", "scan_h"]]
    boxes = {}
    for path in out.rglob("*.txt"):
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            crop_id = crops[path.relative_to(out).as_posix(), number]
            width, height = sizes.loc[crop_id]
            kind, *shares = line.split()
            x, y, w, h = np.array(shares, float) * [width, height, width, height]
            place = tuple(int(each) for each in np.rint([x - w / 2, y - h / 2, w, h]))
            boxes[crop_id] = (described["names"][int(kind)], place)
    assert boxes == example.labelled


def test_yolo_folders_are_the_sides_and_have_no_file_of_an_unlabelled_scan(example):
    out = example.written("yolo")
    described = yaml.safe_load((out / "data.yaml").read_text())
    sides = example.export.rows.crops.set_index("scan_id")["side"].to_dict()
    files = {path.stem: path.parent.name for path in out.glob("labels/*/*.txt")}
    assert files == {scan_id: side for scan_id, side in sides.items() if scan_id != UNLABELLED}
    assert {described[key] for key in ("train", "val", "test")} == {
        f"images/{side}" for side in sides.values()
    }


def test_voc_has_every_label_and_lists_the_sides(example):
    out = example.written("voc")
    boxes, listed = {}, Counter()
    for path in out.glob("Annotations/*.xml"):
        document = ElementTree.parse(path).getroot()
        assert document.findtext("filename") == f"{path.stem}.png"
        for each in document.iterfind("object"):
            edges = [int(each.findtext(f"bndbox/{edge}")) for edge in ("xmin", "ymin")]
            ends = [int(each.findtext(f"bndbox/{edge}")) for edge in ("xmax", "ymax")]
            attributes = {
                item.findtext("name"): item.findtext("value")
                for item in each.iterfind("attributes/attribute")
            }
            size = (end - edge for edge, end in zip(edges, ends, strict=True))
            boxes[attributes["crop_id"]] = (each.findtext("name"), (*edges, *size))
    for path in out.glob("ImageSets/Main/*.txt"):
        listed.update(path.read_text().split())
    assert boxes == example.labelled
    assert listed == Counter(path.stem for path in out.glob("Annotations/*.xml"))


def test_cvat_has_every_label_and_suggests_the_prediction_of_the_others(example):
    document = ElementTree.parse(example.written("cvat") / "annotations.xml").getroot()
    assert document.findtext("version") == "1.1"
    boxes, suggested = {}, {}
    for box in document.iterfind("image/box"):
        edges = [float(box.get(name)) for name in ("xtl", "ytl", "xbr", "ybr")]
        place = (edges[0], edges[1], edges[2] - edges[0], edges[3] - edges[1])
        crop_id = box.findtext("attribute[@name='crop_id']")
        into = boxes if box.get("source") == "manual" else suggested
        into[crop_id] = (box.get("label"), place)
    assert boxes == example.labelled
    assert list(suggested) == [WITHDRAWN]


def test_label_studio_has_labels_as_annotations_and_predictions_as_pre_annotations(example):
    out = example.written("labelstudio")
    tasks = json.loads((out / "tasks.json").read_text())
    boxes, predicted = {}, set()
    for task in tasks:
        for annotation in task.get("annotations", []):
            for result in annotation["result"]:
                size = result["original_width"], result["original_height"]
                keys = ("x", "y", "width", "height")
                share = np.array([result["value"][key] for key in keys]) / 100
                place = tuple(int(each) for each in np.rint(share * [*size, *size]))
                [label] = result["value"]["rectanglelabels"]
                boxes[result["meta"]["crop_id"]] = (label, place)
        for prediction in task["predictions"]:
            predicted |= {result["meta"]["crop_id"] for result in prediction["result"]}
    assert boxes == example.labelled
    # Labels of the audit must not follow the champion.
    audit = example.export.rows.audit
    assert len(audit) == 4
    assert predicted == set(example.boxes.index) - audit
    [task] = [task for task in tasks if "annotations" not in task]
    assert task["data"]["image"].endswith(f"images/{UNLABELLED}.png")
    offered = ElementTree.parse(out / "config.xml").iterfind("RectangleLabels/Label")
    assert {each.get("value") for each in offered} >= {label for label, _ in boxes.values()}


def test_fiftyone_samples_have_boxes_predictions_and_embeddings(example):
    out = example.written("fiftyone")
    # A `version` would be of a form whose fields are described, which FiftyOne writes alone.
    assert "version" not in json.loads((out / "metadata.json").read_text())
    stored = example.boxes["embedding"]
    boxes, found = {}, {}
    for sample in json.loads((out / "samples.json").read_text())["samples"]:
        size = [sample["metadata"]["width"], sample["metadata"]["height"]]
        for each in sample["ground_truth"]["detections"]:
            place = tuple(int(v) for v in np.rint(np.multiply(each["bounding_box"], size * 2)))
            boxes[each["crop_id"]] = (each["label"], place)
        for each in sample["predictions"]["detections"]:
            found[each["crop_id"]] = np.array(each["embedding"], np.float16)
    assert boxes == example.labelled
    assert set(found) == set(stored.index)
    assert all(np.array_equal(found[crop_id], stored[crop_id]) for crop_id in found)


def test_npz_arrays_have_one_row_per_crop_and_need_no_pickle(example):
    with np.load(example.written("npz") / "features.npz", allow_pickle=False) as arrays:
        found = dict(arrays)
    stored = example.boxes.loc[found["crop_id"]]
    assert len(stored) == len(example.boxes)
    assert np.array_equal(found["embedding"], np.stack(stored["embedding"]))
    assert found["label"].tolist() == [label or "" for label in stored["label"]]
    predicted = example.predictions.loc[found["crop_id"]]
    assert np.array_equal(found["p"], np.stack(predicted["probabilities"]))
    assert np.array_equal(found["p_abnormal"], predicted["p_abnormal"])


def test_hugging_face_parquet_has_pictures_and_described_columns(example):
    out = example.written("hf")
    _, card, _ = (out / "README.md").read_text().split("---\n", 2)
    [configuration] = yaml.safe_load(card)["configs"]
    stored, labels = example.pixels, {}
    for each in configuration["data_files"]:
        table = pq.read_table(out / each["path"])
        features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
        assert list(features) == table.column_names
        for row in table.to_pylist():
            picture = np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])))
            assert np.array_equal(picture, stored.pop(row["crop_id"]))
            number = row["label"]
            labels[row["crop_id"]] = None if number is None else features["label"]["names"][number]
    assert not stored
    assert labels == example.boxes["label"].to_dict()


def test_png_crops_lie_in_folders_by_side_and_class(example):
    out = example.written("png")
    rows = example.export.rows.crops.set_index("crop_id")
    for crop_id, pixels in example.pixels.items():
        row, label = rows.loc[crop_id], example.boxes.loc[crop_id, "label"]
        folder = "unlabelled" if label is None else f"{row['side']}/{label}"
        with Image.open(out / folder / f"{crop_id.replace(':', '-')}.png") as picture:
            assert not picture.info
            assert np.array_equal(picture, pixels)
    assert len(list(out.rglob("*.png"))) == len(rows)


def test_excel_sheets_have_the_work_list_scans_and_crops_and_no_formula(example, tmp_path):
    evil = dict.fromkeys(example.export.rows.scan_ids, '=HYPERLINK("x")')
    FORMATS["xlsx"].write(replace(example.export, out=tmp_path, files=evil))
    book = load_workbook(tmp_path / "dental.xlsx")
    assert book.sheetnames == ["worklist", "scans", "crops"]
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert "f" not in {cell.data_type for cell in cells}
    assert '=HYPERLINK("x")' in {cell.value for cell in cells}
    header, *rows = (
        CalamineWorkbook.from_path(tmp_path / "dental.xlsx").get_sheet_by_name("crops").to_python()
    )
    labels = {row[header.index("crop_id")]: row[header.index("label")] or None for row in rows}
    assert labels == example.boxes["label"].to_dict()


def test_a_work_list_that_was_filled_in_is_a_reviewers_table(example, tmp_path):
    book = load_workbook(example.written("xlsx") / "dental.xlsx")
    header, first, *rows = book["worklist"].iter_rows()
    places = {cell.value: cell.column - 1 for cell in header}
    first[places["label"]].value, first[places["reviewer"]].value = "caries", "dr-b"
    book.save(tmp_path / "filled.xlsx")
    found = read_review_table(tmp_path / "filled.xlsx", set(example.boxes.index), {"caries"}, {})
    assert not found.problems
    assert found.blank == len(rows)
    [line] = found.lines
    assert line.decision == (first[places["crop_id"]].value, "label", "caries", "dr-b")


def test_csv_tables_open_in_an_office_and_have_no_formula(example, tmp_path):
    evil = dict.fromkeys(example.export.rows.scan_ids, "=1+1")
    FORMATS["csv"].write(replace(example.export, out=tmp_path, files=evil))
    for name in ("worklist", "scans", "crops"):
        data = (tmp_path / f"{name}.csv").read_bytes()
        assert data.startswith("\ufeff".encode())
        for row in csv.reader(io.StringIO(data.decode("utf-8-sig"))):
            # A number may be negative; of texts, none begins a formula.
            assert not [cell for cell in row if cell[:1] in "=+@" and cell]
    crops = pd.read_csv(tmp_path / "crops.csv", index_col="crop_id")
    assert set(crops["file"]) == {"'=1+1"}
    assert crops.loc[RELABELLED, ["label", "label_delivered"]].tolist() == ["caries", "impacted"]


def test_dicom_reports_refer_to_the_delivered_objects(example):
    pytest.importorskip("highdicom")
    from highdicom import sr

    out = example.written("dicom-sr")
    rows = example.export.rows.crops.set_index("crop_id")
    paths = sorted(out.glob("*.dcm"))
    assert len(paths) == 4
    for path in paths:
        report = sr.srread(str(path))
        assert report.PreliminaryFlag == "PRELIMINARY"
        assert "RESEARCH" in report.SeriesDescription
        assert report.PatientID.startswith("PHANTOM")
        groups = report.content.get_planar_roi_measurement_groups()
        assert {group.tracking_identifier for group in groups} == set(
            rows.index[rows["scan_id"] == path.stem]
        )
        for group in groups:
            row = rows.loc[group.tracking_identifier]
            corners = group.roi.value
            assert corners.min(axis=0).tolist() == [row["region_x"], row["region_y"]]
            size = np.ptp(corners, axis=0).tolist()
            assert size == [row["region_w"], row["region_h"]]
            found = {each.name.meaning: each.value for each in group.get_measurements()}
            assert found["p_abnormal"] == pytest.approx(row["p_abnormal"])


@pytest.mark.parametrize(
    ("form", "files", "reader"),
    [
        ("coco", "annotations.json", coco_form),
        ("voc", "Annotations/*.xml", voc_form),
        ("cvat", "annotations.xml", cvat_form),
        ("labelstudio", "tasks.json", label_studio_form),
    ],
)
def test_our_readers_of_label_files_give_back_every_label_and_box(example, form, files, reader):
    found, scans = Counter(), example.export.rows.crops.set_index("scan_id")
    for path in example.written(form).glob(files):
        is_xml = path.suffix == ".xml"
        document = ElementTree.parse(path).getroot() if is_xml else json.loads(path.read_text())
        assert reader.matches(document)
        content = reader.read(document)
        names = {image.key: PurePosixPath(image.name).stem for image in content.images}
        for each in content.entries:
            scan_id = names[each.image]
            if form in ("cvat", "labelstudio") and scan_id == UNLABELLED:
                continue  # a suggestion, or no annotation
            width, height = scans.loc[[scan_id], ["scan_w", "scan_h"]].iloc[0]
            bounds = each.bounds.scaled(width, height) if each.shares else each.bounds
            place = tuple(int(value) for value in np.rint(bounds))
            assert each.unusable is None
            found[scan_id, *each.classes, place] += 1
    expected = ((crop_id.split(":")[0], *box) for crop_id, box in example.labelled.items())
    assert found == Counter(expected)
