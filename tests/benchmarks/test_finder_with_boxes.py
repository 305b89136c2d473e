"""Fine-tuning the tooth finder on boxes ignores teeth that have none."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import finder_with_boxes as benchmark
from benchmarks.tooth_finder import Scan
from pipeline.imaging import tooth_finder
from pipeline.model.tooth_finder_network import focal_loss, target

pytestmark = pytest.mark.slow

BOX = np.array([[0.5, 0.5, 0.06, 0.2]])
IN_BOX, NEXT_TOOTH, OFF_ARCH = (16, 32), (16, 40), (2, 2)


def cost(unlabelled, cell=None, logit=4.0, known=None):
    """The loss of an image when the finder is unsure in every cell but one."""
    logits = np.full((1, 32, 64, 1), -2, np.float32)
    if cell is not None:
        logits[0, *cell, 0] = logit
    known = benchmark.labelled(BOX, benchmark.ARCH) if known is None else known
    return float(benchmark.loss_of(unlabelled)(known[np.newaxis], logits)[0])


def test_a_place_on_an_unlabelled_tooth_has_no_loss():
    assert cost(False, NEXT_TOOTH) == pytest.approx(cost(False), rel=1e-5)
    assert cost(False, IN_BOX) < cost(False)
    assert cost(False, OFF_ARCH) > cost(False)


def test_a_second_place_in_a_box_has_a_loss():
    row, column = IN_BOX
    assert cost(False, (row + 2, column + 1)) > cost(False)


def test_the_loss_of_unlabelled_cells_is_that_above_the_share_of_teeth():
    # As likely as the labelled tooth in 26 times as many cells: all of it is expected.
    assert cost(True, IN_BOX, 1.0) == pytest.approx(cost(False, IN_BOX, 1.0), rel=1e-5)
    assert cost(True, NEXT_TOOTH, 9.0) > cost(False, NEXT_TOOTH, 9.0) + 0.1


def test_the_loss_of_a_phantom_is_that_of_the_finder_of_the_package():
    hills = target(np.array([[0.5, 0.5, 0.06, 0.2], [0.2, 0.4, 0.05, 0.2]]), benchmark.GRID)
    known = np.concatenate([hills, np.ones_like(hills), np.zeros_like(hills)], axis=-1)
    logits = np.random.default_rng(0).normal(size=(1, 32, 64, 1)).astype(np.float32)
    expected = float(focal_loss(hills[np.newaxis], logits)[0])
    for unlabelled in (False, True):
        found = float(benchmark.loss_of(unlabelled)(known[np.newaxis], logits)[0])
        assert found == pytest.approx(expected, rel=1e-4)


def test_the_arch_is_transformed_with_the_image():
    scan, sizes = Scan(Path("a.jpg"), "a", np.zeros((128, 256), np.uint8), BOX), set()
    for _, known in benchmark.examples(scan, np.random.default_rng(0)):
        hills, labelled, off = np.moveaxis(known, 2, 0)
        assert hills.max() == 1
        assert labelled.any()
        assert not (labelled * off).any()
        rows, columns = np.nonzero(off == 0)
        sizes.add((np.ptp(rows) + 1, np.ptp(columns) + 1))
    heights, widths = zip(*sizes, strict=True)
    # 0.58 of 32 rows and 0.72 of 64 columns, stretched by 0.68 to 1.6 and partly out of sight.
    assert len(sizes) > 1
    assert 12 <= min(heights) <= max(heights) <= 30
    assert 31 <= min(widths) <= max(widths) <= 64


def test_fine_tuning_starts_from_the_weights_of_the_package(monkeypatch):
    monkeypatch.setattr(benchmark, "STEPS", 10)
    monkeypatch.setattr(benchmark, "LEARNING_RATE", 0.0)
    phantom = benchmark.draw(7)
    scan = Scan(Path("a.jpg"), "a", phantom.pixels, phantom.teeth)
    model = benchmark.fine_tuned(
        benchmark.VARIANTS[-1],
        *[list(benchmark.examples(scan, np.random.default_rng(0)))] * 2,
    )
    places = tooth_finder.find_teeth(scan.pixels)
    np.testing.assert_allclose(benchmark.found_by(model, scan)[:24], places[:24], atol=1e-3)


def test_no_panoramic_is_measured_by_a_finder_trained_on_its_group(monkeypatch):
    def found_by(learned_from, scan):
        assert len(learned_from) >= 4
        assert scan.group not in {each.group for each in learned_from}
        return np.full((1, 2), ord(scan.group))

    monkeypatch.setattr(benchmark, "examples", lambda scan, random: [scan])
    monkeypatch.setattr(benchmark, "of_phantom", lambda seed, random: [])
    monkeypatch.setattr(benchmark, "fine_tuned", lambda variant, real, phantoms: real)
    monkeypatch.setattr(benchmark, "found_by", found_by)
    scans = [Scan(Path(), group, np.zeros((8, 16), np.uint8), BOX) for group in "aabcddef"]
    for variant in benchmark.VARIANTS:
        found = benchmark.compare(scans, 3)[variant.name]
        assert [chr(int(places[0, 0])) for places in found] == list("aabcddef")


def test_differences_are_paired_by_tooth():
    pixels = np.zeros((100, 200), np.uint8)
    teeth = np.array([[0.3, 0.5, 0.1, 0.2], [0.7, 0.5, 0.1, 0.2]])
    scans = [Scan(Path(name), name, pixels, teeth) for name in "abc"]
    one, both = teeth[:1, :2], teeth[:, :2]
    assert benchmark.row(scans, [both] * 3, [one] * 3)[0] == "1.000 +0.500 (+0.500 to +0.500)"
    cells = benchmark.row(scans, [one] * 3, [both] * 3)
    assert cells == ["0.500 -0.500 (-0.500 to -0.500)"] * 4
    # Teeth that are gained cancel those that are lost.
    assert (
        "+0.000 (-0.500 to +0.500)" in benchmark.row(scans, [both, one, one], [one, both, one])[0]
    )
