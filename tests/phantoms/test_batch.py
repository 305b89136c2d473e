import csv
import warnings
from collections import Counter
from dataclasses import replace
from io import BytesIO

import cv2
import numpy as np
import pydicom
import pytest

from pipeline import phantoms
from pipeline.errors import ConfigError
from pipeline.imaging.regions import place_boxes
from pipeline.ingest.decode import decode
from pipeline.ingest.labels.read_all import read_annotations
from pipeline.ingest.list_files import list_batch
from pipeline.phantoms import files, mouth
from pipeline.phantoms.phantom import CARIES, HEALTHY, IMPACTED, LESION

SMALL = 280  # height of a panoramic in pixels: fast to draw, with discernible teeth


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def inside(box, pixels):
    return pixels[box.y : box.y + box.h, box.x : box.x + box.w]


def overlaps(a, b):
    return a.x < b.x + b.w and b.x < a.x + a.w and a.y < b.y + b.h and b.y < a.y + a.h


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """A batch of sixty phantoms and its summary."""
    folder = tmp_path_factory.mktemp("phantoms")
    progress = []
    summary = phantoms.write_batch(folder, 60, seed=3, height=SMALL, progress=progress.append)
    assert progress == list(range(1, 61))
    return folder, summary


@pytest.fixture(scope="module")
def panoramics():
    return [phantoms.draw_panoramic(seed, SMALL) for seed in range(8)]


@pytest.fixture(scope="module")
def periapicals():
    return [phantoms.draw_periapical(seed, SMALL) for seed in range(32)]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_with_any_number_of_workers(tmp_path):
    for name, seed, workers in (("a", 5, 1), ("b", 5, 2), ("c", 6, 1)):
        phantoms.write_batch(tmp_path / name, 12, seed, height=140, workers=workers)

    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert contents(tmp_path / "a") != contents(tmp_path / "c")


@pytest.mark.parametrize("draw", [phantoms.draw_panoramic, phantoms.draw_periapical])
def test_a_phantom_has_twelve_bits_and_depends_on_its_seed(draw):
    first, again, other = draw(1, SMALL), draw(1, SMALL), draw(2, SMALL)

    assert first.pixels.dtype == np.uint16
    assert first.pixels.max() <= 4095
    assert np.array_equal(first.pixels, again.pixels)
    assert first.teeth == again.teeth
    assert first.planted == again.planted
    assert not np.array_equal(first.pixels.mean(axis=1), other.pixels.mean(axis=1))


def test_height_scales_panoramics_and_periapicals():
    assert phantoms.draw_panoramic(0).pixels.shape == (1400, 2900)
    assert phantoms.draw_panoramic(0, 700).pixels.shape == (700, 1450)
    assert sorted(phantoms.draw_periapical(0).pixels.shape) == [1000, 1300]
    assert sorted(phantoms.draw_periapical(0, 700).pixels.shape) == [500, 650]


def test_boxes_are_inside_the_image_and_brighter_than_the_rest(panoramics):
    for phantom in panoramics:
        height, width = phantom.pixels.shape
        assert 24 <= len(phantom.teeth) <= 32
        for box in (*phantom.teeth, *phantom.planted):
            assert box.w > 0
            assert box.h > 0
            assert box.x >= 0
            assert box.x + box.w <= width
            assert box.y >= 0
            assert box.y + box.h <= height
        in_teeth = np.zeros(phantom.pixels.shape, bool)
        for box in phantom.teeth:
            inside(box, in_teeth)[:] = True
        middle = slice(round(0.05 * height), round(0.95 * height))
        grey, teeth = phantom.pixels[middle], in_teeth[middle]
        assert np.median(grey[teeth]) > 1.2 * np.median(grey[~teeth])


def test_teeth_are_brighter_than_the_gap_of_a_missing_one():
    patient = next(seed for seed in range(99) if len(grown_molars(seed)) < 4)
    phantom = phantoms.draw_panoramic(0, SMALL, patient_seed=patient, anomalies=False)
    boxes = {box.tooth: box for box in phantom.teeth}
    quadrant = next(q for q in (1, 2, 3, 4) if 10 * q + 6 not in boxes)
    near, far = boxes[10 * quadrant + 5], boxes[10 * quadrant + 7]
    left, right = sorted((near, far), key=lambda box: box.x)
    # Crowns only: bone fills the sockets of the roots.
    crown = (
        slice(left.y + left.h // 2, left.y + left.h)
        if quadrant < 3
        else slice(left.y, left.y + left.h // 2)
    )
    gap = phantom.pixels[crown, left.x + left.w : right.x]

    for box in (near, far):
        assert np.median(phantom.pixels[crown, box.x : box.x + box.w]) > 1.2 * np.median(gap)


def grown_molars(patient):
    return [tooth for tooth in mouth.grow(patient).teeth if tooth.position == 6]


def test_box_sizes_hardly_differ_between_healthy_and_abnormal_teeth(panoramics):
    heights = {kind: [] for kind in (True, False)}
    for seed in range(60):
        for tooth in mouth.grow(seed).teeth:
            if tooth.label != IMPACTED:
                heights[tooth.label == HEALTHY].append(tooth.length)
    assert np.mean(heights[True]) == pytest.approx(np.mean(heights[False]), rel=0.05)
    # On real panoramics the median height of a box is 0.24 of the picture's.
    erupted = [box.h / SMALL for p in panoramics for box in p.teeth if box.label != IMPACTED]
    assert 0.20 < np.median(erupted) < 0.27


@pytest.mark.parametrize("draw", [phantoms.draw_panoramic, phantoms.draw_periapical])
def test_an_anomaly_changes_its_own_place_by_its_contrast_and_nothing_else(draw):
    kinds = Counter()
    for seed in range(14):
        abnormal, sound = draw(seed, SMALL), draw(seed, SMALL, anomalies=False)
        change = (sound.pixels.astype(float) - abnormal.pixels) * (255 / 4095)
        elsewhere = np.ones(change.shape, bool)
        for item in abnormal.planted:
            reach = round(0.06 * SMALL) if draw is phantoms.draw_panoramic else SMALL
            elsewhere[
                max(0, item.y - reach) : item.y + item.h + reach,
                max(0, item.x - reach) : item.x + item.w + reach,
            ] = False
            # The anomaly does not fill its box, and sharpening and borders change it a little.
            mean = inside(item, change).mean()
            if item.kind != IMPACTED:
                assert mean > 0.25 * item.contrast
            assert np.abs(inside(item, change)).mean() < 2.5 * item.contrast
            kinds[item.kind] += 1
        assert not sound.planted
        assert {box.label for box in sound.teeth} <= {HEALTHY}
        if elsewhere.any():
            assert np.abs(change[elsewhere]).mean() < 1.5
    assert kinds.keys() == {CARIES, LESION, IMPACTED}


def test_contrasts_range_from_faint_to_clear(panoramics, periapicals):
    for kind in (CARIES, LESION):
        planted = [p for phantom in (*panoramics, *periapicals) for p in phantom.planted]
        contrasts = [item.contrast for item in planted if item.kind == kind]
        assert min(contrasts) > 4
        assert max(contrasts) > 2 * min(contrasts)


def test_labels_match_the_drawn_anomalies(panoramics, periapicals):
    for phantom in panoramics:
        planted = {item.tooth: item for item in phantom.planted}
        for box in phantom.teeth:
            if box.label == HEALTHY:
                assert box.tooth not in planted
            else:
                assert planted[box.tooth].kind == box.label
                assert overlaps(planted[box.tooth], box)
    for phantom in periapicals:
        kinds = {item.kind for item in phantom.planted}
        assert kinds == (set() if phantom.label == HEALTHY else {phantom.label})
        if phantom.label in (HEALTHY, CARIES, LESION):
            assert phantom.tooth in {box.tooth for box in phantom.teeth}


def test_two_scans_of_one_patient_show_the_same_mouth_in_different_exposures():
    first, second = (phantoms.draw_panoramic(seed, SMALL, patient_seed=4) for seed in (1, 2))
    other = phantoms.draw_panoramic(1, SMALL, patient_seed=5)

    def labels(phantom):
        return [(box.tooth, box.label) for box in phantom.teeth]

    assert labels(first) == labels(second) != labels(other)
    assert not np.array_equal(first.pixels, second.pixels)
    assert first.pixels.mean() != pytest.approx(second.pixels.mean(), rel=0.01)


def test_every_patient_has_healthy_teeth_and_most_have_findings():
    patients = [mouth.grow(seed) for seed in range(200)]
    abnormal = [sum(tooth.label != HEALTHY for tooth in patient.teeth) for patient in patients]

    assert all(len(m.teeth) - count > 12 for m, count in zip(patients, abnormal, strict=True))
    assert 0.9 < np.mean(np.array(abnormal) > 0) < 1
    for patient in patients:
        found = [tooth for tooth in patient.teeth if tooth.finding]
        for a in found:
            for b in found:
                assert a is b or a.upper != b.upper or abs(a.place - b.place) >= mouth.MIN_DISTANCE


@pytest.mark.parametrize("form", ["png-12", "tiff-12", "tiff-16", "png", "jpeg"])
def test_raster_formats_contain_the_drawn_pixels(form):
    phantom = phantoms.draw_periapical(7, SMALL)
    decoded = cv2.imdecode(
        np.frombuffer(files.encode(phantom, form, "PHANTOM-0001", 7), np.uint8),
        cv2.IMREAD_UNCHANGED,
    )
    full = {"png-12": 4095, "tiff-12": 4095, "tiff-16": 65535, "png": 255, "jpeg": 255}[form]
    difference = np.abs(decoded / full - phantom.pixels / 4095)

    assert decoded.dtype == (np.uint8 if full == 255 else np.uint16)
    assert difference.max() <= {"jpeg": 0.2, "png": 0.5 / 255}.get(form, 1 / 4095)
    assert difference.mean() < 0.02


@pytest.mark.parametrize("form", ["dicom", "dicom-inverted"])
@pytest.mark.parametrize(
    ("draw", "modality"),
    [(phantoms.draw_panoramic, "PX"), (phantoms.draw_periapical, "IO")],
)
def test_dicom_contains_the_drawn_pixels_and_states_that_it_shows_no_patient(form, draw, modality):
    phantom = draw(7, 140)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = pydicom.dcmread(BytesIO(files.encode(phantom, form, "PHANTOM-0007", 7)))
    stored = dataset.pixel_array
    inverted = dataset.PhotometricInterpretation == "MONOCHROME1"

    assert inverted == (form == "dicom-inverted")
    assert np.array_equal(4095 - stored if inverted else stored, phantom.pixels)
    assert (dataset.Modality, dataset.BitsStored) == (modality, 12)
    assert dataset.PatientID == "PHANTOM-0007"
    assert dataset.SeriesDescription == "PHANTOM - synthetic, not a patient"


@pytest.mark.slow
def test_one_third_of_a_batch_are_panoramics_and_formats_are_mixed(batch):
    _, summary = batch
    assert (summary.scans, summary.patients) == (60, 36)
    assert summary.kinds == {"panoramic": 20, "periapical": 40}
    assert summary.formats.keys() == files.SUFFIXES.keys()
    assert summary.planted.keys() == {CARIES, LESION, IMPACTED}
    assert summary.labels.keys() == set(phantoms.CLASSES)
    assert 0.35 < summary.labels[HEALTHY] / sum(summary.labels.values()) < 0.65


def test_labels_csv_lists_every_scan_once(batch):
    folder, _ = batch
    rows = rows_of(folder / "labels.csv")
    scans = {path.name for path in folder.glob("phantom-*") if path.suffix != ".txt"}
    scans_of = Counter(row["patient"] for row in rows)
    periapicals = [row for row in rows if row["label"]]
    healthy = sum(row["label"] == HEALTHY for row in periapicals)

    assert sorted(row["file"] for row in rows) == sorted(scans)
    assert set(scans_of.values()) == {1, 2, 3}
    assert 16 <= healthy <= 24
    assert len(periapicals) == 40
    assert all(row["tooth"] for row in periapicals)
    for row in rows:
        assert (folder / row["file"]).with_suffix(".txt").exists() == (not row["label"])
        if row["file"].endswith(".dcm"):
            assert pydicom.dcmread(folder / row["file"]).PatientID == row["patient"]


def test_labels_csv_gives_the_bit_depth_of_files_without_metadata(batch):
    folder, _ = batch
    for row in rows_of(folder / "labels.csv"):
        if row["bits"]:
            pixels = cv2.imread(str(folder / row["file"]), cv2.IMREAD_UNCHANGED)
            assert row["bits"] == "12"
            assert pixels.dtype == np.uint16
            assert pixels.max() <= 4095
        elif not row["file"].endswith(".dcm"):
            pixels = cv2.imread(str(folder / row["file"]), cv2.IMREAD_UNCHANGED)
            assert pixels.dtype == np.uint8 or pixels.max() > 4095


def test_yolo_boxes_contain_every_abnormal_tooth_and_some_healthy_ones(batch):
    folder, _ = batch
    assert (folder / "classes.txt").read_text().split() == list(phantoms.CLASSES)
    planted = rows_of(folder / ".planted.csv")
    texts = list(folder.glob("phantom-*.txt"))
    mixed = 0
    for text in texts:
        lines = [line.split() for line in text.read_text().splitlines()]
        labels = [phantoms.CLASSES[int(line[0])] for line in lines]
        drawn = [row["kind"] for row in planted if row["file"].startswith(text.stem)]
        assert 8 <= len(lines) <= 10
        assert sorted(label for label in labels if label != HEALTHY) == sorted(drawn)
        mixed += len(set(labels)) > 1 and HEALTHY in labels
        for line in lines:
            x, y, w, h = map(float, line[1:])
            assert x - w / 2 + 1e-6 >= 0
            assert x + w / 2 <= 1 + 1e-6
            assert y - h / 2 + 1e-6 >= 0
            assert y + h / 2 <= 1 + 1e-6
    assert len(texts) == 20
    assert mixed >= 17


def test_coco_and_yolo_have_the_same_boxes_and_coco_their_fdi_numbers(batch, monkeypatch):
    monkeypatch.setattr("pipeline.ingest.list_files.SECOND_LOOK_SECONDS", 0)
    folder, summary = batch
    annotations = read_annotations(folder, list_batch(folder))
    assert annotations.problems == []
    placed = Counter()
    for path, about in annotations.by_path.items():
        if about.boxes:
            pixels = decode((folder / path.decode()).read_bytes(), about.bits, 10**8).frames[0]
            boxes, doubts = place_boxes(about.boxes, *pixels.shape[::-1])
            assert doubts == []
            assert len(boxes) == len(about.boxes) / 2
            assert all(box.tooth for box in boxes)
            placed.update(box.label for box in boxes)
    periapicals = Counter(row["label"] for row in rows_of(folder / "labels.csv") if row["label"])
    assert placed + periapicals == summary.labels


def test_the_ground_truth_is_complete_and_in_a_hidden_file(batch):
    folder, summary = batch
    rows = rows_of(folder / ".planted.csv")
    assert Counter(row["kind"] for row in rows) == summary.planted
    assert all((folder / row["file"]).exists() for row in rows)
    assert "no patient" in (folder / ".about.txt").read_text()


def test_a_folder_that_is_not_empty_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"has 1 entries; .* empty or does not.* another path"):
        phantoms.write_batch(tmp_path, 1)
    with pytest.raises(ConfigError, match=r"is a file; .* Give another path"):
        phantoms.write_batch(tmp_path / "mine.txt", 1)
    assert contents(tmp_path) == {"mine.txt": b"mine"}


@pytest.mark.parametrize(
    ("name", "value", "least"), [("scans", 0, 1), ("height", 10, 64), ("workers", 0, 1)]
)
def test_too_small_arguments_are_refused_with_the_minimum(tmp_path, name, value, least):
    arguments = {"scans": 1} | {name: value}
    with pytest.raises(ConfigError, match=f"`{name}` is {value}; it must be at least {least}"):
        phantoms.write_batch(tmp_path / "new", **arguments)
    assert not (tmp_path / "new").exists()


def test_a_folder_of_an_interrupted_batch_is_refused(tmp_path):
    def stop(count):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        phantoms.write_batch(tmp_path / "new", 3, height=140, progress=stop)
    with pytest.raises(ConfigError, match=r"has .* entries"):
        phantoms.write_batch(tmp_path / "new", 3, height=140)


def test_a_sound_mouth_is_the_same_mouth_without_findings_and_impacted_teeth():
    patient = next(m for m in map(mouth.grow, range(99)) if any(t.finding for t in m.teeth))
    erupted = [tooth for tooth in patient.teeth if tooth.label != IMPACTED]

    assert patient.sound.teeth == tuple(replace(tooth, finding=None) for tooth in erupted)
