"""The figure of orientation errors: what it is given is what it shows."""

import numpy as np
import pytest

from cnnlab.edges.orientation_figure import orientation_error

FREQUENCIES, ANGLES = np.linspace(0.1, 3.0, 30), np.linspace(0, 180, 61)
LARGEST = {"sobel": FREQUENCIES**2, "exact": 0 * FREQUENCIES}
ERROR = {"sobel": np.sin(np.deg2rad(4 * ANGLES)), "exact": 0 * ANGLES}


def test_every_kernel_is_a_line_on_both_sides_named_with_its_error() -> None:
    figure = orientation_error(FREQUENCIES, LARGEST, ANGLES, ERROR, at=1.2)
    left, right = figure.axes
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["sobel 0.99°", "exact 0.00°"]
    np.testing.assert_allclose(left.lines[0].get_ydata(), FREQUENCIES**2)
    assert (left.lines[1].get_ydata() > 0).all()  # zero has no place on a logarithmic scale
    np.testing.assert_allclose(right.lines[0].get_ydata(), ERROR["sobel"])
    assert "1.2 radians per pixel" in right.get_title(loc="left")
    figure.canvas.draw()


def test_kernels_and_lengths_must_fit() -> None:
    with pytest.raises(ValueError, match="the same kernels on both sides; got sobel, exact and sobel"):
        orientation_error(FREQUENCIES, LARGEST, ANGLES, {"sobel": ERROR["sobel"]}, at=1.2)
    with pytest.raises(ValueError, match="sobel: 30 frequencies and 61 angles, but 30 and 60 errors"):
        orientation_error(FREQUENCIES, LARGEST, ANGLES, {"sobel": ANGLES[1:], "exact": ANGLES}, at=1.2)
