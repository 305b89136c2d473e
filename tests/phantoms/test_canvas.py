import numpy as np
import pytest

from pipeline.phantoms.canvas import Canvas, View

VIEW = View(scale=2.0, centre=(0.0, 0.0), width=90, height=70)
SHAPES = {
    "inside": [(-5, -5), (5, -5), (0, 6)],
    "over an edge": [(18, -3), (30, -3), (30, 9), (18, 9)],
    "in a corner": [(-26, -20), (-20, -17), (-25, -10)],
    "outside": [(60, 60), (70, 60), (65, 70)],
}


@pytest.mark.parametrize("blur", [0.0, 0.2, 1.0, 6.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_is_blurred_as_if_the_whole_canvas_were(shape, blur):
    patch = Canvas(VIEW).whole
    polygon = np.array(SHAPES[shape], float)
    expected = patch.soften(patch.fill([polygon]), blur)
    np.testing.assert_allclose(patch.fill([polygon], blur), expected, atol=1e-7)
    assert expected.any() == (shape != "outside")


@pytest.mark.parametrize("blur", [0.0, 1.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_is_added_in_proportion_to_its_coverage(shape, blur):
    patch, polygon = Canvas(VIEW).whole, np.array(SHAPES[shape], float)
    patch.density[:] = 0.5
    patch.add_fill(-0.25, [polygon], blur)
    expected = 0.5 - 0.25 * patch.fill([polygon], blur)
    np.testing.assert_allclose(patch.density, expected, atol=1e-7)


def test_a_stroke_is_added_along_its_line_as_wide_as_it_is():
    patch = Canvas(VIEW).whole
    patch.density[:] = 0.5
    patch.add_stroke(0.3, np.array([(-10.0, 0.0), (10.0, 0.0)]), 4.0, 0.0)
    column = patch.density[:, VIEW.width // 2]
    assert column[VIEW.height // 2] == pytest.approx(0.8)
    at_least_half = column > 0.65
    assert at_least_half.sum() == pytest.approx(4.0 * VIEW.scale, abs=1)
    assert (patch.density[:, :20] == 0.5).all()
