"""Quality measurements, flags, burned-in text and the border mask, on tiny images."""

import cv2
import numpy as np
import pytest

from pipeline.config import Quality, Recipe
from pipeline.imaging.frame import Frame
from pipeline.imaging.quality import flags, measure
from pipeline.imaging.regions import fingerprint
from pipeline.imaging.thumbnail import thumbnail
from pipeline.ingest.labels.annotations import Annotation
from pipeline.ingest.list_files import list_batch
from pipeline.stages.read_scan import Order, read_scan
from tests.builders.scans import scan, write_files


def film():
    """A panoramic of 300 × 600 pixels, full of detail."""
    return scan(300, 600, seed=3)


def flagged(pixels, **bounds):
    height, width = pixels.shape
    facts = measure(thumbnail(Frame(pixels)))
    return list(flags(facts, width, height, width >= 1.5 * height, Quality(**bounds)))


def lit(pixels, gain):
    return np.clip(pixels * gain, 0, 255).astype(np.uint8)


def test_a_good_scan_has_no_flags():
    assert flagged(film()) == []


@pytest.mark.parametrize(
    ("flag", "pixels"),
    [
        ("blank", np.full((300, 600), 200, np.uint8)),
        ("low_contrast", lit(film(), 0.2)),
        ("blurred", cv2.GaussianBlur(film(), (0, 0), 8)),
        ("overexposed", lit(film(), 2.5)),
        ("underexposed", lit(film().astype(int) - 170, 3)),
        ("odd_shape", film()[:100]),
    ],
)
def test_each_defect_has_its_flag(flag, pixels):
    assert flag in flagged(pixels)


def test_quality_is_measured_without_the_collimation_border():
    framed = cv2.copyMakeBorder(film(), 30, 30, 30, 30, 0, value=255)
    assert measure(thumbnail(Frame(framed))).bright_share < 0.02
    assert measure(thumbnail(Frame(framed))).brightness == pytest.approx(
        measure(thumbnail(Frame(film()))).brightness, abs=5
    )


def test_the_measurements_of_a_known_image_are_right():
    halves = np.repeat(np.array([[0, 100]], np.uint8), 50, axis=1).repeat(40, axis=0)
    facts = measure(halves)
    assert (facts.brightness, facts.contrast) == (50, 50)
    assert (facts.dark_share, facts.bright_share) == (0.5, 0)


def test_the_border_mask_blacks_out_a_share_of_every_edge_and_is_part_of_the_recipe():
    masked = Frame(np.full((20, 40), 9, np.uint8)).without_border(0.1).pixels
    assert masked[2:18, 4:36].min() == 9
    assert masked.sum() == 9 * 16 * 32
    assert fingerprint(Recipe(mask_border=0.1)) != fingerprint(Recipe())


def read(folder, quality=None, **recipe):
    entry = list_batch(folder).scans[0]
    settings = Recipe(side=256, **recipe), quality or Quality()
    return read_scan(Order(folder, entry, Annotation(), *settings, 10**8, 10**8, False))


def test_a_flag_is_recorded_and_rejects_the_scan_only_if_configured(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.ingest.list_files.SECOND_LOOK_SECONDS", 0)
    folder = write_files(tmp_path, a_png=np.full((300, 600), 200, np.uint8))
    kept = read(folder)
    assert kept.rejection is None
    assert kept.picture_facts["quality_flags"] == ["blank"]
    assert kept.picture_facts["likeness"] is None
    refused = read(folder, Quality(reject=("blank",)))
    assert refused.rejection.reason == "quality"
    assert "blank: contrast is 0.0" in str(refused.rejection)
    assert not len(refused.crops)
    assert refused.picture_facts["quality_flags"] == ["blank"]


def test_crops_do_not_contain_masked_letters(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.ingest.list_files.SECOND_LOOK_SECONDS", 0)
    film = np.full((300, 200), 90, np.uint8)
    film[:, ::2] = 160
    cv2.putText(film, "R", (20, 290), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 255, 2)
    folder = write_files(tmp_path, a_png=film)
    plain, masked = read(folder), read(folder, mask_border=0.15)
    brightest = [crop.max() for crop in (*plain.crops, *masked.crops)]
    assert brightest[0] > 200 >= brightest[1]
