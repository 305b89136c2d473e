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
