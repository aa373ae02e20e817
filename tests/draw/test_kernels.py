"""Kernels before and after: every tile shows its kernel, zero is white, one scale for all."""

import io

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from PIL import Image

from cnnlab._colour import DIVERGING
from cnnlab.draw.kernels import SHOWN, pairs_figure


def images(figure: Figure) -> list[AxesImage]:
    return list(figure.axes[0].images)


def tiles(figure: Figure) -> list[np.ndarray]:
    """What the tiles show, kernel by kernel."""
    return [np.asarray(image.get_array()) for image in images(figure)]


def pixels(figure: Figure) -> np.ndarray:
    file = io.BytesIO()
    figure.savefig(file, dpi=60)
    return np.asarray(Image.open(file).convert("RGB"))


@pytest.mark.parametrize("count", [1, 5, 8, 9, 40])
def test_every_kernel_is_shown_before_and_after_in_order_under_its_number(count: int) -> None:
    before, after = (torch.randn(count, 2, 3, 3, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    figure = pairs_figure(before, after, "first layer")
    shown = np.stack(tiles(figure))
    np.testing.assert_allclose(shown[0::2], before.mean(1).numpy(), atol=1e-6)
    np.testing.assert_allclose(shown[1::2], after.mean(1).numpy(), atol=1e-6)
    assert [text.get_text() for text in figure.axes[0].texts] == [str(number) for number in range(count)]
    assert figure.texts[0].get_text() == "first layer"


def test_the_scale_is_one_and_symmetric_so_that_zero_is_white() -> None:
    figure = pairs_figure(torch.full((2, 1, 3, 3), 0.1), torch.full((2, 1, 3, 3), -3.0), "")
    assert {image.get_clim() for image in images(figure)} == {(-3.0, 3.0)}
    assert {image.norm(0.0) for image in images(figure)} == {0.5}
    assert min(mpl.colormaps[DIVERGING](0.5)[:3]) > 0.95


def test_kernels_of_zeros_can_be_drawn() -> None:
    assert pixels(pairs_figure(torch.zeros(4, 1, 3, 3), torch.zeros(4, 1, 3, 3), "zeros")).std() > 0


def test_colour_kernels_have_two_more_tiles_with_mid_grey_for_zero() -> None:
    kernels = torch.zeros(1, 3, 3, 3)
    kernels[0, 0, 1, 1] = 2.0
    shown = tiles(pairs_figure(torch.zeros(1, 3, 3, 3), kernels, "colour"))
    assert [tile.shape for tile in shown] == [(3, 3), (3, 3), (3, 3, 3), (3, 3, 3)]
    np.testing.assert_array_equal(shown[2], np.full((3, 3, 3), 0.5))
    assert shown[3][1, 1].tolist() == [1.0, 0.5, 0.5]


def test_only_so_many_are_shown_and_the_heading_says_so() -> None:
    many = torch.randn(SHOWN + 36, 1, 3, 3)
    figure = pairs_figure(many, many, "many")
    assert len(tiles(figure)) == 2 * SHOWN
    assert f"the first {SHOWN} of {SHOWN + 36}" in figure.texts[0].get_text()


@pytest.mark.parametrize("shape", [(8, 1, 3, 3), (64, 3, 7, 7), (1, 2, 5, 5), (3, 1, 1, 9)])
def test_any_shape_renders_without_a_warning(shape: tuple[int, ...]) -> None:
    picture = pixels(pairs_figure(torch.randn(shape), torch.randn(shape), "one"))
    assert picture.shape[0] > 20
    assert picture.std() > 5
