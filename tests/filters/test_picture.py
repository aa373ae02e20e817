"""A bank draws itself in a notebook: one panel per kernel, under its name."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from cnnlab.filters import bank
from cnnlab.filters.picture import SHOWN


@pytest.mark.parametrize("expression", ["sobel", "identity", "gabor(orientations=9)", "dct(size=2)"])
def test_the_figure_has_one_panel_per_kernel_with_its_name_and_its_weights(expression: str) -> None:
    drawn = bank(expression)
    panels = [axis for axis in drawn.figure().axes if axis.get_title()]
    assert [panel.get_title().partition("\n")[0] for panel in panels] == list(drawn.names)
    for panel, kernel in zip(panels, drawn.kernels[:, 0], strict=True):
        (image,) = panel.images
        np.testing.assert_array_equal(image.get_array(), kernel)
        assert image.norm.vmin == -image.norm.vmax == -kernel.abs().max()  # zero is the middle


def test_a_notebook_shows_a_png_with_colours_for_both_signs() -> None:
    picture = Image.open(io.BytesIO(bank("sobel")._repr_png_()))
    assert picture.format == "PNG"
    red, _, blue = np.asarray(picture.convert("RGB"), dtype=int).transpose(2, 0, 1)
    assert (red > blue + 50).any()
    assert (blue > red + 50).any()


def test_of_a_large_bank_the_first_kernels_are_drawn_and_the_picture_says_so() -> None:
    figure = bank("dct(size=9)").figure()
    assert sum(bool(axis.get_title()) for axis in figure.axes) == SHOWN
    assert figure.get_suptitle() == "the first 64 of 81 kernels"


def test_matplotlib_is_loaded_only_when_something_is_drawn() -> None:
    program = "import sys; from cnnlab.filters import bank; bank('gabor'); assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
